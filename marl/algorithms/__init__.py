"""The algorithms: one file each. All share networks, runner and evaluation; `registry.py` has one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.marl.algorithms.algorithm import Algorithm as Algorithm
    from qredit.marl.algorithms.algorithm import Learned as Learned
    from qredit.marl.algorithms.algorithm import Problem as Problem
    from qredit.marl.algorithms.registry import ALGORITHMS as ALGORITHMS
    from qredit.marl.algorithms.registry import algorithm_named as algorithm_named
    from qredit.marl.algorithms.registry import algorithm_names as algorithm_names
    from qredit.marl.algorithms.registry import algorithm_of as algorithm_of

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ALGORITHMS": ".registry",
        "Algorithm": ".algorithm",
        "Learned": ".algorithm",
        "Problem": ".algorithm",
        "algorithm_named": ".registry",
        "algorithm_names": ".registry",
        "algorithm_of": ".registry",
    },
)
