"""Jobs on this machine: one process per job, one thread per process.

Each job runs in a fresh interpreter (`qredit.marl.worker`), not in a fork, because a forked process inherits torch's
thread pools in whatever state they are in. Its thread counts are set before torch is imported: two thread pools on the
same cores make an update many times slower.

When a job fails, or on Ctrl-C, the others are interrupted, and what they have written stays. A job never outlives this
process, however that ends.

NOT covered: restarting a job that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from qredit.errors import InfrastructureError, QreditError
from qredit.files import storage_errors
from qredit.marl.children import child_environment, module_command
from qredit.marl.cores import usable_cores
from qredit.marl.engines.options import refuse_unknown
from qredit.marl.jobs import Job, JobProgress, OnProgress
from qredit.marl.worker import GRACE_SECONDS, error_from_json

_POOLS = ("OMP", "MKL", "OPENBLAS", "NUMBA")
ONE_THREAD = {**{f"{pool}_NUM_THREADS": "1" for pool in _POOLS}, "VECLIB_MAXIMUM_THREADS": "1"}
_LOG_TAIL_BYTES = 8192
_TICK_SECONDS = 1.0


class KilledError(InfrastructureError):
    """A job's process was killed, which says nothing against trying again."""


class LocalEngine:
    """This machine."""

    @classmethod
    def from_options(cls, options: Mapping[str, str], folder: Path) -> LocalEngine:
        """Made from no options, with no files of its own."""
        refuse_unknown(options, (), engine="local")
        return cls()

    def run(self, jobs: Sequence[Job], *, workers: int | None, on_progress: OnProgress) -> None:
        """See `Engine`; without `workers`, as many jobs at a time as this process may use cores."""
        run_jobs(jobs, workers=usable_cores() if workers is None else workers, on_progress=on_progress)


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int,
    on_progress: OnProgress = lambda progress: None,
    on_tick: Callable[[], None] = lambda: None,
) -> None:
    """Run all jobs, at most `workers` at a time, in the given order.

    Args:
        on_progress: called in this thread; what it raises stops everything.
        on_tick: called about once a second, whether there is progress or not; what it raises stops everything.

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
            on_tick()
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
        """Wait a while for messages and pass them on; a process that has ended leaves the pool."""
        for key, _ in self._selector.select(_TICK_SECONDS):
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
        what = f"job `{self.job.name}` died"
        log = f"Its log is `{self.job.log}`; what is finished stays, `--resume` goes on."
        if code == -signal.SIGKILL:
            return KilledError(
                what,
                cause="its process was ended by signal 9 (Killed), most often because the machine ran out of memory",
                remedy=f"{log} Fewer processes at once (`--jobs`) need less memory.",
            )
        if code < 0:
            cause = f"its process was ended by signal {-code} ({signal.strsignal(-code)})"
        else:
            cause = f"its process ended with exit code {code}: {_last_line(self.job.log)}"
        return InfrastructureError(what, cause=cause, remedy=log)

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
    try:
        return subprocess.Popen(
            module_command("qredit.marl.worker", name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            env=child_environment(**ONE_THREAD),
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
