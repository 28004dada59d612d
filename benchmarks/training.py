"""Environment steps per second of whole trainings: playing, learning and everything between, evaluations left out.

    python benchmarks/training.py [--only one-per-episode] [--tasks mpe-spread-3] [--processes 1,2] [--repeats 5]

Each line trains one of the settings below in so many processes side by side, one thread and one seed each, and adds up
their speeds; the first fifth of each training does not count. Prints JSON lines with median, minimum and maximum.
`benchmarks/peers.py` measures other code bases with the same settings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

TASKS = ("lbf-10x10-3p-3f-2s", "mpe-spread-3", "rware-tiny-2ag")
NEVER = 10**9
QUIET = {"evaluation_interval": NEVER, "evaluation_episodes": 2, "checkpoint_interval": NEVER}
Q_LEARNING = {**QUIET, "batch_episodes": 32, "updates_per_collection": 1, "learning_rate": 5e-4, "hidden_size": 64}
PPO = {**QUIET, "hidden_size": 64, "learning_rate": 5e-4}
SETTINGS: Mapping[str, tuple[tuple[str, ...], dict[str, Any], int]] = {
    "one-per-episode": (("vdn", "qmix"), {**Q_LEARNING, "n_environments": 1}, 20_000),
    "one-per-8-episodes": (("vdn", "qmix", "qllm"), {**Q_LEARNING, "n_environments": 8}, 100_000),
    "one-per-8-episodes-gru": (("vdn", "qmix"), {**Q_LEARNING, "n_environments": 8, "recurrent": True}, 60_000),
    "ppo-10-environments": (("ippo", "mappo"), {**PPO, "n_environments": 10}, 100_000),
    "ppo-64-environments": (("ippo", "mappo"), {**PPO, "n_environments": 64, "own": {"minibatches": 4}}, 300_000),
}
"""Name -> algorithms, settings, environment steps. RWARE's long episodes take a tenth of the buffer by themselves."""


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--algorithms", default="")
    parser.add_argument("--processes", default="1")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(train_one(**json.loads(given.child))))
        return
    print(json.dumps({name: version(name) for name in ("torch", "numba", "numpy")}))
    for name, (algorithms, settings, steps) in SETTINGS.items():
        for task in given.tasks.split(","):
            for algorithm in algorithms:
                if given.only not in name or (given.algorithms and algorithm not in given.algorithms.split(",")):
                    continue
                for processes in map(int, given.processes.split(",")):
                    line(name, task, algorithm, settings, steps, processes, given.repeats)


def line(
    name: str, task: str, algorithm: str, settings: Mapping[str, Any], steps: int, processes: int, repeats: int
) -> None:
    """Measure and print one line."""
    job = {"task": task, "settings": {**settings, "algorithm": algorithm, "total_steps": steps}}
    found, memory = [], 0
    for _ in range(repeats):
        command = [sys.executable, __file__, "--child", json.dumps(job)]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        results = [json.loads(process.communicate()[0]) for process in started]
        found.append(sum(result["steps_per_second"] for result in results))
        memory = max(memory, *(result["megabytes"] for result in results))
    found.sort()
    measured = {
        "settings": name,
        "task": task,
        "algorithm": algorithm,
        "processes": processes,
        "steps_per_second": round(statistics.median(found)),
        "minimum": round(found[0]),
        "maximum": round(found[-1]),
        "repeats": repeats,
        "megabytes_per_process": memory,
    }
    print(json.dumps(measured), flush=True)


def train_one(task: str, settings: dict[str, Any], base: str | None = None) -> dict[str, float]:
    """Train in this process; steps per second after the first fifth, and the most memory it took.

    Args:
        task: name of the task.
        settings: of the training.
        base: name of one of `SETTINGS`, over which they are laid.
    """
    import resource

    from qredit.artifact import bundled_artifacts
    from qredit.marl import TrainSettings, train
    from qredit.runs import create_run
    from qredit.task import load_task

    settings = {**(SETTINGS[base][1] if base else {}), **settings}
    seen: list[tuple[float, int]] = []
    mixer = bundled_artifacts()[task] if settings["algorithm"] == "qllm" else None
    with tempfile.TemporaryDirectory() as folder:
        run = create_run("train", "speed", {}, root=Path(folder))
        train(
            load_task(task),
            TrainSettings(**settings),
            run,
            mixer_path=mixer,
            on_progress=lambda done, total: seen.append((time.perf_counter(), done)),
        )
    begun, first = next((moment, done) for moment, done in seen if done >= settings["total_steps"] / 5)
    ended, last = seen[-1]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"steps_per_second": (last - first) / (ended - begun), "megabytes": used}


if __name__ == "__main__":
    main()
