"""From bytes to a checked graph."""

from __future__ import annotations

from qredit.credit.schema import CreditGraph


def parse_graph(data: bytes) -> CreditGraph:
    """Parse and check a graph; raises GraphError."""
    raise NotImplementedError
