"""The bytes between the parent, the fork server and a job's child.

    control   SOCK_SEQPACKET, parent and server: a `Hello` once; then per job one message with two descriptors
    channel   SOCK_STREAM, parent and one job's child: LOCKED, the request, the reply
    handle    SOCK_STREAM, parent and server, one per job: parent -> "kill it"; server -> how it ended

A child holds its channel and nothing else. What comes back on it is the attacker's: opaque bytes up to a cap.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Self

LOCKED: Final = b"L"
"""First byte on a channel: the child is locked down and has seen no byte of the job yet."""
NOT_LOCKED: Final = b"!"
"""Instead of LOCKED: locking failed, the reason follows. No byte of the job was sent, so this is trustworthy."""

RETURNED: Final = b"R"
"""Reply: the job's result follows."""
RAISED: Final = b"X"
"""Reply: the job raised; a traceback follows."""

KILL_JOB: Final = b"K"

EXIT_RAISED: Final = 70
EXIT_OUT_OF_MEMORY: Final = 71

_LENGTH: Final = struct.Struct("<Q")
_REQUEST: Final = struct.Struct("<I")
_ENDED: Final = struct.Struct("<ci")
_ENDED_STATUS: Final = b"E"
_ENDED_NO_FORK: Final = b"F"

REPLY_OVERHEAD: Final = 1 + _LENGTH.size
"""Bytes of a reply besides its content."""
LENGTH_SIZE: Final = _LENGTH.size
ENDED_SIZE: Final = _ENDED.size


def frame(content: bytes) -> bytes:
    """Prefix bytes with their length."""
    return _LENGTH.pack(len(content)) + content


def frame_length(header: bytes) -> int:
    """Read a length prefix."""
    (length,) = _LENGTH.unpack(header)
    return int(length)


def open_reply(reply: bytes) -> tuple[bytes, bytes] | None:
    """Split a reply into its tag and content, or give None if it is not exactly one well-formed reply."""
    tag, header, content = reply[:1], reply[1:REPLY_OVERHEAD], reply[REPLY_OVERHEAD:]
    if tag not in (RETURNED, RAISED) or len(header) != _LENGTH.size or frame_length(header) != len(content):
        return None
    return tag, content


def public(version: str) -> str:
    """A version without its local part, which tells builds of one version apart: `2.9.0+cpu` -> `2.9.0`."""
    return version.partition("+")[0]


@dataclass(frozen=True)
class Start:
    """Order to start a job; the descriptors of its channel and handle travel with it."""

    cpu_seconds: int
    """Hard limit of processor time."""

    def to_bytes(self) -> bytes:
        """Pack for the control socket."""
        return _REQUEST.pack(self.cpu_seconds)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack from the control socket."""
        (cpu_seconds,) = _REQUEST.unpack(data)
        return cls(cpu_seconds)


@dataclass(frozen=True)
class Ended:
    """How a job's process ended, from the server on the job's handle."""

    wait_status: int
    """As `waitpid` gives it; meaningless if the fork failed."""
    fork_errno: int = 0
    """Why there never was a process, or 0."""

    def to_bytes(self) -> bytes:
        """Pack for the handle."""
        if self.fork_errno:
            return _ENDED.pack(_ENDED_NO_FORK, self.fork_errno)
        return _ENDED.pack(_ENDED_STATUS, self.wait_status)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack from the handle."""
        kind, value = _ENDED.unpack(data)
        return cls(0, fork_errno=value) if kind == _ENDED_NO_FORK else cls(value)


@dataclass(frozen=True)
class Hello:
    """What a server says about itself when it is ready; the parent compares it with itself and fails closed."""

    python: str
    qredit: str
    qredit_folder: str
    torch: str
    threads: int
    """Threads of the server before any fork: must be 1."""

    @classmethod
    def of_this_process(cls, threads: int) -> Self:
        """Describe the process that calls this."""
        import qredit

        try:
            torch = metadata.version("torch")
        except metadata.PackageNotFoundError:
            torch = "none"
        folder = Path(qredit.__file__ or "").parent
        return cls(sys.version, qredit.__version__, str(folder.resolve()), torch, threads)

    def to_bytes(self) -> bytes:
        """Pack for the control socket."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack from the control socket."""
        return cls(**json.loads(data))
