"""MAPPO: PPO whose critic sees the global state, with shared parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.ippo import IPPO
from qredit.marl.mixers import StateScale
from qredit.marl.networks import AgentNetwork

if TYPE_CHECKING:
    from qredit.marl.replay import Episodes


class MAPPO(IPPO):
    """PPO with a centralised critic `V_i(s)`."""

    title = "MAPPO"
    source = "Yu et al. 2022, The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._scale = StateScale(problem.sizes.layout, typical=True).to(problem.device)

    def make_critic(self, problem: Problem) -> AgentNetwork:
        """`V_i(s)`: the state and the agent's number."""
        return problem.agent_network(inputs=problem.sizes.layout.size, outputs=1)

    def critic_inputs(self, episodes: Episodes) -> Tensor:
        """The state, for every agent, `[E, T + 1, N, S]`."""
        n = episodes.actions.shape[-1]
        states: Tensor = self._scale(episodes.states)
        return states.unsqueeze(2).expand(-1, -1, n, -1)
