"""The sender's side of engines with several machines: hands tickets out, follows them, stops all when one fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qredit.errors import QreditError
from qredit.marl.engines.tickets import Progress, Ticket, read_progress, write_ticket
from qredit.marl.jobs import Job, JobProgress, OnProgress


@dataclass(frozen=True)
class Ended:
    """How a ticket ended."""

    error: QreditError | None
    """What went wrong, if anything."""


class Cluster(Protocol):
    """A place that works tickets off."""

    def submit(self, tickets: Sequence[Ticket]) -> None:
        """Take on tickets; each is worked off by `run_attempt`, perhaps several times."""

    def wait(self) -> None:
        """Wait until there may be news, about a second at most."""

    def ended(self, ticket: Ticket) -> Ended | None:
        """How a ticket ended; `None` while it has not."""

    def stop(self) -> None:
        """End what still runs."""


def run_on(
    cluster: Cluster,
    jobs: Sequence[Job],
    *,
    at_once: int,
    on_progress: OnProgress,
    under_way: Sequence[Ticket] = (),
) -> None:
    """Run all jobs on a cluster, as `Engine.run` says.

    Args:
        at_once: tickets handed out at the same time at most.
        under_way: tickets that the cluster has already, of some of the jobs.
    """
    running = {ticket.job.name: ticket for ticket in under_way}
    waiting = deque(job for job in jobs if job.name not in running)
    for job in jobs:
        on_progress(JobProgress(job.name, "waiting", 0, job.total))
    shown: dict[str, Progress] = {}
    try:
        while waiting or running:
            fresh = [write_ticket(waiting.popleft()) for _ in range(min(len(waiting), at_once - len(running)))]
            if fresh:
                cluster.submit(fresh)
            running |= {ticket.job.name: ticket for ticket in fresh}
            cluster.wait()
            for name, ticket in list(running.items()):
                ended = cluster.ended(ticket)
                progress = read_progress(ticket)
                if progress is not None and progress != shown.get(name):
                    shown[name] = progress
                    on_progress(JobProgress(name, "running", progress.done, progress.total))
                if ended is not None:
                    del running[name]
                    _conclude(ticket.job, ended, on_progress)
    finally:
        cluster.stop()


def _conclude(job: Job, ended: Ended, on_progress: OnProgress) -> None:
    if ended.error is not None:
        ended.error.add_note(f"raised by job `{job.name}`; its log is `{job.log}`")
        raise ended.error
    on_progress(JobProgress(job.name, "finished", job.total, job.total))
