"""Every algorithm on every built-in task: does it train, and how fast?

    python benchmarks/algorithms_by_tasks.py [--steps 4000] [--algorithms vdn,ippo] [--tasks mpe-tag,...]

Prints one JSON line per pair: environment steps per second of training (evaluations left out) and the final greedy
return of a few episodes. One thread, one pair at a time; credit functions are the ones that ship, where one ships for
the task. `--steps` is far too short to learn: the question is whether every pair runs, and what a step costs.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from qredit.artifact import bundled_artifacts
from qredit.errors import QreditError
from qredit.marl import TrainSettings, train
from qredit.marl.algorithms import algorithm_named, algorithm_names
from qredit.runs import create_run
from qredit.task import builtin_task_names, load_task

SETTINGS = TrainSettings(evaluation_interval=10**9, evaluation_episodes=4, checkpoint_interval=10**9)


@dataclass(frozen=True)
class Pair:
    """One line."""

    algorithm: str
    task: str
    steps_per_second: float
    final_return: float
    finite: bool


def main() -> None:
    """Train every pair."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--algorithms", default=",".join(algorithm_names()))
    parser.add_argument("--tasks", default=",".join(builtin_task_names()))
    given = parser.parse_args()
    print(json.dumps({"torch": torch.__version__, "threads": 1, "steps": given.steps}))
    for task in given.tasks.split(","):
        for algorithm in given.algorithms.split(","):
            print(json.dumps(one(algorithm, task, given.steps)), flush=True)


def one(algorithm: str, task: str, steps: int) -> dict[str, object]:
    """One pair, or why it does not train."""
    settings = replace(SETTINGS, algorithm=algorithm, total_steps=steps, epsilon_anneal_steps=max(1, steps // 2))
    mixer = None
    if forms := algorithm_named(algorithm).credit_forms(settings):
        mixer = bundled_artifacts().get(task)
        if mixer is None:
            return {"algorithm": algorithm, "task": task, "left_out": f"no {' or '.join(forms)} ship for this task"}
    seen: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        run = create_run("train", "pair", {}, root=Path(folder))
        try:
            result = train(
                load_task(task),
                settings,
                run,
                mixer_path=mixer,
                on_progress=lambda done, total: seen.append((time.perf_counter(), done)),
            )
        except QreditError as error:
            return {"algorithm": algorithm, "task": task, "error": str(error)}
    # From the first collection to the last: what is made at the start does not count.
    (begun, first), (ended, last) = seen[0], seen[-1]
    speed = (last - first) / (ended - begun) if last > first else math.nan
    return vars(Pair(algorithm, task, round(speed, 1), result.final_return, math.isfinite(result.final_return)))


if __name__ == "__main__":
    main()
