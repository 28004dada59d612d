"""What `describe_all` and its job in the jail exchange, and what a text of a describe function may be.

    request  length + JSON header (source, layout, egos) + observations as little-endian float64
    reply    b"T" + one JSON string per line and observation, or a failure as of a trace; the candidate may forge either

The host parses a reply line by line, each of bounded length, so that forged JSON cannot grow in its memory.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from qredit.layout import StateLayout
from qredit.sandbox.payloads import TraceRefusal, read_trace_reply

MAX_TEXT: Final = 4000
"""Characters of one text."""
MAX_REPLY_BYTES: Final = 8_000_000
"""Bytes of all texts of one call, as JSON in ASCII."""

_TEXTS: Final = b"T"
_LENGTH: Final = struct.Struct("<I")
_LONGEST_LINE: Final = 12 * MAX_TEXT + 2
"""Bytes of a text outside the basic plane, all of it escaped, with its quotation marks."""
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+>")


@dataclass(frozen=True)
class DescribeRequest:
    """Order to describe observations."""

    source: str
    """The candidate's module."""
    layout: StateLayout
    """The named fields of an observation."""
    egos: tuple[int, ...]
    """The agent that each text is for, `[M]`."""
    observations: bytes
    """`[M, O]`, little-endian float64, row by row."""

    def to_bytes(self) -> bytes:
        """Pack for the jail; a half of a surrogate pair survives as an escape."""
        header = {"source": self.source, "layout": self.layout.to_json(), "egos": self.egos}
        packed = json.dumps(header).encode("ascii")
        return _LENGTH.pack(len(packed)) + packed + self.observations

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack in the jail."""
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size + length
        header = json.loads(data[_LENGTH.size : start])
        layout = StateLayout.from_json(header["layout"])
        return cls(header["source"], layout, tuple(header["egos"]), data[start:])

    def row(self, index: int) -> tuple[float, ...]:
        """The numbers of one observation, `[O]`."""
        size = self.layout.size
        return struct.unpack_from(f"<{size}d", self.observations, 8 * size * index)


def fault_of(text: str) -> str:
    """What keeps a string from being a description, with the remedy; nothing if it is one."""
    if not text.strip():
        return "an empty text. Return a text in every case"
    if len(text) > MAX_TEXT:
        return f"a text of {len(text)} characters, the limit is {MAX_TEXT}. Write a shorter one"
    if not text.replace("\n", "").isprintable():
        return "a text with a character that cannot be printed. Use letters, digits, punctuation and newlines"
    if _ADDRESS.search(text):
        return "a text with the address of an object, which is another in each run. Describe values only"
    return ""


def pack_texts(texts: list[str]) -> bytes:
    """The reply of a job that described everything."""
    return _TEXTS + "\n".join(map(json.dumps, texts)).encode("ascii")


def read_describe_reply(reply: bytes, count: int) -> tuple[str, ...] | TraceRefusal | None:
    """The texts, the refusal, or None for bytes that our child code never writes."""
    if reply[:1] != _TEXTS:
        refusal = read_trace_reply(reply)
        return refusal if isinstance(refusal, TraceRefusal) else None
    if len(reply) > MAX_REPLY_BYTES or reply.count(b"\n") != count - 1:
        return None
    texts = [_read_text(line) for line in reply[1:].split(b"\n")]
    known = tuple(text for text in texts if text is not None)
    return known if len(known) == count else None


def _read_text(line: bytes) -> str | None:
    try:
        text = json.loads(line) if len(line) <= _LONGEST_LINE else None
    except (ValueError, RecursionError):
        return None
    return text if isinstance(text, str) and not fault_of(text) else None
