"""The algorithms: one line each. All of them share networks, runner, loss and evaluation; they differ in the mixer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn

    from qredit.marl.environment import BatchedEnvironment
    from qredit.marl.settings import TrainSettings

MakeMixer = Callable[["BatchedEnvironment", "TrainSettings", Path | None], "nn.Module"]


@dataclass(frozen=True)
class Algorithm:
    """How an algorithm mixes, and what it needs."""

    title: str
    """What people call it."""
    make_mixer: MakeMixer
    """Makes its mixing module."""
    needs_artifact: bool = False
    """Whether it trains with a credit function."""


def _vdn(environment: BatchedEnvironment, settings: TrainSettings, artifact: Path | None) -> nn.Module:
    from qredit.marl.mixers import VDNMixer

    return VDNMixer()


def _qmix(environment: BatchedEnvironment, settings: TrainSettings, artifact: Path | None) -> nn.Module:
    from qredit.marl.mixers import QMixer

    return QMixer(
        layout=environment.layout,
        n_agents=environment.n_agents,
        mixing_size=settings.mixing_size,
        hypernet_size=settings.hypernet_size,
    )


def _qllm(environment: BatchedEnvironment, settings: TrainSettings, artifact: Path | None) -> nn.Module:
    from qredit.marl.mixers import load_mixer

    assert artifact is not None  # `make_mixer` has seen to it
    mixer = load_mixer(artifact, bias=settings.bias)
    header = mixer.graph.header
    sizes = {"agents": (header.n_agents, environment.n_agents), "numbers": (header.state_size, environment.layout.size)}
    wrong = [f"it was made for {made} {what}, the task has {has}" for what, (made, has) in sizes.items() if made != has]
    if wrong:
        raise ConfigurationError(
            f"artifact `{artifact}`",
            cause="; ".join(wrong).replace("numbers", "numbers in the state"),
            remedy="Generate a credit function for this task.",
        )
    return mixer


ALGORITHMS: Mapping[str, Algorithm] = {
    "vdn": Algorithm("VDN", _vdn),
    "qmix": Algorithm("QMIX", _qmix),
    "qllm": Algorithm("QLLM", _qllm, needs_artifact=True),
}


def algorithm_of(name: str, artifact: Path | None) -> Algorithm:
    """The algorithm of this name, once it has what it needs.

    Raises:
        UnknownNameError: there is none of this name.
        ConfigurationError: it needs an artifact and there is none, or the other way round.
    """
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, ALGORITHMS)
    algorithm = ALGORITHMS[name]
    if algorithm.needs_artifact != (artifact is not None):
        raise ConfigurationError(
            f"algorithm `{name}`",
            cause="it needs a credit function" if algorithm.needs_artifact else "it does not use a credit function",
            remedy="Give --mixer ARTIFACT with `qllm`, and with `qllm` only.",
        )
    return algorithm
