"""qredit: language models write the credit assignment of a cooperative team, and PyTorch trains against it.

Importing this package prints nothing, opens nothing and loads neither torch nor numpy nor langchain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.artifact import Artifact as Artifact
    from qredit.artifact import bundled_artifact as bundled_artifact
    from qredit.artifact import load_artifact as load_artifact
    from qredit.errors import QreditError as QreditError
    from qredit.layout import StateField as StateField
    from qredit.layout import StateLayout as StateLayout
    from qredit.marl.mixers import load_mixer as load_mixer
    from qredit.task import Task as Task

__version__ = "0.1.0"

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Artifact": ".artifact",
        "QreditError": ".errors",
        "StateField": ".layout",
        "StateLayout": ".layout",
        "Task": ".task",
        "bundled_artifact": ".artifact",
        "load_artifact": ".artifact",
        "load_mixer": ".marl.mixers",
    },
)
