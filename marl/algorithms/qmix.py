"""QMIX: a mixing network that is monotonic in every agent's value; the state decides its weights."""

from __future__ import annotations

from dataclasses import dataclass

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer, QMixer
from qredit.marl.mixers.qmix import QMixerOfObservations


@dataclass(frozen=True)
class QMIXOptions:
    """Options of QMIX."""

    hypernet_input: str = "state"
    """What the hypernetworks read: `state`, scaled by its layout; or `observations`, all agents' as they are, as other
    code bases do where an environment has no state of its own."""

    def __post_init__(self) -> None:
        if self.hypernet_input not in ("state", "observations"):
            raise ConfigurationError(
                f"QMIX with `hypernet_input` `{self.hypernet_input}`",
                cause="its hypernetworks cannot read that",
                remedy="Use `state` or `observations`.",
            )


class QMIX(ValueDecomposition):
    """Value decomposition by a monotonic network."""

    title = "QMIX"
    source = "Rashid et al. 2018, QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent RL"
    Options = QMIXOptions

    def make_mixer(self, problem: Problem) -> Mixer:
        """The mixing network."""
        own: QMIXOptions = self.options(problem.settings)
        if own.hypernet_input == "state":
            return qmix_mixer(problem)
        return QMixerOfObservations(
            observation_size=problem.sizes.observation_size,
            n_agents=problem.sizes.n_agents,
            mixing_size=problem.settings.mixing_size,
            hypernet_size=problem.settings.hypernet_size,
        )


def qmix_mixer(problem: Problem) -> QMixer:
    """QMIX's mixing network of these sizes, which actor-critic methods use too."""
    return QMixer(
        layout=problem.sizes.layout,
        n_agents=problem.sizes.n_agents,
        mixing_size=problem.settings.mixing_size,
        hypernet_size=problem.settings.hypernet_size,
    )
