"""Environment steps per second, compiled beside official, in one process.

    python benchmarks/environments.py [--tasks lbf-10x10-3p-3f-2s,mpe-spread-3] [--batches 1,8,64,512] [--threads 1,2]

Random actions, resets included: episodes of all environments start together and are played to the end. Prints one JSON
line per task, backend, batch size and number of threads: median, minimum and maximum of `--repeats` repeats, in
environment steps per second, ended environments not counted. The official packages step one environment after the
other, so they are measured with one batch size and one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from importlib.metadata import version

import numpy as np

from qredit.marl.adapters import make_environment
from qredit.marl.environment import BatchedEnvironment
from qredit.task import load_task

TASKS = (
    "lbf-10x10-3p-3f-2s",
    "lbf-15x15-4p-3f-2s",
    "mpe-spread-3",
    "mpe-spread-6",
    "mpe-adversary",
    "mpe-tag",
    "rware-tiny-2ag",
    "rware-tiny-4ag",
    "matrix-climbing",
    "lbf-inert-4",
)
PACKAGES = ("numpy", "numba", "lbforaging", "mpe2", "rware")
OFFICIAL_BATCH = 8


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--batches", default="1,8,64,512")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="per repeat, at least")
    given = parser.parse_args()
    print(json.dumps({"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}))
    for name in given.tasks.split(","):
        task = load_task(name)
        made = make_environment(task.with_backend("official"), OFFICIAL_BATCH)
        line(name, "official", 1, made, given.repeats, given.seconds)
        for batch in map(int, given.batches.split(",")):
            for threads in map(int, given.threads.split(",")):
                made = make_environment(task.with_backend("compiled"), batch, n_threads=threads)
                line(name, "compiled", threads, made, given.repeats, given.seconds)


def line(task: str, backend: str, threads: int, environment: BatchedEnvironment, repeats: int, seconds: float) -> None:
    """Warm up, measure and print."""
    actions = np.random.default_rng(0).integers(
        0, environment.n_actions, (64, environment.n_environments, environment.n_agents)
    )
    speed(environment, actions, 0.0)
    found = sorted(speed(environment, actions, seconds) for _ in range(repeats))
    measured = {
        "task": task,
        "backend": backend,
        "batch": environment.n_environments,
        "threads": threads,
        "steps_per_second": round(statistics.median(found)),
        "minimum": round(found[0]),
        "maximum": round(found[-1]),
        "repeats": repeats,
    }
    print(json.dumps(measured), flush=True)


def speed(environment: BatchedEnvironment, actions: np.ndarray, seconds: float) -> float:
    """Steps per second of whole episodes, for at least so long."""
    steps, seed, batch = 0, 0, environment.n_environments
    started = time.perf_counter()
    while True:
        now, t = environment.reset(range(seed, seed + batch)), 0
        seed += batch
        while not (ended := now.ended).all():
            steps += batch - int(np.count_nonzero(ended))
            now = environment.step(actions[t % len(actions)])
            t += 1
        if (passed := time.perf_counter() - started) >= seconds:
            return steps / passed


if __name__ == "__main__":
    main()
