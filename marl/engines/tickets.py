"""What engines with several machines exchange through a job's folder, all of it JSON, beside the job's log:

    worker.attempt.json    whose turn it is: written at submission and when an attempt starts
    worker.progress.json   how far the attempt is, and how it ended

An attempt that finds that it is not its turn any more lets go of the folder.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

import qredit
from qredit.errors import ArtifactError
from qredit.files import read_json_untrusted, write_json
from qredit.marl.jobs import Job
from qredit.trust import TRUST_VARIABLE

PATIENCE_SECONDS = 90.0
"""How long an attempt waits for one on another machine to let go. A live one looks every second, but a network file
system may show it the news up to a minute late."""
# No secret among them: a ticket may be written to a file. `WANDB_API_KEY` has to be set on the machines themselves.
_CARRIED = (TRUST_VARIABLE, "WANDB_MODE", "WANDB_ENTITY", "WANDB_BASE_URL")


@dataclass(frozen=True)
class Ticket:
    """A job on its way to some machine."""

    job: Job
    """The job; its folder has to be on a file system that all machines share."""
    submission: str
    """Names this way of this job and no other."""
    qredit: str
    """Version of the sender."""
    environment: Mapping[str, str]
    """Environment variables of the sender that a training heeds."""
    patience_seconds: float
    """How long to wait for an earlier attempt to let go."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data = asdict(self)
        data["job"]["log"] = str(self.job.log)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ticket:
        """Back from plain data."""
        job = Job(**{**data["job"], "log": Path(data["job"]["log"])})
        return cls(**{**data, "job": job})


@dataclass(frozen=True)
class Turn:
    """Whose turn it is to work in a job's folder."""

    submission: str
    """The latest submission."""
    attempt: str | None
    """The latest attempt of it; none has started yet where there is none."""


@dataclass(frozen=True)
class Progress:
    """What an attempt says of itself."""

    submission: str
    """Whose attempt it is."""
    state: Literal["running", "finished", "failed", "stopped"]
    """`stopped`: it was told to; it may come again."""
    done: int
    """Units done."""
    total: int
    """Units in all."""
    error: Mapping[str, str] | None = None
    """What `failed` means, by `error_to_json`."""


def write_ticket(job: Job, *, patience_seconds: float = PATIENCE_SECONDS) -> Ticket:
    """A ticket for a job; from now on attempts of earlier submissions let go.

    Raises:
        StorageError: the job's folder cannot be written.
    """
    carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
    ticket = Ticket(job, uuid.uuid4().hex, qredit.__version__, carried, patience_seconds)
    write_turn(job, Turn(ticket.submission, None))
    return ticket


def write_turn(job: Job, turn: Turn) -> None:
    """Say whose turn it is."""
    write_json(job.log.with_suffix(".attempt.json"), asdict(turn))


def read_turn(job: Job) -> Turn | None:
    """Whose turn it is; `None` where nothing that can be read says so."""
    try:
        return TypeAdapter(Turn).validate_python(read_json_untrusted(job.log.with_suffix(".attempt.json")))
    except (ArtifactError, ValidationError):
        return None


def write_progress(job: Job, progress: Progress) -> None:
    """Say how far an attempt is."""
    write_json(job.log.with_suffix(".progress.json"), asdict(progress))


def read_progress(ticket: Ticket) -> Progress | None:
    """How far the latest attempt with this ticket is; `None` where nothing that can be read says so."""
    try:
        data = read_json_untrusted(ticket.job.log.with_suffix(".progress.json"))
        progress = TypeAdapter(Progress).validate_python(data)
    except (ArtifactError, ValidationError):
        return None
    return progress if progress.submission == ticket.submission else None
