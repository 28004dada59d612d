"""A jail that runs jobs in fork servers: waits for a free slot, replaces servers that died or served long enough.

Every jail of this project is this class with another way to start its server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from qredit.errors import JailError
from qredit.sandbox.inside import probe
from qredit.sandbox.jails.exchange import ServerLostError
from qredit.sandbox.jails.jail import DEFAULT_OUTPUT_LIMIT, Job, JobResult

JOBS_PER_SERVER: Final = 300
"""A server is replaced after so many jobs, so that nothing can pile up in it."""

ATTEMPTS: Final = 2
"""How often a job is started when its server dies under it."""

PROBE_SECONDS: Final = 30.0

_JOB_BYTES: Final = 2 << 30
"""Memory that one running job is expected to need at most."""


class Server(Protocol):
    """Something that runs jobs in forks of a warm process: `ForkServer`, or one in a container."""

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int) -> JobResult:
        """Run one job.

        Raises:
            ServerLostError: the server died; the job may be run again elsewhere.
            JailError: no process could be made, or it could not lock itself down.
        """
        ...

    def close(self) -> None:
        """End the server and with it every job. May be called twice."""
        ...


class ServerJail:
    """A jail of interchangeable fork servers; see `qredit.sandbox.jails.jail.Jail` for its promises.

    Args:
        name: name of the jail.
        launch: starts one server.
        max_parallel: most jobs that run at once; by default what processors and free memory allow.
        jobs_per_server: after how many jobs a server is replaced.

    Raises:
        JailError: the first server could not be started, or did not pass the probe.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], Server],
        *,
        max_parallel: int | None = None,
        jobs_per_server: int = JOBS_PER_SERVER,
    ) -> None:
        self._name = name
        self._launch = launch
        self._jobs_per_server = jobs_per_server
        self._slots = threading.BoundedSemaphore(max_parallel or parallel_jobs())
        self._lock = threading.Lock()
        self._closed = False
        self._shift = _Shift(self._start())

    @property
    def name(self) -> str:
        """Name of the jail."""
        return self._name

    def run(
        self, job: Job, payload: bytes, *, timeout_seconds: float, output_limit: int = DEFAULT_OUTPUT_LIMIT
    ) -> JobResult:
        """Run one job in a fresh process; waits for a free slot first.

        Raises:
            JailError: the jail broke or is closed; says nothing about the job.
        """
        with self._slots:
            for _ in range(ATTEMPTS):
                shift = self._take()
                try:
                    return shift.server.run(job, payload, timeout_seconds=timeout_seconds, output_limit=output_limit)
                except ServerLostError as error:
                    lost = error
                    shift.worn = True
                finally:
                    self._give_back(shift)
        raise JailError(
            "the jail's server was lost twice under one job",
            cause=lost.cause if not self._closed else "the jail was closed meanwhile",
            remedy="Look for a lack of memory on this machine (`dmesg`), then run the command again.",
        )

    def close(self) -> None:
        """End the jail and every process in it. May be called twice."""
        with self._lock:
            self._closed = True
            self._shift.server.close()

    def __enter__(self) -> Self:
        """Give the jail itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _take(self) -> _Shift:
        """Book one job on the current server, starting a new one where needed."""
        with self._lock:
            if self._closed:
                raise JailError(
                    f"jail `{self._name}` is closed", cause="it was closed before this job", remedy="Open another one."
                )
            if self._shift.worn or self._shift.started >= self._jobs_per_server:
                self._shift.worn = True
                self._end(self._shift)
                self._shift = _Shift(self._start())
            self._shift.started += 1
            self._shift.running += 1
            return self._shift

    def _give_back(self, shift: _Shift) -> None:
        with self._lock:
            shift.running -= 1
            self._end(shift)

    @staticmethod
    def _end(shift: _Shift) -> None:
        """Close a server that is worn and idle; one that still has jobs is closed by the last of them."""
        if shift.worn and not shift.running:
            shift.server.close()

    def _start(self) -> Server:
        server = self._launch()
        try:
            check(server)
        except JailError:
            server.close()
            raise
        return server


class _Shift:
    """A server and its work so far; guarded by the jail's lock."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.started = 0
        self.running = 0
        self.worn = False


def check(server: Server) -> None:
    """Run the probe: a good function must pass, five attacks must be stopped.

    Raises:
        JailError: the server does not hold what a jail must.
    """
    for name in (probe.GOOD, *probe.ATTACKS):
        result = server.run(probe.JOB, name.encode(), timeout_seconds=PROBE_SECONDS, output_limit=4096)
        if name == probe.GOOD:
            passed = result.outcome == "done" and result.output == probe.PASSED
        else:
            passed = result.outcome == "killed" or (result.outcome == "done" and result.output == probe.STOPPED)
        if not passed:
            raise JailError(
                f"the jail failed its probe `{name}`",
                cause=result.detail or result.output.decode("utf-8", "replace"),
                remedy="Nothing was run. Report this with the output of `qredit doctor`.",
            )


def parallel_jobs() -> int:
    """Give how many jobs may run at once: one per processor, and 2 GiB of free memory for each."""
    processors = len(os.sched_getaffinity(0))
    memory = Path("/proc/meminfo").read_text(encoding="ascii")
    available = next(int(line.split()[1]) * 1024 for line in memory.splitlines() if line.startswith("MemAvailable"))
    return max(1, min(processors, available // _JOB_BYTES))
