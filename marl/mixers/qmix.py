"""QMIX: a monotonic mixing network whose weights come from the state (Rashid et al. 2018, section 4.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qredit.layout import StateField, StateLayout
from qredit.marl.mixers.mixer import Mixer, Steps
from qredit.marl.mixers.state_scale import StateScale


class QMixer(Mixer):
    """Two layers with non-negative weights; hypernetworks with one hidden layer produce them from the state.

    Args:
        layout: layout of the state; its value ranges scale the hypernetworks' input to [0, 1], where they are finite.
        n_agents: `N`.
        mixing_size: width `E` of the mixing network.
        hypernet_size: width of the hypernetworks' hidden layer.
    """

    def __init__(self, *, layout: StateLayout, n_agents: int, mixing_size: int, hypernet_size: int) -> None:
        super().__init__()
        self.n_agents, self.mixing_size = n_agents, mixing_size
        self.scale = StateScale(layout)
        # The first layers of the hypernetworks and the bias read the same state: one matrix product for all of them.
        self._widths = (hypernet_size, hypernet_size, mixing_size, mixing_size)
        self.first = nn.Linear(layout.size, sum(self._widths))
        self.weights_1 = nn.Linear(hypernet_size, n_agents * mixing_size)
        self.weights_2 = nn.Linear(hypernet_size, mixing_size)
        self.value = nn.Linear(mixing_size, 1)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`; no `dQ_tot/dQ_i` is negative."""
        lead = agent_qs.shape[:-1]
        s = self.scale(states).flatten(0, -2)  # [B*T, S]
        for_w1, for_w2, for_value, bias_1 = self.first(s).split(self._widths, dim=-1)
        w1 = self.weights_1(torch.relu(for_w1)).abs().reshape(-1, self.n_agents, self.mixing_size)  # [B*T, N, E]
        w2 = self.weights_2(torch.relu(for_w2)).abs()  # [B*T, E]
        # Sums of products instead of thousands of tiny matrix products.
        mixed = (agent_qs.reshape(-1, self.n_agents, 1) * w1).sum(dim=1) + bias_1  # [B*T, E]
        q_tot: Tensor = (nn.functional.elu(mixed) * w2).sum(dim=-1, keepdim=True) + self.value(torch.relu(for_value))
        return q_tot.reshape(*lead, 1)


class QMixerOfObservations(QMixer):
    """The same, but its hypernetworks read the agents' observations one after the other, as they are.

    Args:
        observation_size: `O`.
        n_agents: `N`.
        mixing_size: width `E` of the mixing network.
        hypernet_size: width of the hypernetworks' hidden layer.
    """

    def __init__(self, *, observation_size: int, n_agents: int, mixing_size: int, hypernet_size: int) -> None:
        shape = (n_agents, observation_size)
        seen = StateField("observation", shape, "-", -math.inf, math.inf, "What each agent sees.", (), (0,))
        super().__init__(
            layout=StateLayout((seen,)), n_agents=n_agents, mixing_size=mixing_size, hypernet_size=hypernet_size
        )

    def of_steps(self, steps: Steps) -> Tensor:
        """The team's value, `[M, 1]`, mixed by the observations of the steps."""
        return self.mix(steps.values, steps.observations.flatten(1), steps.credit)
