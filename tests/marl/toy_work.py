"""Jobs for the tests of `qredit.marl.jobs`: they run in a process of their own, found by their address."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qredit.errors import ArtifactError, NothingAcceptedError, UnknownNameError
from qredit.files import write_json

Arguments = Mapping[str, Any]
Report = Callable[[int, int], None]


class ForeignArtifactError(ArtifactError):
    """A subclass that `qredit.errors` does not know."""


def succeed(arguments: Arguments, report: Report) -> None:
    """Count to 3 and leave a file."""
    sys.stdout.write("a library prints something\n")
    for step in range(4):
        report(step, 3)
    Path(arguments["file"]).write_text(os.environ["OMP_NUM_THREADS"] + " " + str("torch" in sys.modules))


def refuse(arguments: Arguments, report: Report) -> None:
    """Raise one of our errors."""
    raise {
        "known": NothingAcceptedError("nothing", cause="all failed", remedy="Try `x`."),
        "composed": UnknownNameError("task", "lfb", ["lbf"]),
        "foreign": ForeignArtifactError("artifact", cause="bad", remedy="Make it again."),
    }[arguments["error"]]


def crash(arguments: Arguments, report: Report) -> None:
    """Raise what is no error of ours."""
    raise ZeroDivisionError("a bug in the job")


def die(arguments: Arguments, report: Report) -> None:
    """End as if the machine ran out of memory."""
    report(1, 3)
    os.kill(os.getpid(), signal.SIGKILL)


def linger(arguments: Arguments, report: Report) -> None:
    """Write down the pid, then work on until interrupted, and leave a note that says so."""
    folder = Path(arguments["folder"])
    try:
        (folder / "started").write_text(str(os.getpid()))
        report(0, 1)
        while True:
            time.sleep(600)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise


def disobey(arguments: Arguments, report: Report) -> None:
    """Ignore every request to stop."""
    (Path(arguments["folder"]) / "started").write_text(str(os.getpid()))
    report(0, 1)
    while True:
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            continue


def train(arguments: Arguments, report: Report) -> None:
    """Pretend to train, in resumable steps, with numbers that follow from algorithm and seed.

    The file `kill-at-500` in the comparison's folder makes it die half way, once.
    """
    folder, training = Path(arguments["folder"]), arguments["training"]
    with (folder / "visits").open("a") as file:
        file.write("x")
    metrics = folder / "metrics.csv"
    if not metrics.exists():
        metrics.write_text("environment_steps,seconds,greedy_return\n0,0.0,0.0\n")
    total: int = training["total_steps"]
    speed = {"vdn": 1.0, "qmix": 0.5, "qllm": 2.0}[training["algorithm"]] * (10 + training["seed"])
    for step in range(500 * len(metrics.read_text().splitlines()) - 500, total + 1, 500):
        trigger = folder.parent / "kill-at-500"
        if step == 1000 and trigger.exists():
            trigger.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        with metrics.open("a") as file:
            file.write(f"{step},{step / 100},{speed * step / total}\n")
        report(step, total)
    result = {"final_return": speed, "area_under_curve": speed / 2, "environment_steps": total, "seconds": total / 100}
    if training["algorithm"] == "qllm":
        result["vdn_difference"] = 0.75
    write_json(folder / "result.json", result)  # whole or not at all: tests interrupt it


def evaluate_random(arguments: Arguments, report: Report) -> None:
    """Pretend to evaluate a random policy."""
    result = {"mean_return": 2.5, "episodes": arguments["episodes"]}
    (Path(arguments["folder"]) / "result.json").write_text(json.dumps(result))
