"""When does credit help at all, and how much? Passengers, whose true credit is known, beside real agents.

    python benchmarks/inert_agents.py [--tasks spread-inert,lbf-inert] [--passengers 0,2,4,8] [--seeds 0-4] [--jobs 2]

For each number of passengers: VDN, which gives everybody the same credit; the true weights (1 for agents whose actions
count, 0 for passengers); wrong ones (the reverse); and two placebos of the true ones: given to the next agent, and
random of the same concentration. Identical settings and seeds. Trains into `runs/inert-agents/`, keeps what is
finished, and prints the comparisons as Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qredit.api import load_subject
from qredit.api.checking import check
from qredit.cli.training import parse_seeds
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender, parse_contender
from qredit.marl.settings import TrainSettings
from qredit.marl.tables import comparison_table
from qredit.runs import Run
from qredit.task import load_task

FOLDER = Path("runs") / "inert-agents"
FUNCTIONS: Mapping[str, str] = {"true": 'state["active"]', "wrong": '1 - state["active"]'}
PLACEBOS = ("qllm+placebo=agents-permuted", "qllm+placebo=random")
STEPS = {"spread-inert": 100_000, "lbf-inert": 300_000}


def main() -> None:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", default=",".join(STEPS))
    parser.add_argument("--passengers", default="0,2,4,8")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--jobs", type=int, default=None)
    given = parser.parse_args()
    for family in given.tasks.split(","):
        for passengers in map(int, given.passengers.split(",")):
            print(study(f"{family}-{passengers}", passengers, STEPS[family], parse_seeds(given.seeds), given.jobs))


def study(task: str, passengers: int, steps: int, seeds: Sequence[int], jobs: int | None) -> str:
    """The comparison of one task, as Markdown."""
    settings = TrainSettings(total_steps=steps, evaluation_interval=steps // 10, checkpoint_interval=steps)
    contenders = [Contender("vdn", replace(settings, algorithm="vdn"))]
    if passengers:
        paths = {function: artifact(task, function) for function in FUNCTIONS}
        qllm = replace(settings, algorithm="qllm")
        contenders += [Contender(function, qllm, path) for function, path in paths.items()]
        contenders += [parse_contender(name, settings, mixer=paths["true"]) for name in PLACEBOS]
    comparison = compare(load_task(task), contenders, seeds, Run(FOLDER / task), jobs=jobs)
    return comparison_table(comparison).to_markdown()


def artifact(task: str, function: str) -> Path:
    """The checked artifact of one of the functions; it is made when it is missing."""
    folder = FOLDER / "artifacts" / f"{task}-{function}"
    if not folder.exists():
        source = FOLDER / "artifacts" / f"{function}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"def credit(state):\n    return {FUNCTIONS[function]}\n")
        (result,) = check([source], load_subject(task), save=folder)
        if not folder.exists():
            raise SystemExit(f"{task}: {function} weights were rejected: {result}")
    return folder


if __name__ == "__main__":
    main()
