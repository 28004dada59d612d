"""One thing that the gate objects to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GateKind = Literal["forbidden", "unsupported"]


@dataclass(frozen=True)
class Finding:
    """What, where and the remedy."""

    line: int
    """Line of the source, counted from 1."""
    what: str
    """What stands there, as a sentence without its full stop."""
    remedy: str
    """What to write in its place, as an instruction."""
    kind: GateKind = "unsupported"
    """`forbidden` is recorded as an attack."""
    column: int = 0
    """Column within the line, counted from 0."""
