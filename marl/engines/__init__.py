"""Where jobs run: this machine, a Ray cluster, a SLURM cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.marl.engines.engine import Engine as Engine
    from qredit.marl.engines.engine import EngineSettings as EngineSettings
    from qredit.marl.engines.local import LocalEngine as LocalEngine
    from qredit.marl.engines.ray import RayEngine as RayEngine
    from qredit.marl.engines.registry import ENGINES as ENGINES
    from qredit.marl.engines.registry import make_engine as make_engine
    from qredit.marl.engines.slurm import SlurmEngine as SlurmEngine

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ENGINES": ".registry",
        "Engine": ".engine",
        "EngineSettings": ".engine",
        "LocalEngine": ".local",
        "RayEngine": ".ray",
        "SlurmEngine": ".slurm",
        "make_engine": ".registry",
    },
)
