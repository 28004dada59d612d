"""The algorithms by name: one line each, and those that other packages bring."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.algorithms.algorithm import Algorithm

if TYPE_CHECKING:
    from qredit.marl.settings import TrainSettings

ENTRY_POINTS = "qredit.algorithms"
"""Group under which an installed package registers an `Algorithm` of its own."""

ALGORITHMS: Mapping[str, str] = {
    "iql": "qredit.marl.algorithms.iql:IQL",
    "vdn": "qredit.marl.algorithms.vdn:VDN",
    "qmix": "qredit.marl.algorithms.qmix:QMIX",
    "qatten": "qredit.marl.algorithms.qatten:Qatten",
    "qplex": "qredit.marl.algorithms.qplex:QPLEX",
    "ippo": "qredit.marl.algorithms.ippo:IPPO",
    "mappo": "qredit.marl.algorithms.mappo:MAPPO",
    "coma": "qredit.marl.algorithms.coma:COMA",
    "maddpg": "qredit.marl.algorithms.maddpg:MADDPG",
    "qllm": "qredit.marl.algorithms.qllm:QLLM",
    "vmix": "qredit.marl.algorithms.vmix:VMIX",
    "riit": "qredit.marl.algorithms.riit:RIIT",
    "vmix-qllm": "qredit.marl.algorithms.vmix:VMIXQLLM",
    "riit-qllm": "qredit.marl.algorithms.riit:RIITQLLM",
}
"""Name -> where its class stands. A module is imported when its algorithm is used."""


def algorithm_names() -> list[str]:
    """The built-in names, and after them those of installed packages."""
    others = sorted(entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS))
    return [*ALGORITHMS, *(name for name in others if name not in ALGORITHMS)]


def algorithm_named(name: str) -> type[Algorithm]:
    """The class of a built-in algorithm, or of an installed package's.

    Raises:
        UnknownNameError: there is none of this name.
        ConfigurationError: what the package registered is no algorithm.
    """
    if name in ALGORITHMS:
        module, _, attribute = ALGORITHMS[name].partition(":")
        built_in: type[Algorithm] = getattr(importlib.import_module(module), attribute)
        return built_in
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            found = entry.load()
            if isinstance(found, type) and issubclass(found, Algorithm):
                return found
            raise ConfigurationError(
                f"algorithm `{name}`",
                cause=f"`{entry.value}` is no class of algorithms",
                remedy="Let the entry point name a subclass of `qredit.marl.algorithms.Algorithm`.",
            )
    raise UnknownNameError("algorithm", name, algorithm_names())


def algorithm_of(settings: TrainSettings, *, has_credit: bool, has_potentials: bool = False) -> type[Algorithm]:
    """The algorithm of these settings, once it has what it needs.

    Args:
        settings: their algorithm, its own options and whose reward teaches are looked at.
        has_credit: whether there is an artifact of a credit function.
        has_potentials: whether there is one of potentials.

    Raises:
        UnknownNameError: there is no algorithm or option of this name.
        ConfigurationError: it needs an artifact and there is none, or the other way round; or settings that it cannot
            follow.
    """
    algorithm = algorithm_named(settings.algorithm)
    algorithm.options(settings)
    if settings.rewards not in algorithm.rewards:
        raise ConfigurationError(
            f"algorithm `{settings.algorithm}` with `rewards: {settings.rewards}`",
            cause=f"it learns from {' or '.join(f'`{name}`' for name in algorithm.rewards)}",
            remedy="Choose one of these with --rewards, or an algorithm such as ippo, mappo or coma.",
        )
    forms = algorithm.credit_forms(settings)
    if bool(forms) != has_credit:
        needs = f"it needs a credit function ({' or '.join(forms)})"
        raise ConfigurationError(
            f"algorithm `{settings.algorithm}`",
            cause=needs if forms else "it does not use a credit function",
            remedy="Give --mixer ARTIFACT (or builtin) to the algorithms that need one, and to no others.",
        )
    if algorithm.takes_potentials(settings) != has_potentials:
        raise ConfigurationError(
            f"algorithm `{settings.algorithm}`",
            cause="it does not use potentials" if has_potentials else "it needs an artifact of the kind `potentials`",
            remedy="Give --potentials ARTIFACT where rewards or bias are `potentials`, and nowhere else.",
        )
    return algorithm
