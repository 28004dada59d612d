"""A stand-in for the package `wandb`: writes down what it is called with, and fails where `WANDB_FAULT` says so.

The contract is that of https://docs.wandb.ai/ref/python: `init`, `Run.log`, `Run.step`, `Run.finish`, `Error`.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Error(Exception):
    """Base of what the package raises."""


class UsageError(Error):
    """No key."""


class _OtherError(Exception):
    """What its internals raise is not always an `Error`."""


class Run:
    """A run; one that is continued knows how far it was."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._file = folder / "calls.jsonl"
        before = [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []
        steps = [call["step"] for call in before if call["call"] == "log" and call["id"] == run_id]
        self.step, self.id = max(steps, default=-1) + 1, run_id

    def write(self, call: str, **what: Any) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps({"call": call, "id": self.id, **what}) + "\n")

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        """Take a row."""
        if os.environ.get("WANDB_FAULT") == "log":
            raise _OtherError("the service is gone")
        if os.environ.get("WANDB_FAULT") == "hang":
            time.sleep(600)
        self.write("log", data=data, step=step)

    def finish(self) -> None:
        """Upload what is left."""
        self.write("finish")


def init(**arguments: Any) -> Run:
    """Start or continue a run."""
    print("wandb: something to read for people")  # noqa: T201
    if os.environ.get("WANDB_FAULT") == "init":
        raise UsageError("api_key not configured (no-tty). call wandb.login(key=[your_api_key])")
    if os.environ.get("WANDB_FAULT") == "start":
        raise _OtherError("the service does not start")
    folder = Path(arguments["dir"])
    run = Run(folder, arguments["id"])
    run.write("init", **{name: value for name, value in arguments.items() if name not in ("dir", "id")})
    return run
