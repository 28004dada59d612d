"""States as each agent sees itself in them: the ego first, then its teammates (LCA, equation 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qredit.layout import StateLayout
from qredit.marl.mixers.state_scale import StateScale


class EgoEncoding(nn.Module):
    """`o^i` of each agent: the state, scaled by its layout, renumbered so that agent `i` is number 0.

    The teammates follow in their cyclic order. Agents in exchangeable positions thus see equal encodings, so that one
    model and one data set can serve them all. It has no parameters.

    Args:
        layout: layout of the state.
        n_agents: `N`.

    Raises:
        ValueError: an axis of the layout that runs over the agents has another length.
    """

    numbers: Tensor

    def __init__(self, layout: StateLayout, n_agents: int) -> None:
        super().__init__()
        self.n_agents = n_agents
        self.scale = StateScale(layout, typical=True)
        places = torch.arange(layout.size)
        orders = [[(ego + k) % n_agents for k in range(n_agents)] for ego in range(n_agents)]
        numbers = torch.stack([layout.renumbered(places, order) for order in orders])  # [N, S]
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """`[..., N, S]` of `states [..., S]`."""
        scaled: Tensor = self.scale(states)
        return scaled[..., self.numbers]
