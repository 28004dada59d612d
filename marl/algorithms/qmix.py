"""QMIX: a mixing network that is monotonic in every agent's value; the state decides its weights."""

from __future__ import annotations

from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer, QMixer


class QMIX(ValueDecomposition):
    """Value decomposition by a monotonic network."""

    title = "QMIX"
    source = "Rashid et al. 2018, QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent RL"

    def make_mixer(self, problem: Problem) -> Mixer:
        """The mixing network."""
        return qmix_mixer(problem)


def qmix_mixer(problem: Problem) -> QMixer:
    """QMIX's mixing network of these sizes, which actor-critic methods use too."""
    return QMixer(
        layout=problem.sizes.layout,
        n_agents=problem.sizes.n_agents,
        mixing_size=problem.settings.mixing_size,
        hypernet_size=problem.settings.hypernet_size,
    )
