"""Jobs on a Ray cluster, one CPU each: on machines that come and go.

Ray starts a job anew when its machine or its process is lost, and the job goes on from its checkpoint. The runs have to
be on a file system that all machines share, and qredit in the same version on each.

NOT covered: `ray://` addresses (Ray Client); start the sweep on a machine of the cluster.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qredit.errors import InfrastructureError
from qredit.marl.cores import usable_cores
from qredit.marl.engines.attempt import run_attempt
from qredit.marl.engines.dispatch import Ended, run_on
from qredit.marl.engines.options import number, refuse_unknown, require_package
from qredit.marl.engines.tickets import Ticket, read_progress
from qredit.marl.jobs import Job, OnProgress
from qredit.marl.worker import GRACE_SECONDS, error_from_json

_OPTIONS = ("address", "max_retries", "num_cpus", "num_gpus")


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster, or Ray on this machine where there is none."""

    address: str | None = None
    """Address of the cluster; else `$RAY_ADDRESS`, else a cluster that this machine is part of, else a new one here."""
    max_retries: int = 10
    """How often a job is started anew whose machine or process was lost."""
    num_cpus: float = 1
    """CPUs per job."""
    num_gpus: float = 0
    """GPUs per job; a fraction shares one."""

    @classmethod
    def from_options(cls, options: Mapping[str, str], folder: Path) -> RayEngine:
        """Made from `--engine-options`; needs no files of its own."""
        require_package("ray", extra="ray", needed_by="engine `ray`")
        refuse_unknown(options, _OPTIONS, engine="ray")
        return cls(
            address=options.get("address"),
            max_retries=int(number(options, "max_retries", cls.max_retries)),
            num_cpus=number(options, "num_cpus", cls.num_cpus),
            num_gpus=number(options, "num_gpus", cls.num_gpus),
        )

    def run(self, jobs: Sequence[Job], *, workers: int | None, on_progress: OnProgress) -> None:
        """See `Engine`; without `workers`, Ray gets all jobs and runs as many as it has CPUs."""
        if not jobs:
            return
        with _connected(self.address):
            run_on(_RayCluster(self), jobs, at_once=workers or len(jobs), on_progress=on_progress)


class _RayCluster:
    """What of Ray a sweep needs."""

    def __init__(self, engine: RayEngine) -> None:
        import ray

        self._ray: Any = ray
        self._refs: dict[str, Any] = {}
        self._tickets: dict[str, Ticket] = {}
        # An error of the job is a value; only the loss of its process or machine is Ray's to handle.
        self._attempt = ray.remote(
            num_cpus=engine.num_cpus,
            num_gpus=engine.num_gpus,
            max_retries=engine.max_retries,
            retry_exceptions=False,
        )(run_attempt)

    def submit(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            self._tickets[ticket.submission] = ticket
            self._refs[ticket.submission] = self._attempt.options(name=ticket.job.name).remote(ticket.to_json())

    def wait(self) -> None:
        # Progress comes in files: the second passes also when a job has ended, so as not to read them all at once.
        self._ray.wait(list(self._refs.values()), timeout=1.0)

    def ended(self, ticket: Ticket) -> Ended | None:
        reference = self._refs[ticket.submission]
        if not self._ray.wait([reference], timeout=0)[0]:
            return None
        del self._refs[ticket.submission]
        try:
            error = self._ray.get(reference)
        except self._ray.exceptions.RayError as lost:
            return Ended(_lost(ticket, lost))
        return Ended(None if error is None else error_from_json(error))

    def stop(self) -> None:
        for reference in self._refs.values():
            self._ray.cancel(reference, force=False)
        # Ray calls a task cancelled as soon as it is told to be, and the end of the connection kills it.
        deadline = time.monotonic() + GRACE_SECONDS + 1
        while any(map(self._is_running, self._refs)) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _is_running(self, submission: str) -> bool:
        progress = read_progress(self._tickets[submission])
        return progress is not None and progress.state == "running"


def _lost(ticket: Ticket, error: Exception) -> InfrastructureError:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    # The exception of another Python ends with what was raised, Ray's own with advice.
    is_trace = any(line.startswith("Traceback") or "::" in line for line in lines)
    words = (lines[-1] if is_trace else lines[0])[:300] if lines else type(error).__name__
    return InfrastructureError(
        f"job `{ticket.job.name}` was lost",
        cause=f"{type(error).__name__}: {words}",
        remedy=f"Its log is `{ticket.job.log}`; what is finished stays, `--resume` goes on.",
    )


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """A connection to Ray; one that the caller has opened is used and left open."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read where Ray is started: nothing is reported to anybody
    import ray

    if ray.is_initialized():
        yield
        return
    given = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address=given or "auto", **quiet)
    except ConnectionError as error:
        if given:
            raise InfrastructureError(
                f"cannot reach Ray at `{given}`",
                cause=str(error).splitlines()[0] if str(error) else "nobody answers",
                remedy="Start it with `ray start`, or leave the address out to use Ray on this machine.",
            ) from error
        ray.init(address="local", num_cpus=usable_cores(), include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()
