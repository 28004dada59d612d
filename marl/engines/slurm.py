"""Jobs on a SLURM cluster, through submitit: one job array, one CPU per job.

What is submitted is `Attempt`: plain data and a function that is found by its name, so that what submitit pickles holds
no code. Results are never unpickled: how a job ended is read as JSON. A job that reaches its time limit, or is
preempted, is queued again by submitit and goes on from its checkpoint.

Jobs outlive the process that has submitted them, except on Ctrl-C or when one fails, which cancels the others. A sweep
that is resumed finds those that are still queued or running, and waits for them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

import qredit
from qredit.errors import ArtifactError, ConfigurationError, InfrastructureError, UnknownNameError
from qredit.files import read_json_untrusted, storage_errors, write_json
from qredit.marl.cores import usable_cores
from qredit.marl.engines.attempt import run_attempt
from qredit.marl.engines.dispatch import Ended, run_on
from qredit.marl.engines.options import number, require_package
from qredit.marl.engines.tickets import Ticket, read_progress, read_turn, write_ticket
from qredit.marl.jobs import Job, OnProgress
from qredit.marl.worker import GRACE_SECONDS, error_from_json

if TYPE_CHECKING:
    import submitit

SETTLE_SECONDS = 60.0
"""How long the last words of a job may take through a network file system after SLURM has called it done."""
_POLL_SECONDS = 0.5
_REQUEUES = 100
"""Times that a job may reach its time limit: each time it has come further."""
_DEFAULTS: Mapping[str, Any] = {"timeout_min": 240, "cpus_per_task": 1, "name": "qredit"}
_JOB_ID = re.compile(r"\d{1,20}(_\d{1,9})?")


@dataclass(frozen=True)
class Attempt:
    """What submitit calls on a machine of the cluster, and asks what to queue again when time is up."""

    ticket: Mapping[str, Any]
    """The ticket as plain data."""

    def __call__(self) -> None:
        """Work it off; how it ended stands in the job's folder, or in submitit's log if that is out of reach."""
        error = run_attempt(self.ticket)
        if error is not None:
            raise error_from_json(error)

    def checkpoint(self) -> Any:
        """The same once more: it goes on from the job's checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Submitted:
    """An entry of `jobs.json`, by the job's SHA-256."""

    slurm_id: str
    """SLURM's name for it."""
    submission: str
    """Of its ticket."""


@dataclass(frozen=True)
class SlurmEngine:
    """A SLURM cluster."""

    folder: Path
    """For what submitit writes, and for `jobs.json`."""
    parameters: Mapping[str, Any]
    """Parameters of submitit's `AutoExecutor`, such as `slurm_partition`."""
    cluster: str = "slurm"
    """`slurm`, or `local` for processes of submitit on this machine."""
    settle_seconds: float = SETTLE_SECONDS
    """See `SETTLE_SECONDS`."""

    @classmethod
    def from_options(cls, options: Mapping[str, str], folder: Path) -> SlurmEngine:
        """Made from `--engine-options`: parameters of submitit and `cluster=local`."""
        require_package("submitit", extra="slurm", needed_by="engine `slurm`")
        cluster = options.get("cluster", "slurm")
        if cluster not in ("slurm", "local"):
            raise UnknownNameError("cluster", cluster, ("slurm", "local"))
        own = {"cluster", "settle_seconds"}
        parameters = {name: _value(text) for name, text in options.items() if name not in own}
        settle = number(options, "settle_seconds", SETTLE_SECONDS)
        engine = cls((folder / "slurm").absolute(), {**_DEFAULTS, **parameters}, cluster, settle)
        engine._executor(1)  # tells what it does not like
        return engine

    def run(self, jobs: Sequence[Job], *, workers: int | None, on_progress: OnProgress) -> None:
        """See `Engine`; all jobs are queued at once, and `workers` is the array's limit."""
        if not jobs:
            return
        cluster = _SubmititCluster(self, workers)
        # submitit's own processes have no queue: they would all start at once.
        at_once = len(jobs) if self.cluster == "slurm" else workers or usable_cores()
        run_on(cluster, jobs, at_once=at_once, on_progress=on_progress, under_way=cluster.found(jobs))

    def submit(self, jobs: Sequence[Job], *, workers: int | None) -> Mapping[str, str]:
        """Queue all jobs and wait for none; `run` with the same jobs waits for them later.

        Returns:
            SLURM's name for each job, by its own; those that were queued before included.
        """
        cluster = _SubmititCluster(self, workers)
        queued = {ticket.job.name for ticket in cluster.found(jobs)}
        if fresh := [write_ticket(job) for job in jobs if job.name not in queued]:
            cluster.submit(fresh)
        entries = cluster.entries()
        return {job.name: entries[job.sha256].slurm_id for job in jobs}

    def _executor(self, at_once: int | None) -> submitit.AutoExecutor:
        import submitit

        if self.cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise ConfigurationError(
                "engine `slurm`",
                cause="there is no `sbatch` on this machine",
                remedy="Run it on a login node of the cluster, or try it here with --engine-options cluster=local.",
            )
        limit = {} if at_once is None else {"slurm_array_parallelism": at_once}
        try:
            executor = submitit.AutoExecutor(self.folder, self.cluster, slurm_max_num_timeout=_REQUEUES)
            executor.update_parameters(**{**self.parameters, **limit})
        except (NameError, ValueError, AssertionError) as error:
            raise ConfigurationError(
                f"engine options {dict(self.parameters)}",
                cause=f"submitit says: {str(error).splitlines()[0]}",
                remedy="See the parameters of submitit's AutoExecutor; SLURM's own start with `slurm_`.",
            ) from error
        return executor


