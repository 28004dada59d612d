"""Many trainings at once: one process per job, one thread per process.

Each job runs in a fresh interpreter (`qredit.marl.worker`), not in a fork, because a forked process inherits torch's
thread pools in whatever state they are in. Its thread counts are set before torch is imported: two thread pools on the
same cores make an update many times slower. Nothing is pickled: a job is an address and JSON.

A job has to be resumable by itself: when one fails, or on Ctrl-C, the others are interrupted, and what they have
written stays. A job never outlives this process, however that ends.

NOT covered: several machines, restarting a job that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from qredit.errors import InfrastructureError, QreditError
from qredit.files import storage_errors
from qredit.marl.worker import GRACE_SECONDS, error_from_json

_POOLS = ("OMP", "MKL", "OPENBLAS", "NUMBA")
ONE_THREAD = {**{f"{pool}_NUM_THREADS": "1" for pool in _POOLS}, "VECLIB_MAXIMUM_THREADS": "1"}
_LOG_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Job:
    """One piece of work for a process of its own."""

    name: str
    """What people see, such as `vdn-seed0`."""
    work: str
    """Address `module:function` of a `qredit.marl.worker.Work`: a function object cannot cross to another process."""
    arguments: Mapping[str, Any]
    """What the function is called with, as JSON allows it."""
    total: int
    """Units of work in all, for a training environment steps."""
    log: Path
    """Where everything goes that the process prints."""


@dataclass(frozen=True)
class JobProgress:
    """How far one job is."""

    job: str
    """Name of the job."""
    state: Literal["waiting", "running", "finished", "kept"]
    """`waiting` for a process; `kept`: it was finished before and does not run again."""
    done: int
    """Units done, for a training environment steps."""
    total: int
    """Units in all."""


OnProgress = Callable[[JobProgress], None]


def run_jobs(jobs: Sequence[Job], *, workers: int, on_progress: OnProgress = lambda progress: None) -> None:
    """Run all jobs, at most `workers` at a time, in the given order.

    Args:
        on_progress: called in this thread; what it raises stops everything.

    Raises:
        QreditError: a job raised it; class and words are the same as there.
        InfrastructureError: a job's process died, or raised something that is a bug.
        KeyboardInterrupt: Ctrl-C; no process is left, every folder can be resumed.
    """
    if workers < 1:
        raise ValueError(f"workers = {workers}: at least one process has to work")
    waiting = deque(jobs)
    for job in jobs:
        on_progress(JobProgress(job.name, "waiting", 0, job.total))
    pool = _Pool(on_progress)
    try:
        while waiting or pool.busy:
            while waiting and pool.busy < workers:
                pool.start(waiting.popleft())
            pool.listen()
    finally:
        pool.stop()


class _Pool:
    """The processes at work, and the pipes from them."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> int:
        return len(self._workers)

    def start(self, job: Job) -> None:
        worker = _Worker(job)
        self._workers.append(worker)
        self._selector.register(worker.messages, selectors.EVENT_READ, worker)
        worker.send_job()

    def listen(self) -> None:
        """Wait for the next messages and pass them on; a process that has ended leaves the pool."""
        for key, _ in self._selector.select():
            worker: _Worker = key.data
            ended = worker.read(self._on_progress)
            if ended:
                self._selector.unregister(worker.messages)
                self._workers.remove(worker)
                worker.end()

    def stop(self) -> None:
        """End all processes: first asked to leave their folders in order, then killed."""
        try:
            for worker in self._workers:
                worker.ask_to_stop()
            deadline = time.monotonic() + GRACE_SECONDS
            for worker in self._workers:
                worker.wait_until(deadline)
        finally:  # also on a second Ctrl-C
            for worker in self._workers:
                worker.kill()
            self._selector.close()


class _Worker:
    """One process and what it has said so far."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._unread = b""
        self._finished = False
        with storage_errors(job.log):
            job.log.parent.mkdir(parents=True, exist_ok=True)
            log = job.log.open("ab")
        with log:
            self._process = _start_process(job.name, log)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_process, self.messages = self._process.stdin, self._process.stdout

    def send_job(self) -> None:
        line = json.dumps({"work": self.job.work, "arguments": dict(self.job.arguments)}) + "\n"
        with contextlib.suppress(BrokenPipeError):  # it died already, which `read` will notice
            self._to_process.write(line.encode())

    def read(self, on_progress: OnProgress) -> bool:
        """Handle what has arrived; whether this was the end.

        Raises:
            QreditError: what the job raised.
        """
        block = os.read(self.messages.fileno(), 65536)
        *lines, self._unread = (self._unread + block).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise self._explain(error_from_json(message["error"]))
            if "finished" in message:
                self._finished = True
                on_progress(JobProgress(self.job.name, "finished", self.job.total, self.job.total))
            else:
                on_progress(JobProgress(self.job.name, "running", message["done"], message["total"]))
        return not block

    def _explain(self, error: QreditError) -> QreditError:
        error.add_note(f"raised by job `{self.job.name}`; its log is `{self.job.log}`")
        return error

    def end(self) -> None:
        """Take leave of a process that has closed its pipe.

        Raises:
            InfrastructureError: it ended without having finished.
        """
        # Nothing of ours runs after the pipe is closed; a process that still lingers has nothing left to say.
        self.wait_until(time.monotonic() + GRACE_SECONDS)
        self.kill()
        if not self._finished:
            raise self._death()

    def _death(self) -> InfrastructureError:
        code = self._process.returncode
        remedy = f"Its log is `{self.job.log}`; what is finished stays, `--resume` goes on."
        if code < 0:
            cause = f"its process was ended by signal {-code} ({signal.strsignal(-code)})"
            if -code == signal.SIGKILL:
                cause += ", most often because the machine ran out of memory"
                remedy += " Fewer processes at once (`--jobs`) need less memory."
        else:
            cause = f"its process ended with exit code {code}: {_last_line(self.job.log)}"
        return InfrastructureError(f"job `{self.job.name}` died", cause=cause, remedy=remedy)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._to_process.close()

    def wait_until(self, deadline: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End the process for certain and close the pipes."""
        self._process.kill()  # does nothing to a process that has ended
        self._process.wait()
        self.ask_to_stop()
        self.messages.close()


def _start_process(name: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # The child finds what we find, however we came to find it; `-P` keeps the working directory out of it.
    search = [path or str(Path.cwd()) for path in sys.path]
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "qredit.marl.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(search)},
            process_group=0,  # Ctrl-C reaches us alone, and we stop the workers
        )
    except OSError as error:
        raise InfrastructureError(
            f"cannot start a process for job `{name}`",
            cause=os.strerror(error.errno or 0),
            remedy="Free memory or processes, or start fewer at once with `--jobs`, and run again with `--resume`.",
        ) from error


def _last_line(log: Path) -> str:
    """The last line of the log, which for an exception names it."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")
    return "its log cannot be read"
