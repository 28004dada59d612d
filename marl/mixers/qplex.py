"""QPLEX: a mixing network that represents every team value whose best joint action is the agents' best actions.

(Wang et al. 2021, section 3.2.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qredit.layout import StateLayout
from qredit.marl.mixers.mixer import Mixer, Steps
from qredit.marl.mixers.state_scale import StateScale

LEAST = 1e-10
"""Added to what must be above 0, as in the authors' code."""


class QPLEXMixer(Mixer):
    """`Q_tot = sum_i V_i(s) + sum_i lambda_i(s, a) A_i(s, a_i)` with `lambda_i > 0`.

    Transformation: `V_i(s) = w_i(s) V_i + b_i(s)` and `A_i(s, a_i) = w_i(s) (Q_i - V_i)` with `w_i > 0` and
    `V_i = max_a Q_i`. No advantage is above 0, and all are 0 where every agent does its best.

    Args:
        layout: layout of the state; its value ranges scale what the networks see to [0, 1], where they are finite.
        n_agents: `N`.
        n_actions: `A`.
        heads: `K`, heads of attention of which `lambda` is the sum.
        hypernet_size: width of the hidden layers.
        stop_gradient: whether no gradient goes through the advantages (`of_steps`).
    """

    def __init__(
        self,
        *,
        layout: StateLayout,
        n_agents: int,
        n_actions: int,
        heads: int,
        hypernet_size: int,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__()
        self.n_agents, self.n_actions, self.heads, self.stop_gradient = n_agents, n_actions, heads, stop_gradient
        self.scale = StateScale(layout)
        # Four hidden layers read the same state: one matrix product for all of them.
        self.first = nn.Linear(layout.size, 4 * hypernet_size)
        self.w = nn.Linear(hypernet_size, n_agents)
        self.b = nn.Linear(hypernet_size, n_agents)
        self.upsilon = nn.Linear(hypernet_size, heads)
        self.phi = nn.Linear(hypernet_size, heads * n_agents)
        self.first_joint = nn.Linear(layout.size + n_agents * n_actions, hypernet_size)
        self.joint = nn.Linear(hypernet_size, heads * n_agents)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]` where every agent does its best."""
        for_w, for_b, _, _ = self._hidden(self.scale(states))
        q_tot: Tensor = (self._w(for_w) * agent_qs + self.b(for_b)).sum(dim=-1, keepdim=True)
        return q_tot

    def of_steps(self, steps: Steps) -> Tensor:
        """`Q_tot [M, 1]` of the actions.

        Written as `sum_i Q_i(s, a_i) + sum_i (lambda_i - 1) A_i(s, a_i)`, which is the same number. In the authors'
        code no gradient goes through the advantages of the second sum: the agents learn as they do in VDN but for
        `w_i`, and the second sum teaches `lambda` alone. `stop_gradient` does so.
        """
        s = self.scale(steps.states)
        for_w, for_b, for_upsilon, for_phi = self._hidden(s)
        w = self._w(for_w)  # [M, N]
        best = steps.all_values.masked_fill(~steps.available, -torch.inf).amax(dim=-1)  # V_i [M, N]
        advantages = w * (steps.values - best)
        if self.stop_gradient:
            advantages = advantages.detach()
        weights = self._lambda(s, steps.actions, for_upsilon, for_phi)
        transformed = w * steps.values + self.b(for_b)
        q_tot: Tensor = (transformed + (weights - 1) * advantages).sum(dim=-1, keepdim=True)
        return q_tot

    def advantage_weights(self, states: Tensor, actions: Tensor) -> Tensor:
        """`lambda [M, N]` of `states [M, S]` and joint `actions [M, N]`."""
        s = self.scale(states)
        _, _, for_upsilon, for_phi = self._hidden(s)
        return self._lambda(s, actions, for_upsilon, for_phi)

    def _lambda(self, s: Tensor, actions: Tensor, for_upsilon: Tensor, for_phi: Tensor) -> Tensor:
        """`lambda_i = sum_k upsilon_k(s) phi_ik(s) lambda_ik(s, a)`, `[M, N]`."""
        shape = (-1, self.heads, self.n_agents)
        joint = nn.functional.one_hot(actions, self.n_actions).flatten(-2).to(s.dtype)  # [M, N * A]
        hidden = torch.relu(self.first_joint(torch.cat([s, joint], dim=-1)))
        by_action = torch.sigmoid(self.joint(hidden)).reshape(shape)  # [M, K, N]
        phi = torch.sigmoid(self.phi(for_phi)).reshape(shape)
        upsilon = self.upsilon(for_upsilon).abs().unsqueeze(-1) + LEAST  # [M, K, 1]
        weights: Tensor = (upsilon * phi * by_action).sum(dim=1)
        return weights

    def _w(self, for_w: Tensor) -> Tensor:
        weights: Tensor = self.w(for_w).abs() + LEAST
        return weights

    def _hidden(self, s: Tensor) -> tuple[Tensor, ...]:
        """The hidden layers for `w`, `b`, `upsilon` and `phi`."""
        return torch.relu(self.first(s)).chunk(4, dim=-1)
