"""What an engine is and how one is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from qredit.errors import ConfigurationError
from qredit.marl.jobs import Job, OnProgress

# Values such as `gres=gpu:1,shard:2` have commas too: one ends a value where a name and `=` follow.
_BETWEEN_OPTIONS = re.compile(r",(?=[a-z_]+=)")


class Engine(Protocol):
    """Runs jobs somewhere."""

    def run(self, jobs: Sequence[Job], *, workers: int | None, on_progress: OnProgress) -> None:
        """Run all jobs to their end, in the given order as far as that can be had.

        Args:
            jobs: what to run; each goes on from what its folder holds.
            workers: jobs at the same time at most; `None` for as many as fit.
            on_progress: called in this thread; what it raises stops everything.

        Raises:
            QreditError: a job raised it, with the class and the words from there, or could not be run. The others stop.
            KeyboardInterrupt: Ctrl-C; every folder can be resumed.
        """


@dataclass(frozen=True)
class EngineSettings:
    """Where and how many at a time."""

    engine: str = "local"
    """Where trainings run: local (processes on this machine), ray or slurm."""
    jobs: int | None = None
    """Trainings at the same time; default: one per core here, as many as fit on a cluster."""
    engine_options: str = ""
    """Options of the engine as NAME=VALUE, with commas between, such as slurm_partition=gpu,timeout_min=600."""
    wandb: str | None = None
    """Project at Weights & Biases that mirrors the evaluations of every training."""

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise ConfigurationError(
                f"{self.jobs} jobs",
                cause="somebody has to do the work",
                remedy="Give --jobs 1 or more, or leave it out.",
            )

    @property
    def options(self) -> Mapping[str, str]:
        """`engine_options` by name.

        Raises:
            ConfigurationError: something in it is no NAME=VALUE.
        """
        found = {}
        for part in _BETWEEN_OPTIONS.split(self.engine_options) if self.engine_options else []:
            name, equals, value = part.strip().partition("=")
            if not equals or not re.fullmatch("[a-z_]+", name):
                raise ConfigurationError(
                    f"engine options `{self.engine_options}`",
                    cause=f"`{part.strip()}` is not NAME=VALUE",
                    remedy="Write --engine-options NAME=VALUE,NAME=VALUE.",
                )
            found[name] = value
        return found
