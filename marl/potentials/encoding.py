"""States as each agent sees itself in them: the ego first, then its teammates (LCA, equation 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qredit.layout import StateLayout
from qredit.marl.mixers.state_scale import StateScale

MOST_VALUES = 64
"""Values of a field above which it is no longer shown one-hot."""


class EgoEncoding(nn.Module):
    """`o^i` of each agent: the state, scaled by its layout, renumbered so that agent `i` is number 0.

    The teammates follow in their cyclic order. Agents in exchangeable positions thus see equal encodings, so that one
    model and one data set can serve them all. It has no parameters.

    Whole numbers, such as rows and columns of a board, stand there once more one-hot: how good a cell is depends on
    walls, and a network learns that from few pairs only where cells are inputs of their own (`docs/log.md`).

    Args:
        layout: layout of the state.
        n_agents: `N`.
        whole: names of the fields that hold whole numbers, see `whole_fields`.

    Raises:
        ValueError: an axis of the layout that runs over the agents has another length.
        KeyError: no such field.
    """

    numbers: Tensor
    values: Tensor
    places: Tensor

    def __init__(self, layout: StateLayout, n_agents: int, *, whole: Sequence[str] = ()) -> None:
        super().__init__()
        parts = {field.name: (field, part) for field, part in layout.slices()}
        cells = [
            (place, value)
            for field, part in (parts[name] for name in whole)
            for place in range(part.start, part.stop)
            for value in range(round(field.low), round(field.high) + 1)
        ]
        self.register_buffer("places", torch.tensor([place for place, _ in cells], dtype=torch.int64), persistent=False)
        self.register_buffer("values", torch.tensor([float(value) for _, value in cells]), persistent=False)
        self.n_agents = n_agents
        self.scale = StateScale(layout, typical=True)
        places = torch.arange(layout.size)
        orders = [[(ego + k) % n_agents for k in range(n_agents)] for ego in range(n_agents)]
        numbers = torch.stack([layout.renumbered(places, order) for order in orders])  # [N, S]
        self.register_buffer("numbers", numbers, persistent=False)

    @property
    def size(self) -> int:
        """`E`, numbers per agent."""
        return self.numbers.shape[1] + len(self.places)

    def forward(self, states: Tensor) -> Tensor:
        """`[..., N, E]` of `states [..., S]`."""
        scaled: Tensor = self.scale(states)[..., self.numbers]
        if not len(self.places):
            return scaled
        seen = states[..., self.numbers][..., self.places]  # fields keep their places when agents are renumbered
        return torch.cat([scaled, (seen == self.values).to(scaled.dtype)], dim=-1)

    def of(self, states: Tensor, egos: Tensor) -> Tensor:
        """Only what the agents `egos [M]` see in `states [M, S]`, `[M, E]`: for who needs no more."""
        numbers = self.numbers[egos]
        scaled: Tensor = self.scale(states).gather(1, numbers)
        if not len(self.places):
            return scaled
        seen = states.gather(1, numbers)[:, self.places]
        return torch.cat([scaled, (seen == self.values).to(scaled.dtype)], dim=-1)


def whole_fields(layout: StateLayout, states: Tensor) -> tuple[str, ...]:
    """Names of the fields that hold few whole numbers and nothing else in `states [M, S]`, bounds included."""
    found = []
    for field, part in layout.slices():
        few = math.isfinite(field.low) and math.isfinite(field.high) and 0 < field.high - field.low <= MOST_VALUES
        bounds = torch.tensor([field.low, field.high])
        if few and all(torch.equal(numbers, numbers.round()) for numbers in (bounds, states[:, part])):
            found.append(field.name)
    return tuple(found)
