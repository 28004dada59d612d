"""What `verify` answers: accepted with a credit graph, or rejected with one message for the coder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["gate", "trace", "graph", "contract"]
Kind = Literal["unsupported", "forbidden", "trace", "graph", "contract", "resource"]

QUOTE_LIMIT = 500
"""How many characters a message may hold that the candidate controls."""


@dataclass(frozen=True)
class Accepted:
    """The source is a credit function: it became a credit graph, and the graph keeps the contract."""

    graph: bytes
    """The credit graph as canonical JSON; the only thing that training executes."""
    graph_sha256: str
    """SHA-256 of `graph`, in hexadecimal."""
    form: str
    """`weights`, `general` or `shares`, from the graph's header."""
    warnings: tuple[str, ...]
    """What the evaluator should know, one sentence each; no reason to reject."""
    seconds: float
    """Wall clock of the whole check."""
    vdn_difference: float
    """Share of the probe states, in [0, 1], in which the function differs from VDN."""

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON data; the graph itself is left out, its SHA-256 stands for it."""
        return {
            "verdict": "accepted",
            "graph_sha256": self.graph_sha256,
            "form": self.form,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 6),
            "vdn_difference": self.vdn_difference,
        }


@dataclass(frozen=True)
class Rejected:
    """The source is no credit function; a value, never an exception."""

    stage: Stage
    """Which check refused it."""
    kind: Kind
    """`unsupported` is worth a retry, `forbidden` is recorded as an attack, `resource` took too much time or memory."""
    message: str
    """What, where and the remedy, as the coder reads it."""
    line: int | None
    """The offending line of the source, counted from 1, where it is known."""
    seconds: float
    """Wall clock until the refusal."""

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON data."""
        return {
            "verdict": "rejected",
            "stage": self.stage,
            "kind": self.kind,
            "message": self.message,
            "line": self.line,
            "seconds": round(self.seconds, 6),
        }


Verdict = Accepted | Rejected


def quoted(text: str, limit: int = QUOTE_LIMIT) -> str:
    """Text that a candidate may have written, fit to stand inside a message: printable, on one line, capped, in quotes.

    Exception text can carry instructions to the model that reads it; quotation marks inside become apostrophes, so that
    the text cannot end its own quotation.
    """
    flat = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    flat = " ".join(flat.split()).replace('"', "'")
    return f'"{flat if len(flat) <= limit else flat[: limit - 3] + "..."}"'
