"""Jobs for the tests of engines with several machines: resumable, in a run folder, slow enough to be hit."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qredit.errors import NothingAcceptedError
from qredit.files import write_json
from qredit.runs import Run

Arguments = Mapping[str, Any]
Report = Callable[[int, int], None]


def count(arguments: Arguments, report: Report) -> None:
    """Sum up `seed + step` over ten steps, with a checkpoint after each; the result is `10 seed + 45`.

    Each start leaves a line in `starts`; with `die_at`, the first start is killed before that step; with `slow_at`,
    the first start waits there for a file `go`.
    """
    folder = Path(arguments["folder"])
    with Run(folder).writing():
        with (folder / "starts").open("a") as file:
            file.write(f"{os.getpid()}\n")
        first = len((folder / "starts").read_text().splitlines()) == 1
        checkpoint = folder / "checkpoint.json"
        state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"step": 0, "sum": 0}
        while state["step"] < 10:
            if first and state["step"] == arguments.get("die_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            if first and state["step"] == arguments.get("slow_at"):
                time.sleep(0.2)  # reports that come too fast are left out
                report(state["step"], 10)
                while not (folder.parent / "go").exists():
                    time.sleep(0.05)
            state = {"step": state["step"] + 1, "sum": state["sum"] + arguments["seed"] + state["step"]}
            write_json(checkpoint, state)
            report(state["step"], 10)
        write_json(folder / "result.json", {"sum": state["sum"], "threads": os.environ["OMP_NUM_THREADS"]})


def refuse(arguments: Arguments, report: Report) -> None:
    """Raise one of our errors."""
    raise NothingAcceptedError("nothing", cause="all failed", remedy="Try `x`.")


def crash(arguments: Arguments, report: Report) -> None:
    """Raise what is no error of ours."""
    raise ZeroDivisionError("a bug in the job")


def always_die(arguments: Arguments, report: Report) -> None:
    """End as if the machine ran out of memory, every time."""
    with (Path(arguments["folder"]) / "starts").open("a") as file:
        file.write("x\n")
    os.kill(os.getpid(), signal.SIGKILL)


def lose_parent(arguments: Arguments, report: Report) -> None:
    """The first start kills the process that watches it, as when a machine is lost; the others count."""
    starts = Path(arguments["folder"]) / "starts"
    if not starts.exists():
        starts.write_text("x\n")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    count(arguments, report)


def be_preempted(arguments: Arguments, report: Report) -> None:
    """The first start has the process that watches it told that its time is up; the others count."""
    starts = Path(arguments["folder"]) / "starts"
    if not starts.exists():
        starts.write_text("x\n")
        os.kill(os.getppid(), signal.SIGUSR2)
        time.sleep(600)
    count(arguments, report)
