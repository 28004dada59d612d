"""States as networks see them: brought to [0, 1] by the bounds of each field, or divided by what is typical of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qredit.layout import StateField, StateLayout


class StateScale(nn.Module):
    """`(s - low) / span`, without parameters.

    Where bounds are far beyond what happens, as in particle worlds, they leave little of a state to be seen. A critic
    learns next to nothing from that; a mixing network keeps near to a sum, which does it good (`docs/log.md`).

    Args:
        layout: layout of the state.
        typical: whether fields with a typical magnitude are divided by it; else only bounds count.
    """

    low: Tensor
    span: Tensor

    def __init__(self, layout: StateLayout, *, typical: bool = False) -> None:
        super().__init__()
        ranges = [_low_and_span(field, typical) for field in layout.fields for _ in range(field.size)]
        self.register_buffer("low", torch.tensor([low for low, _ in ranges]), persistent=False)
        self.register_buffer("span", torch.tensor([span for _, span in ranges]), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """`[..., S]` of `states [..., S]`."""
        return (states - self.low) / self.span


def _low_and_span(field: StateField, typical: bool) -> tuple[float, float]:
    if typical and field.typical is not None:
        return 0.0, field.typical
    if math.isfinite(field.low) and math.isfinite(field.high) and field.high > field.low:
        return field.low, field.high - field.low
    return 0.0, 1.0
