"""Experiment 2: what errors in the rankings cost, by their share, the answers per pair and the number of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qredit.api.lca.methods import METHODS, Report, Trial, training_settings
from qredit.api.lca.worlds import Curve, World, curve_of, potentials_by_rule
from qredit.artifact import load_artifact
from qredit.marl.adapters import compile_ahead
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender, parse_contender
from qredit.marl.engines import EngineSettings
from qredit.marl.finished import training_folder
from qredit.runs import Run
from qredit.task import load_task

ACCURACIES = (0.7, 0.8, 1.0)
QUERIES = (1, 2, 4)
PAIRS = (250, 1000, 4400)
TRIAL = Trial(1e-3, {"own": {"entropy_coefficient": 0.01}})


@dataclass(frozen=True)
class Cell:
    """One kind of rankings."""

    accuracy: float
    """How many of the answers are right."""
    queries: int
    """Answers per pair."""
    pairs: int
    """Transitions."""

    @property
    def name(self) -> str:
        """Of its trainings."""
        return f"accuracy-{self.accuracy:g}-queries-{self.queries}-pairs-{self.pairs}"


CELLS = tuple(
    Cell(accuracy, queries, pairs)
    for accuracy, queries, pairs in itertools.product(ACCURACIES, QUERIES, PAIRS)
    if accuracy < 1 or queries == 1  # answers without errors are all the same
)


def errors(
    world: World, folder: Path, *, seeds: Sequence[int], jobs: int | None, report: Report, trial: Trial = TRIAL
) -> None:
    """Teach potentials from rankings with errors, and train LCA with them; what is finished in the folder is kept.

    Args:
        world: the world.
        folder: where all goes.
        seeds: of the trainings; each has potentials of its own, from pairs and errors of its own.
        jobs: trainings at a time.
        report: told every cell.
        trial: the hyper-parameters of LCA; they are not tuned again.
    """
    task = load_task(world.task)
    compile_ahead(task, lambda: None)
    curves: dict[Cell, list[Curve]] = {cell: [] for cell in CELLS}
    accuracies: dict[Cell, list[float | None]] = {cell: [] for cell in CELLS}
    for seed in seeds:
        run = Run(folder / f"seed-{seed}")
        contenders = []
        for cell in CELLS:
            potentials = run.path / "potentials" / cell.name
            if not (potentials / "artifact.json").exists():
                potentials_by_rule(world, potentials, **asdict(cell), seed=seed)
            accuracies[cell].append(load_artifact(potentials).manifest["fit"]["validation_accuracy"])
            contenders.append(_contender(world, cell, potentials, trial))
        compare(task, contenders, [seed], run, engine=EngineSettings(jobs=jobs))
        for cell in CELLS:
            curves[cell].append(curve_of(world, training_folder(run.path, cell.name, seed)))
    for cell in CELLS:
        finals, areas = ([round(getattr(c, of), 4) for c in curves[cell]] for of in ("final", "area"))
        found = {"final": finals, "area": areas, "held_out_accuracy": accuracies[cell]}
        report({"world": world.task, **asdict(cell), **found})


def _contender(world: World, cell: Cell, potentials: Path, trial: Trial) -> Contender:
    settings = trial.settings(training_settings(world))
    return replace(parse_contender(METHODS["LCA"], settings, potentials=potentials), name=cell.name)
