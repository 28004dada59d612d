"""Qatten: multi-head attention from the state to the agents says how much each of them counts (Yang et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qredit.layout import StateLayout
from qredit.marl.mixers.mixer import Mixer
from qredit.marl.mixers.state_scale import StateScale


class QattenMixer(Mixer):
    """`Q_tot = c(s) + sum_h w_h(s) sum_i lambda_ih(s) Q_i` with `w_h >= 0`, so that it is monotonic.

    In each head `lambda_h = softmax_i(q_h(s) . k_h(u_i) / sqrt(E))`. `u_i` is what the state says about agent `i`: its
    part of those fields that the layout cuts by agents; where the layout cuts none, the agent's number, one-hot.

    Args:
        layout: layout of the state; its value ranges scale what the networks see to [0, 1], where they are finite.
        n_agents: `N`.
        heads: `H`.
        key_size: length `E` of queries and keys.
        hypernet_size: width of the hidden layers behind queries, head weights and `c`.
    """

    own: Tensor
    number: Tensor

    def __init__(self, *, layout: StateLayout, n_agents: int, heads: int, key_size: int, hypernet_size: int) -> None:
        super().__init__()
        self.n_agents, self.heads, self.key_size = n_agents, heads, key_size
        self.scale = StateScale(layout)
        self.register_buffer("own", _own_numbers(layout, n_agents), persistent=False)
        self.register_buffer("number", torch.eye(n_agents), persistent=False)
        # Three hidden layers read the same state: one matrix product for all of them.
        self.first = nn.Linear(layout.size, 3 * hypernet_size)
        self.queries = nn.Linear(hypernet_size, heads * key_size)
        # A bias would add the same to all agents' logits, which the softmax takes away again.
        self.keys = nn.Linear(self.own.shape[1] or n_agents, heads * key_size, bias=False)
        self.head_weights = nn.Linear(hypernet_size, heads)
        self.constant = nn.Linear(hypernet_size, 1)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`; no `dQ_tot/dQ_i` is negative."""
        weights, c = self._weights_and_constant(states)
        return (weights * agent_qs).sum(dim=-1, keepdim=True) + c

    def credit(self, states: Tensor) -> Tensor:
        """Weight of each agent, `sum_h w_h(s) lambda_ih(s)`: `[..., N]` for `states [..., S]`."""
        return self._weights_and_constant(states)[0]

    def attention(self, s: Tensor, for_query: Tensor) -> Tensor:
        """`lambda [..., N, H]`, which sums to 1 over the agents, of scaled states and the queries' hidden layer."""
        u = s[..., self.own] if self.own.shape[1] else self.number  # [..., N, U]
        query = self.queries(for_query).unflatten(-1, (self.heads, self.key_size))  # [..., H, E]
        # q . (W u) = (W^T q) . u, and U is mostly smaller than E: less to multiply than with a key for every agent.
        w_keys = self.keys.weight.reshape(self.heads, self.key_size, -1)  # [H, E, U]
        seen = torch.einsum("...he,heu->...hu", query, w_keys) / self.key_size**0.5
        logits: Tensor = (u.unsqueeze(-2) * seen.unsqueeze(-3)).sum(dim=-1)  # [..., N, H]
        return logits.softmax(dim=-2)

    def _weights_and_constant(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """`[..., N]` and `[..., 1]` of `states [..., S]`."""
        s = self.scale(states)
        for_query, for_weights, for_constant = torch.relu(self.first(s)).chunk(3, dim=-1)
        w = self.head_weights(for_weights).abs()  # [..., H]
        weights = (self.attention(s, for_query) * w.unsqueeze(-2)).sum(dim=-1)
        return weights, self.constant(for_constant)


def _own_numbers(layout: StateLayout, n_agents: int) -> Tensor:
    """Which numbers of the state are about each agent, `[N, U]`; `U = 0` where no field has an axis of the agents."""
    places = torch.arange(layout.size)
    parts = [
        places[part].reshape(field.shape).movedim(field.agent_axes[0], 0).reshape(n_agents, -1)
        for field, part in layout.slices()
        if field.agent_axes
    ]
    return torch.cat(parts, dim=1) if parts else places.new_zeros(n_agents, 0)