class _SubmititCluster:
    """What of submitit a sweep needs."""

    def __init__(self, engine: SlurmEngine, at_once: int | None) -> None:
        self._engine = engine
        with storage_errors(engine.folder):
            engine.folder.mkdir(parents=True, exist_ok=True)
        self._executor = engine._executor(at_once)
        self._file = engine.folder / "jobs.json"
        self._jobs: dict[str, Any] = {}
        self._found: set[str] = set()
        self._ended: set[str] = set()
        self._silent_since: dict[str, float] = {}

    def entries(self) -> dict[str, Submitted]:
        """What `jobs.json` holds; the folder may come from a stranger."""
        try:
            found = TypeAdapter(dict[str, Submitted]).validate_python(read_json_untrusted(self._file))
        except (ArtifactError, ValidationError):
            return {}
        return {name: entry for name, entry in found.items() if _JOB_ID.fullmatch(entry.slurm_id)}

    def found(self, jobs: Sequence[Job]) -> list[Ticket]:
        """Tickets of these jobs that an earlier process has submitted and that are still queued or running."""
        import submitit

        job_class: type[Any] = submitit.SlurmJob if self._engine.cluster == "slurm" else submitit.LocalJob
        entries, tickets = self.entries(), []
        for job in jobs:
            entry, turn = entries.get(job.sha256), read_turn(job)
            if entry is None or turn is None or turn.submission != entry.submission:
                continue
            ticket = Ticket(job, entry.submission, qredit.__version__, {}, 0.0)
            queued = job_class(self._engine.folder, entry.slurm_id)
            if _last_words(ticket) is None and not queued.done(force_check=True):
                self._jobs[ticket.submission] = queued
                self._found.add(ticket.submission)
                tickets.append(ticket)
        return tickets

    def submit(self, tickets: Sequence[Ticket]) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            queued = self._executor.submit_array([Attempt(ticket.to_json()) for ticket in tickets])
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise InfrastructureError(
                f"cannot submit {len(tickets)} jobs to SLURM",
                cause=f"sbatch says: {lines[-1][:300] if lines else type(error).__name__}",
                remedy="Check --engine-options (slurm_partition, slurm_account, timeout_min), and run with --resume.",
            ) from error
        self._jobs |= {ticket.submission: job for ticket, job in zip(tickets, queued, strict=True)}
        fresh = {
            ticket.job.sha256: Submitted(str(job.job_id), ticket.submission)
            for ticket, job in zip(tickets, queued, strict=True)
        }
        write_json(self._file, {name: dataclasses.asdict(entry) for name, entry in {**self.entries(), **fresh}.items()})

    def wait(self) -> None:
        time.sleep(_POLL_SECONDS)

    def ended(self, ticket: Ticket) -> Ended | None:
        said = _last_words(ticket)
        if said is None:
            job = self._jobs[ticket.submission]
            if not job.done():
                return None
            since = self._silent_since.setdefault(ticket.submission, time.monotonic())
            if time.monotonic() - since < self._engine.settle_seconds:
                return None
            said = Ended(_silent_death(ticket, job))
        self._ended.add(ticket.submission)
        return said

    def stop(self) -> None:
        # What was found queued was left to itself before, and is again.
        own = {submission: job for submission, job in self._jobs.items() if submission not in self._found}
        for submission, job in own.items():
            if submission not in self._ended:
                job.cancel(check=False)
        deadline = time.monotonic() + GRACE_SECONDS
        while not all(job.done() for job in own.values()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _last_words(ticket: Ticket) -> Ended | None:
    progress = read_progress(ticket)
    if progress is None or progress.state in ("running", "stopped"):
        return None
    return Ended(None if progress.error is None else error_from_json(progress.error))


def _silent_death(ticket: Ticket, job: Any) -> InfrastructureError:
    return InfrastructureError(
        f"job `{ticket.job.name}` died",
        cause=f"SLURM calls its job {job.job_id} {job.state}, and it left no word",
        remedy=f"See `{job.paths.stderr}` and `{ticket.job.log}`; the folder has to be on a file system that all "
        "machines share. What is finished stays, `--resume` goes on.",
    )


def _value(text: str) -> Any:
    """A number or `true` as JSON has it, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
