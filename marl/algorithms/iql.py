"""IQL: every agent learns its own Q function from the same reward, as if it were alone."""

from __future__ import annotations

from torch import Tensor

from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer, Steps


class IQL(ValueDecomposition):
    """Independent Q-learning with shared parameters."""

    title = "IQL"
    source = "Tan 1993, Multi-Agent Reinforcement Learning: Independent vs. Cooperative Agents"
    rewards = ("team", "individual")

    def make_mixer(self, problem: Problem) -> Mixer:
        """None: each agent's value stays its own."""
        return Unmixed()


class Unmixed(Mixer):
    """Each agent's value is compared with the return by itself."""

    def of_steps(self, steps: Steps) -> Tensor:
        """`Q_i [M, N]`."""
        return steps.values
