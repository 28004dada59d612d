"""The parent's side of one job: send the request, count the bytes that come back, keep the wall clock.

Nothing the child sends can make this wait past the deadline, hold more than the cap, or reach another job: its
channel is its only descriptor, and its end is told by the server on a handle that the child does not have.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import Final

from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails.jail import JobResult, Outcome

GRACE_SECONDS: Final = 30.0
"""How long the server may take to start a job, and to report the end of one that it was told to kill."""

PIECE: Final = 1 << 16

_OUT_OF_MEMORY: Final = "it needed more memory than it may have"


class ServerLostError(JailError):
    """The server died under a job; the job can be run again in another one."""

    def __init__(self, what: str = "the jail's server was lost") -> None:
        super().__init__(what, cause="it ended while a job ran", remedy="Run the same command again.")


@dataclass
class Exchange:
    """One job's conversation, driven by `run`."""

    channel: socket.socket
    """To the job's child."""

    handle: socket.socket
    """To the server, about this job."""

    request: bytes
    """Job name and payload, framed."""

    timeout_seconds: float
    output_limit: int

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._received = bytearray()
        self._unsent: memoryview | None = None
        """None until the child says that it is locked down."""
        self._ended: wire.Ended | None = None
        self._limit: Outcome | None = None
        """The limit that the job was killed for."""
        self._deadline = self._started + GRACE_SECONDS
        """Until the child is locked down: ours. Then the job's wall clock."""
        self._poll = select.poll()
        for end in (self.channel, self.handle):
            end.setblocking(False)
            self._poll.register(end, select.POLLIN)

    def run(self) -> JobResult:
        """Converse until the child's process has ended, killing it if it goes past a limit.

        Raises:
            ServerLostError: the server died.
            JailError: no process was made for the job, or it could not lock itself down.
        """
        while self._ended is None:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                if self._limit is not None or self._unsent is None:
                    raise ServerLostError("the jail's server did not answer in time")
                self._kill("timeout")
            else:
                self._turn(remaining)
            if self._limit is None and self._over_cap():
                self._kill("output_limit")
        self._drain()
        return self._result(self._ended, time.monotonic() - self._started)

    def _over_cap(self) -> bool:
        return len(self._received) > self.output_limit + wire.REPLY_OVERHEAD

    def _kill(self, limit: Outcome) -> None:
        with contextlib.suppress(OSError):  # the server is gone or the job has just ended; the next turn sees it
            self.handle.send(wire.KILL_JOB)
        self._limit = limit
        self._deadline = time.monotonic() + GRACE_SECONDS

    def _turn(self, seconds: float) -> None:
        """Wait for one event and handle all that came."""
        # At least a millisecond: poll rounds towards zero, and zero would spin.
        for descriptor, events in self._poll.poll(max(1.0, seconds * 1000)):
            if descriptor == self.handle.fileno():
                self._read_end()
            elif events & select.POLLIN:
                self._read()
            elif events & select.POLLOUT and not events & (select.POLLERR | select.POLLHUP):
                self._write()
            else:
                self._poll.unregister(self.channel)

    def _read_end(self) -> None:
        try:
            message = self.handle.recv(wire.ENDED_SIZE)
        except ConnectionResetError:
            message = b""
        if len(message) != wire.ENDED_SIZE:
            raise ServerLostError
        self._ended = wire.Ended.from_bytes(message)

    def _read(self) -> None:
        try:
            piece = self.channel.recv(PIECE)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self._poll.unregister(self.channel)
            return
        self._take(piece)

    def _take(self, piece: bytes) -> None:
        if self._unsent is None:
            if piece[:1] != wire.LOCKED:  # no byte of the job was sent: this is the child's own report
                raise _not_locked(piece[1:])
            piece = piece[1:]
            self._deadline = time.monotonic() + self.timeout_seconds
            self._unsent = memoryview(self.request)
            self._write()
        if not self._over_cap():  # past the cap nothing is kept
            self._received += piece

    def _write(self) -> None:
        assert self._unsent is not None, "written only to a locked child"
        try:
            self._unsent = self._unsent[self.channel.send(self._unsent) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = memoryview(b"")
        self._poll.modify(self.channel, select.POLLIN | (select.POLLOUT if self._unsent else 0))

    def _drain(self) -> None:
        """Take what the ended child had written before."""
        while not self._over_cap():
            try:
                piece = self.channel.recv(PIECE)
            except (BlockingIOError, ConnectionResetError):
                return
            if not piece:
                return
            self._take(piece)

    def _result(self, ended: wire.Ended, seconds: float) -> JobResult:
        if ended.fork_errno:
            raise JailError(
                "no process could be made for a job",
                cause=os.strerror(ended.fork_errno),
                remedy="Free memory or processes, or run fewer jobs at once.",
            )
        code = os.waitstatus_to_exitcode(ended.wait_status)
        if self._unsent is None:
            raise _not_locked(b"its process ended with %d" % code)
        if self._limit == "timeout":
            return JobResult("timeout", b"", seconds, f"it ran longer than {self.timeout_seconds:g} seconds")
        if self._over_cap():
            return JobResult("output_limit", b"", seconds, f"it sent more than {self.output_limit} bytes")
        if code < 0:
            return JobResult("killed", b"", seconds, _describe(-code))
        return _judge(code, bytes(self._received), seconds)


def _judge(code: int, received: bytes, seconds: float) -> JobResult:
    """Judge a process that ended by itself within its limits."""
    reply = wire.open_reply(received)
    if code == 0 and reply is not None and reply[0] == wire.RETURNED:
        return JobResult("done", reply[1], seconds, "")
    if code == wire.EXIT_OUT_OF_MEMORY:
        return JobResult("killed", b"", seconds, _OUT_OF_MEMORY)
    if reply is not None and reply[0] == wire.RAISED:
        text = reply[1].decode("utf-8", "replace")
        return JobResult("silent_exit", b"", seconds, f"the job raised: {text[-2000:]}")
    shape = "without a reply" if not received else "with a malformed reply"
    return JobResult("silent_exit", b"", seconds, f"it ended with exit code {code} {shape}")


_SIGNALS: Final = {  # by name: this module is also imported where these signals do not exist
    "SIGKILL": "its processor time was used up, or the machine ran out of memory",
    "SIGSYS": "it made a forbidden system call",
}


def _describe(number: int) -> str:
    known = {member.value: member for member in signal.Signals}.get(number)
    if known is None:
        return f"killed by signal {number}"
    return f"killed by {known.name}: {_SIGNALS.get(known.name, 'it crashed')}"


def _not_locked(reason: bytes) -> JailError:
    return JailError(
        "a job's process could not lock itself down",
        cause=reason.decode("utf-8", "replace")[:500] or "it ended early",
        remedy="Nothing was run. See `qredit doctor` for what this machine lacks.",
    )
