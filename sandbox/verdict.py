"""What a check answers: accepted with what may be used of the program, or rejected with one message for the coder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["gate", "trace", "graph", "contract"]
Kind = Literal["unsupported", "forbidden", "trace", "graph", "contract", "resource"]

QUOTE_LIMIT = 500
"""How many characters a message may hold that the candidate controls."""


@dataclass(frozen=True)
class Accepted:
    """The source is a program of a kind that was asked for, and it keeps the kind's contract."""

    payload: bytes
    """Canonical JSON. Of a tensor program its credit graph, the only thing that training executes; of a describe
    function its texts."""
    payload_sha256: str
    """SHA-256 of `payload`, in hexadecimal."""
    form: str
    """`weights`, `general`, `shares` or `value`, from the graph's header; `describe` for texts."""
    warnings: tuple[str, ...]
    """What the evaluator should know, one sentence each; no reason to reject."""
    seconds: float
    """Wall clock of the whole check."""
    vdn_difference: float | None
    """Share of the probe states, in [0, 1], in which the credit differs from VDN's; None for what gives no credit."""

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON data; the payload is left out, its SHA-256 stands for it."""
        return {
            "verdict": "accepted",
            "payload_sha256": self.payload_sha256,
            "form": self.form,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 6),
            "vdn_difference": self.vdn_difference,
        }


@dataclass(frozen=True)
class Rejected:
    """The source is no such program; a value, never an exception."""

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
