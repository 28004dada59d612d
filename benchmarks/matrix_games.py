"""Where learning ends in the climbing and the penalty game, by exploration scheme.

    python benchmarks/matrix_games.py [--seeds 0-9] [--steps 50000] [--jobs 2]

Trains with annealed exploration (epsilon 1 to 0.05) and with uniform exploration (epsilon 1 throughout), into
`runs/matrix-games/`; what is finished is kept. Prints a Markdown table: how many seeds end with which payoff per step.
`qllm` mixes with the function that ships for each game, of the general form.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qredit.api.artifacts import find_mixer
from qredit.cli.training import parse_seeds
from qredit.marl.comparison import Row
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import parse_contender
from qredit.marl.settings import TrainSettings
from qredit.runs import Run
from qredit.task import load_task

ALGORITHMS = ("iql", "vdn", "qmix", "qatten", "qplex", "qllm", "ippo", "mappo", "coma", "vmix", "riit", "maddpg")
GAMES = ("matrix-climbing", "matrix-penalty-25", "matrix-penalty-50")
SCHEMES = {"annealed": 0.05, "uniform": 1.0}
"""Name -> exploration rate at the end. On-policy algorithms explore by their own policy, in the first table only."""


def main() -> None:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, default=None)
    given = parser.parse_args()
    seeds = parse_seeds(given.seeds)
    for scheme, end in SCHEMES.items():
        settings = TrainSettings(
            total_steps=given.steps,
            epsilon_end=end,
            epsilon_anneal_steps=given.steps // 2,
            evaluation_interval=given.steps // 5,
            evaluation_episodes=2,
            checkpoint_interval=given.steps,
        )
        names = ALGORITHMS if scheme == "annealed" else [n for n in ALGORITHMS if n in _BY_EPSILON]
        print(f"\n| {scheme} exploration | " + " | ".join(GAMES) + " |\n|---|" + "---|" * len(GAMES))
        rows = {game: play(game, names, seeds, settings, scheme, given.jobs) for game in GAMES}
        for k, name in enumerate(names):
            print(f"| {name} | " + " | ".join(endings(rows[game][k]) for game in GAMES) + " |", flush=True)


_BY_EPSILON = frozenset({"iql", "vdn", "qmix", "qatten", "qplex", "qllm"})


def play(
    game: str, names: Sequence[str], seeds: Sequence[int], settings: TrainSettings, scheme: str, jobs: int | None
) -> list[Row]:
    """The rows of a comparison, in the order of the names."""
    task = load_task(game)
    mixer = find_mixer("builtin", task).path
    learning_rate = 5e-3
    contenders = [parse_contender(name, replace(settings, learning_rate=learning_rate), mixer=mixer) for name in names]
    run = Run(Path("runs") / "matrix-games" / f"{game}-{scheme}")
    comparison = compare(task, contenders, seeds, run, jobs=jobs)
    return [comparison.row(name) for name in names]


def endings(row: Row) -> str:
    """How many seeds ended with which payoff per step."""
    steps = 25
    found = Counter(round(value / steps, 1) for value in row.return_by_seed.values())
    return ", ".join(f"{count} x {payoff:g}" for payoff, count in sorted(found.items(), reverse=True))


if __name__ == "__main__":
    main()
