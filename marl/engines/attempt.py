"""One attempt at a job, on whatever machine a cluster has chosen.

The work itself is done by a process of its own, as on one machine; this here watches it, tells how far it is, and stops
it when the job's turn goes to another attempt.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import qredit
from qredit.errors import ConfigurationError, InfrastructureError, QreditError
from qredit.marl.engines.local import KilledError, run_jobs
from qredit.marl.engines.tickets import Progress, Ticket, Turn, read_turn, write_progress, write_turn
from qredit.marl.jobs import JobProgress
from qredit.marl.worker import error_to_json
from qredit.runs import ATTEMPT_VARIABLE, outwait_attempt

_TRIES = 3
"""Starts of the work's process: it is the first to be killed when a machine runs out of memory."""


def run_attempt(data: Mapping[str, Any]) -> dict[str, str] | None:
    """Run the job of a ticket, given and answered as plain data.

    Returns:
        The error it ended with, by `error_to_json`; `None` when it is finished.
    """
    ticket = Ticket.from_json(data)
    try:
        _check_folder(ticket)
    except QreditError as error:
        return error_to_json(error)
    attempt = _Attempt(ticket)
    try:
        attempt.run()
    except QreditError as error:
        attempt.end("failed", error_to_json(error))
        return error_to_json(error)
    except BaseException:  # told to stop, by Ctrl-C there or by the cluster here
        attempt.end("stopped")
        raise
    attempt.end("finished")
    return None


def _check_folder(ticket: Ticket) -> None:
    turn = read_turn(ticket.job)
    if turn is None or turn.submission != ticket.submission:
        raise InfrastructureError(
            f"cannot work in `{ticket.job.log.parent}` on `{socket.gethostname()}`",
            cause="what the start of the sweep wrote there is not seen, or another sweep has taken over",
            remedy="Keep the runs on a file system that all machines share (QREDIT_RUNS=DIR), and run with --resume.",
        )


def _check_version(ticket: Ticket) -> None:
    if ticket.qredit != qredit.__version__:
        raise ConfigurationError(
            f"qredit {qredit.__version__} on `{socket.gethostname()}`",
            cause=f"the sweep was started by qredit {ticket.qredit}",
            remedy="Install the same version on all machines.",
        )


class _Attempt:
    """An attempt and what it says of itself."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._turn = Turn(ticket.submission, uuid.uuid4().hex)
        self._progress = Progress(ticket.submission, "running", 0, ticket.job.total)
        self._written: Progress | None = None

    def run(self) -> None:
        """Wait for the turn, then work."""
        write_turn(self._ticket.job, self._turn)
        self._write()
        _check_version(self._ticket)
        os.environ |= {**self._ticket.environment, ATTEMPT_VARIABLE: str(self._turn.attempt)}
        for _ in range(_TRIES - 1):
            with contextlib.suppress(KilledError):
                return self._work()
        return self._work()

    def _work(self) -> None:
        job = self._ticket.job
        outwait_attempt(job.log.parent, patience_seconds=self._ticket.patience_seconds)
        run_jobs([job], workers=1, on_progress=self._note, on_tick=self._tick)

    def end(self, state: Literal["finished", "failed", "stopped"], error: Mapping[str, str] | None = None) -> None:
        """Say how it ended, unless nobody asks any more."""
        if read_turn(self._ticket.job) == self._turn:
            self._progress = replace(self._progress, state=state, error=error)
            self._write()

    def _note(self, progress: JobProgress) -> None:
        if progress.state == "running":
            self._progress = replace(self._progress, done=progress.done, total=progress.total)

    def _tick(self) -> None:
        job = self._ticket.job
        if read_turn(job) != self._turn:
            raise InfrastructureError(
                f"attempt at job `{job.name}` on `{socket.gethostname()}`",
                cause="a newer attempt has taken over",
                remedy="Wait for that one.",
            )
        self._write()

    def _write(self) -> None:
        if self._progress != self._written:
            write_progress(self._ticket.job, self._progress)
            self._written = self._progress
