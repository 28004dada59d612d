"""Functions to trace before the lock-down; each imports lazily something else inside torch."""

from __future__ import annotations

SOURCES: tuple[str, ...] = (
    """
import torch
def credit(state):
    return torch.softmax(-state["agent_position"].abs().sum(-1), dim=1)
""",
)
BROKEN_SOURCES: tuple[str, ...] = ()
