"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qredit.errors import UnknownNameError
from qredit.marl.engines.engine import Engine, EngineSettings
from qredit.marl.engines.local import LocalEngine
from qredit.marl.engines.ray import RayEngine
from qredit.marl.engines.slurm import SlurmEngine

MakeEngine = Callable[[Mapping[str, str], Path], Engine]
"""Makes an engine from its options and a folder for its own files; checks the options, starts nothing."""

ENGINES: Mapping[str, MakeEngine] = {
    "local": LocalEngine.from_options,
    "ray": RayEngine.from_options,
    "slurm": SlurmEngine.from_options,
}


def make_engine(settings: EngineSettings, folder: Path) -> Engine:
    """The engine that the settings name.

    Args:
        settings: which, with which options.
        folder: the sweep's folder.

    Raises:
        UnknownNameError: no such engine, or no such option.
        ConfigurationError: an option's value cannot be used, or the engine's package is not installed.
    """
    if settings.engine not in ENGINES:
        raise UnknownNameError("engine", settings.engine, ENGINES)
    return ENGINES[settings.engine](settings.options, folder)
