"""How the cost of a training grows with agents, environments and steps, and its memory with them.

    python benchmarks/scaling.py [--algorithm vdn] [--repeats 3]

Trainings on `mpe-spread-N`, an update of 32 episodes per collection, each in a process of its own with one thread.
Prints one JSON line per size: microseconds per environment step (median, minimum, maximum) and megabytes. What grows
linearly in the agents has a constant number of microseconds per agent; each agent of this world observes all others, so
that what it reads grows besides. With more environments an update serves more steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder there

from benchmarks.training import Q_LEARNING

CHILD = Path(__file__).with_name("training.py")
AGENTS, ENVIRONMENTS, STEPS = 3, 8, 60_000
SIZES = {
    "agents": (2, 4, 8, 16),
    "environments": (1, 4, 16, 64),
    "steps": (30_000, 60_000, 120_000, 240_000),
}
"""What grows, while the rest stays."""


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--algorithm", default="vdn")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps({name: version(name) for name in ("torch", "numba", "numpy")}))
    for what, sizes in SIZES.items():
        for size in sizes:
            line(what, size, given.algorithm, given.repeats)


def line(what: str, size: int, algorithm: str, repeats: int) -> None:
    """Measure one size and print."""
    agents = size if what == "agents" else AGENTS
    settings = {
        **Q_LEARNING,
        "algorithm": algorithm,
        "n_environments": size if what == "environments" else ENVIRONMENTS,
        "total_steps": size if what == "steps" else STEPS,
    }
    job = json.dumps({"task": f"mpe-spread-{agents}", "settings": settings})
    command = [sys.executable, str(CHILD), "--child", job]
    found = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeats)]
    microseconds = sorted(1e6 / one["steps_per_second"] for one in found)
    measured = {
        "grows": what,
        "size": size,
        "algorithm": algorithm,
        "microseconds_per_step": round(statistics.median(microseconds), 1),
        "minimum": round(microseconds[0], 1),
        "maximum": round(microseconds[-1], 1),
        "microseconds_per_step_and_agent": round(statistics.median(microseconds) / agents, 1),
        "megabytes": max(one["megabytes"] for one in found),
        "repeats": repeats,
    }
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
