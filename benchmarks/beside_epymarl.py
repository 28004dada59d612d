"""Ours beside EPyMARL: the same settings, its conventions switched on, areas under the learning curves.

    python benchmarks/beside_epymarl.py [--theirs FOLDER] [--only qmix] [--seeds 0-4] [--jobs 2] [--ours own]

EPyMARL is run by whoever has it; this reads its curves from `FOLDER/<task>-<algorithm>-seed<k>.json`, by default those
of `docs/results/epymarl/`, each with `steps` and `returns`: undiscounted, summed over agents, the last step's reward
included, which its wrapper of PettingZoo leaves out; of greedy actions, or for PPO of sampled ones, as EPyMARL
evaluates it. Trains ours into `runs/beside-epymarl/`. What is finished is kept. `--ours own` trains with our defaults
instead of EPyMARL's conventions.

Prints one JSON line per task and algorithm. The interval of the difference is a bootstrap over both sides' seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qredit.cli.training import parse_seeds
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender
from qredit.marl.curves import read_curve
from qredit.marl.settings import TrainSettings
from qredit.marl.statistics import area_under_curve, on_grid
from qredit.runs import Run
from qredit.task import load_task

THEIRS = Path(__file__).parents[1] / "docs" / "results" / "epymarl"
STEPS = 200_000
FIRST = 10_000
"""EPyMARL's first evaluation with a meaning."""
GRID = np.linspace(FIRST, STEPS, 20)
Q_LEARNING = TrainSettings(
    total_steps=STEPS,
    n_environments=1,
    updates_per_collection=1,
    batch_episodes=32,
    learning_rate=5e-4,
    target_update_tau=1.0,
    target_update_interval=200,
    reward_statistics="batches",
    time_limit_is_terminal=True,
    mask_actions=False,
    evaluation_interval=FIRST,
    evaluation_episodes=50,
    checkpoint_interval=50_000,
)
PPO = TrainSettings(
    total_steps=STEPS,
    n_environments=10,
    learning_rate=5e-4,
    standardise_rewards=False,
    target_update_tau=0.01,
    target_update_interval=4,
    mask_actions=False,
    evaluation_interval=FIRST,
    evaluation_episodes=50,
    checkpoint_interval=50_000,
    own={
        "n_step": 5,
        "padded_returns": True,
        "entropy_coefficient": 0.001,
        "normalise_advantages": False,
        "refresh_advantages": True,
    },
)
"""The target critic moves once per collection: after 4 passes of one minibatch each."""
QMIX = replace(Q_LEARNING, own={"hypernet_input": "observations"})
SETTINGS = {"qmix": QMIX, "vdn": Q_LEARNING, "ippo": PPO, "mappo": PPO}
OWN = TrainSettings(total_steps=STEPS, evaluation_interval=FIRST, evaluation_episodes=50)
PAIRS = (
    ("mpe-spread-3", "qmix"),
    ("mpe-spread-3", "ippo"),
    ("lbf-5x5-2p-1f", "qmix"),
    ("lbf-5x5-2p-1f", "ippo"),
    ("mpe-spread-3", "vdn"),
    ("mpe-spread-3", "mappo"),
)


@dataclass(frozen=True)
class Beside:
    """One line of the result."""

    task: str
    algorithm: str
    settings: str
    """`epymarl`: its conventions; `own`: ours."""
    seeds_ours: int
    seeds_theirs: int
    area_ours: float
    area_theirs: float
    area_by_seed_ours: list[float]
    area_by_seed_theirs: list[float]
    difference: float
    low: float
    high: float
    within: float
    """The larger end of the interval, as a share of the magnitude of EPyMARL's area."""
    final_ours: float
    """Mean of the last three evaluations."""
    final_theirs: float


def main() -> None:
    """Train what is missing, and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--theirs", type=Path, default=THEIRS)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--ours", choices=("epymarl", "own"), default="epymarl")
    given = parser.parse_args()
    seeds = parse_seeds(given.seeds)
    for task, algorithm in PAIRS:
        if given.only in f"{task}-{algorithm}":
            ours = train_ours(task, algorithm, seeds, given.ours, given.jobs)
            theirs = read_theirs(given.theirs, task, algorithm)
            if theirs:
                print(json.dumps(asdict(beside(task, algorithm, given.ours, ours, theirs))), flush=True)
            else:
                print(json.dumps({"task": task, "algorithm": algorithm, "theirs": "no curves there"}), flush=True)


def train_ours(
    task: str, algorithm: str, seeds: Sequence[int], which: str, jobs: int | None
) -> list[NDArray[np.float64]]:
    """Our curves on the grid."""
    settings = SETTINGS[algorithm] if which == "epymarl" else OWN
    folder = Path("runs") / "beside-epymarl" / f"{task}-{algorithm}-{which}"
    contender = Contender(algorithm, replace(settings, algorithm=algorithm))
    compare(load_task(task), [contender], seeds, Run(folder), jobs=jobs)
    curves = [read_curve(folder / f"{algorithm}-seed{seed}") for seed in seeds]
    returns = [curve.greedy_return if curve.sampled_return is None else curve.sampled_return for curve in curves]
    return [on_grid(GRID, c.environment_steps, values) for c, values in zip(curves, returns, strict=True)]


def read_theirs(folder: Path, task: str, algorithm: str) -> list[NDArray[np.float64]]:
    """EPyMARL's curves on the grid; what lies before its first evaluation is that evaluation."""
    found = []
    for path in sorted(folder.glob(f"{task}-{algorithm}-seed*.json")):
        data = json.loads(path.read_text())
        found.append(np.interp(GRID, data["steps"], data["returns"]))
    return found


def beside(
    task: str,
    algorithm: str,
    settings: str,
    ours: Sequence[NDArray[np.float64]],
    theirs: Sequence[NDArray[np.float64]],
) -> Beside:
    """Areas, and the interval of the difference of their means."""
    areas = [np.array([area_under_curve(GRID, curve) for curve in curves]) for curves in (ours, theirs)]
    rng = np.random.default_rng(0)
    drawn = [rng.choice(area, (9999, len(area))).mean(axis=1) for area in areas]
    low, high = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    last = [float(np.mean([curve[-3:].mean() for curve in curves])) for curves in (ours, theirs)]
    return Beside(
        task=task,
        algorithm=algorithm,
        settings=settings,
        seeds_ours=len(ours),
        seeds_theirs=len(theirs),
        area_ours=float(areas[0].mean()),
        area_theirs=float(areas[1].mean()),
        area_by_seed_ours=areas[0].round(4).tolist(),
        area_by_seed_theirs=areas[1].round(4).tolist(),
        difference=float(areas[0].mean() - areas[1].mean()),
        low=float(low),
        high=float(high),
        within=float(max(abs(low), abs(high)) / abs(areas[1].mean())),
        final_ours=last[0],
        final_theirs=last[1],
    )


if __name__ == "__main__":
    main()
