"""Experiment 2: what errors in the rankings cost, by their share, the answers per pair and the number of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from qredit.api.lca.methods import METHODS, Report, Study, Trial
from qredit.api.lca.worlds import World, potentials_by_rule
from qredit.marl.adapters import compile_ahead
from qredit.task import load_task

ACCURACIES = (0.7, 0.8, 1.0)
QUERIES = (1, 2, 4)
PAIRS = (250, 1000, 4400)
TRIAL = Trial(1e-3, {"own": {"entropy_coefficient": 0.01}})


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
    compile_ahead(load_task(world.task), lambda: None)
    for accuracy, queries, pairs in itertools.product(ACCURACIES, QUERIES, PAIRS):
        if accuracy == 1.0 and queries > 1:
            continue  # the answers are all the same
        cell = f"{accuracy:g}-{queries}-{pairs}"
        finals, areas, fits = [], [], []
        for seed in seeds:
            potentials = folder / cell / f"potentials-{seed}"
            fits.append(
                potentials_by_rule(world, potentials, pairs=pairs, accuracy=accuracy, queries=queries, seed=seed)
            )
            study = Study(world, METHODS["LCA"], folder / cell / f"seed-{seed}", potentials, jobs)
            (curve,) = study.curves(trial, [seed], "trained")
            finals.append(round(curve.final, 4))
            areas.append(round(curve.area, 4))
        cell_facts = {"accuracy": accuracy, "queries": queries, "pairs": pairs, "final": finals, "area": areas}
        accuracies = [asdict(fit)["validation_accuracy"] for fit in fits]
        report({"world": world.task, **cell_facts, "held_out_accuracy": accuracies})
