"""What goes over the stream to a container: an order per job, and how it ended. Two frames each: JSON, then bytes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import BinaryIO, Final, Self, get_args

from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails.jail import JobResult, Outcome

HEAD_LIMIT: Final = 1 << 16
"""Bytes of a message's JSON."""
BODY_LIMIT: Final = 1 << 28
"""Bytes of a payload or an output."""


OUTCOMES: Final = get_args(Outcome)


def read_frame(stream: BinaryIO, limit: int) -> bytes:
    """Read one length-prefixed piece.

    Raises:
        EOFError: the stream ended.
        ValueError: it claims to be longer than the limit.
    """
    size = wire.frame_length(_exactly(stream, wire.LENGTH_SIZE))
    if size > limit:
        raise ValueError(f"a frame of {size} bytes, more than {limit}")
    return _exactly(stream, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise EOFError
    return content


@dataclass(frozen=True)
class Order:
    """One job to run."""

    number: int
    """The answer bears the same one."""
    job: str
    payload: bytes
    timeout_seconds: float
    output_limit: int

    def to_bytes(self) -> bytes:
        """Pack."""
        head = {key: value for key, value in asdict(self).items() if key != "payload"}
        return wire.frame(json.dumps(head).encode()) + wire.frame(self.payload)

    @classmethod
    def read(cls, stream: BinaryIO) -> Self:
        """Unpack; raises as `read_frame`."""
        head = json.loads(read_frame(stream, HEAD_LIMIT))
        return cls(payload=read_frame(stream, BODY_LIMIT), **head)


@dataclass(frozen=True)
class Answer:
    """How a job ended, or why it could not be run."""

    number: int
    """Which order this answers."""
    result: JobResult | None
    error: JailError | None = None
    lost: bool = False
    """Whether the server was lost under the job."""

    @classmethod
    def of(cls, number: int, result: JobResult) -> Self:
        """A job that was run."""
        return cls(number, result)

    @classmethod
    def failed(cls, number: int, error: JailError, *, lost: bool) -> Self:
        """A job that could not be run."""
        return cls(number, None, error, lost)

    def to_bytes(self) -> bytes:
        """Pack."""
        head: dict[str, object] = {"number": self.number, "lost": self.lost}
        if self.error is not None:
            head["error"] = [text[:4000] for text in (self.error.what, self.error.cause, self.error.remedy)]
        elif self.result is not None:
            head |= {
                "outcome": self.result.outcome,
                "seconds": self.result.seconds,
                "detail": self.result.detail[:4000],
            }
        output = b"" if self.result is None else self.result.output
        return wire.frame(json.dumps(head).encode()) + wire.frame(output)

    @classmethod
    def read(cls, stream: BinaryIO) -> Self:
        """Unpack; raises as `read_frame`, and ValueError, KeyError or TypeError for anything malformed."""
        head = json.loads(read_frame(stream, HEAD_LIMIT))
        output = read_frame(stream, BODY_LIMIT)
        if "error" in head:
            what, cause, remedy = map(str, head["error"])
            error = JailError(what, cause=cause, remedy=remedy)
            return cls(int(head["number"]), None, error, lost=bool(head["lost"]))
        outcome: Outcome = head["outcome"]
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome `{outcome}`")
        return cls(int(head["number"]), JobResult(outcome, output, float(head["seconds"]), str(head["detail"])))
