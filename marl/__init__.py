"""What trains: environments, networks, mixers, algorithms, evaluation. Knows nothing of language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.marl.adapters import layout_of as layout_of
    from qredit.marl.adapters import make_environment as make_environment
    from qredit.marl.algorithms import ALGORITHMS as ALGORITHMS
    from qredit.marl.comparison_run import compare as compare
    from qredit.marl.mixers.credit import load_mixer as load_mixer
    from qredit.marl.probing import sample_probes as sample_probes
    from qredit.marl.settings import TrainSettings as TrainSettings
    from qredit.marl.training import train as train

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ALGORITHMS": ".algorithms",
        "TrainSettings": ".settings",
        "compare": ".comparison_run",
        "layout_of": ".adapters",
        "load_mixer": ".mixers.credit",
        "make_environment": ".adapters",
        "sample_probes": ".probing",
        "train": ".training",
    },
)
