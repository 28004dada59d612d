"""Qatten: value decomposition with weights from multi-head attention."""

from __future__ import annotations

from dataclasses import dataclass

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer
from qredit.marl.mixers.qatten import QattenMixer


@dataclass(frozen=True)
class QattenOptions:
    """Options of Qatten."""

    heads: int = 4
    """Heads of attention."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ConfigurationError(
                f"Qatten with `heads` {self.heads}", cause="there must be at least one", remedy="The default is 4."
            )


class Qatten(ValueDecomposition):
    """Value decomposition by attention; queries and keys have `mixing_size` numbers."""

    title = "Qatten"
    source = "Yang et al. 2020, Qatten: A General Framework for Cooperative Multiagent Reinforcement Learning"
    Options = QattenOptions

    def make_mixer(self, problem: Problem) -> Mixer:
        """The attention."""
        own: QattenOptions = self.options(problem.settings)
        return QattenMixer(
            layout=problem.sizes.layout,
            n_agents=problem.sizes.n_agents,
            heads=own.heads,
            key_size=problem.settings.mixing_size,
            hypernet_size=problem.settings.hypernet_size,
        )
