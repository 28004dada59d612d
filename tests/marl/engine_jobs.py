"""Jobs of `engine_work` in run folders of their own, for the tests of engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qredit.marl.jobs import Job
from qredit.runs import create_run


def make_job(root: Path, work: str = "count", seed: int = 0, **arguments: Any) -> Job:
    """A job with a new run folder."""
    folder = create_run("train", f"{work}-{seed}", {}, root=root).path
    given = {"folder": str(folder), "seed": seed, **arguments}
    return Job(f"{work}-{seed}", f"engine_work:{work}", given, 10, folder / "worker.log", {"seed": seed})


def result(job: Job) -> int:
    """The sum that a job has ended with."""
    data = json.loads((job.log.parent / "result.json").read_text())
    assert data["threads"] == "1"
    return int(data["sum"])


def starts(job: Job) -> int:
    """How often a job was started."""
    return len((job.log.parent / "starts").read_text().splitlines())
