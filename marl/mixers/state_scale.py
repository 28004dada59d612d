"""States as networks see them: each number divided by what is typical of its field, or in [0, 1] by its bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qredit.layout import StateField, StateLayout


class StateScale(nn.Module):
    """`(s - low) / span`, without parameters.

    Args:
        layout: layout of the state.
    """

    low: Tensor
    span: Tensor

    def __init__(self, layout: StateLayout) -> None:
        super().__init__()
        ranges = [_low_and_span(field) for field in layout.fields for _ in range(field.size)]
        self.register_buffer("low", torch.tensor([low for low, _ in ranges]), persistent=False)
        self.register_buffer("span", torch.tensor([span for _, span in ranges]), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """`[..., S]` of `states [..., S]`."""
        return (states - self.low) / self.span


def _low_and_span(field: StateField) -> tuple[float, float]:
    if field.typical is not None:
        return 0.0, field.typical
    if math.isfinite(field.low) and math.isfinite(field.high) and field.high > field.low:
        return field.low, field.high - field.low
    return 0.0, 1.0
