"""One job's process: locks itself down, and only then asks for the first byte of the job.

Runs in a fork of the warm server. Order matters: descriptors first, limits and Landlock next, system calls last.
After that the process can compute, write to its channel and end.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from qredit.sandbox.inside import kernel, landlock, limits, seccomp, wire

CHANNEL: Final = 3
"""The channel's descriptor in every job; 0, 1 and 2 are /dev/null."""

RunJob = Callable[[str, bytes], bytes]


@dataclass(frozen=True)
class Lock:
    """What a child needs to lock itself down, prepared once by the server."""

    server_pid: int
    """Whose death ends the child."""

    address_space_bytes: int
    """Limit of mapped memory."""

    job_filter: bytes
    """Compiled job policy."""

    landlock: bool
    """Whether to use Landlock; without it, only the filter and the server's surrounding hide files."""


def run(channel: int, cpu_seconds: int, lock: Lock, run_job: RunJob) -> NoReturn:
    """Lock this process down, read one job from the channel, run it, write the reply, end."""
    try:
        _lock_down(channel, cpu_seconds, lock)
    except OSError as error:
        os.write(CHANNEL, wire.NOT_LOCKED + str(error).encode())
        os._exit(wire.EXIT_RAISED)
    try:
        _serve(run_job)
    finally:  # reached only by an exception, whatever its kind: a job never returns into the server's code
        _report(sys.exc_info()[1])


def _lock_down(channel: int, cpu_seconds: int, lock: Lock) -> None:
    os.dup2(channel, CHANNEL)
    os.dup2(1, 2)  # the server's standard error leads to the parent
    os.closerange(CHANNEL + 1, limits.SERVER_DESCRIPTORS)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    limits.die_with(lock.server_pid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    limits.limit_job(address_space_bytes=lock.address_space_bytes, cpu_seconds=cpu_seconds)
    if lock.landlock:
        landlock.deny_everything()
    seccomp.install(lock.job_filter)


def _serve(run_job: RunJob) -> NoReturn:
    _write(wire.LOCKED)
    name = _read_frame().decode("ascii")
    payload = _read_frame()
    try:
        result = run_job(name, payload)
    except MemoryError:
        os._exit(wire.EXIT_OUT_OF_MEMORY)
    _write(wire.RETURNED + wire.frame(result))
    os._exit(0)


def _report(error: BaseException | None) -> NoReturn:
    try:
        text = "".join(traceback.format_exception(error))
        _write(wire.RAISED + wire.frame(text.encode("utf-8", "backslashreplace")))
    finally:
        os._exit(wire.EXIT_RAISED)


def _read_frame() -> bytes:
    return _read(wire.frame_length(_read(wire.LENGTH_SIZE)))


def _read(size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = os.read(CHANNEL, min(size - len(received), 1 << 20))
        if not piece:
            os._exit(wire.EXIT_RAISED)  # the parent gave up
        received += piece
    return bytes(received)


def _write(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(CHANNEL, view) :]
