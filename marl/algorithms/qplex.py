"""QPLEX: value decomposition into values and advantages, for all team values that agents can maximise one by one."""

from __future__ import annotations

from dataclasses import dataclass

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer
from qredit.marl.mixers.qplex import QPLEXMixer


@dataclass(frozen=True)
class QPLEXOptions:
    """Options of QPLEX."""

    heads: int = 4
    """Heads of attention from which the advantages' weights come."""
    stop_gradient: bool = True
    """Whether agents learn from the first sum alone, as in the authors' code; without it a supervised fit of a game
    whose payoffs are not monotone gets there far more often."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ConfigurationError(
                f"QPLEX with `heads` {self.heads}", cause="there must be at least one", remedy="The default is 4."
            )


class QPLEX(ValueDecomposition):
    """Value decomposition by a duplex dueling network."""

    title = "QPLEX"
    source = "Wang et al. 2021, QPLEX: Duplex Dueling Multi-Agent Q-Learning"
    Options = QPLEXOptions

    def make_mixer(self, problem: Problem) -> Mixer:
        """The transformation and the dueling mixing network."""
        own: QPLEXOptions = self.options(problem.settings)
        return QPLEXMixer(
            layout=problem.sizes.layout,
            n_agents=problem.sizes.n_agents,
            n_actions=problem.sizes.n_actions,
            heads=own.heads,
            hypernet_size=problem.settings.hypernet_size,
            stop_gradient=own.stop_gradient,
        )
