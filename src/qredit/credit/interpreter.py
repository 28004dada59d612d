"""The reference interpreter."""

from __future__ import annotations

from torch import Tensor

from qredit.credit.schema import CreditGraph


def interpret(graph: CreditGraph, *, state: Tensor, agents_q: Tensor | None = None) -> tuple[Tensor, ...]:
    """Raw outputs of a graph for `state [B, S]` and, in the general form, `agents_q [B, N]`."""
    raise NotImplementedError
