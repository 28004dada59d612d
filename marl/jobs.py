"""Many trainings at once: what a job is, whoever runs it (`qredit.marl.engines`).

Nothing is pickled: a job is an address and JSON. It has to be resumable by itself: wherever and however often it is
started, it goes on in its folder and ends with the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from qredit.files import sha256

TRAINING_SCHEMA = 2
"""Raised whenever the same settings lead to other numbers than before: half of a training must not be the old way."""


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
    """Where everything goes that the process prints; it stands in the job's folder."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What of the arguments decides the outcome, as JSON allows it: content where the arguments have a path."""

    @property
    def sha256(self) -> str:
        """Identity of the job: equal for two jobs that end with the same numbers, wherever their folders are."""
        identity = {"schema": TRAINING_SCHEMA, "work": self.work, "facts": dict(self.facts)}
        return sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())


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
