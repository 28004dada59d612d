"""Experiment 1: LCA with heuristic rankings beside the paper's baselines, each tuned with the same number of trials."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qredit.api.lca.worlds import Curve, World, curve_of, potentials_by_rule
from qredit.marl.adapters import compile_ahead
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import parse_contender
from qredit.marl.curves import LearningCurve
from qredit.marl.engines import EngineSettings
from qredit.marl.finished import training_folder
from qredit.marl.plots import Panel, panels_figure, save_learning_curves
from qredit.marl.settings import TrainSettings
from qredit.runs import Run
from qredit.task import load_task

METHODS: Mapping[str, str] = {
    "LCA": "ippo+rewards=potentials",
    "MAPPO, team": "mappo",
    "MAPPO, team + individual": "mappo+rewards=individual+team_share=0.5",
    "QMIX": "qmix",
    "VDN": "vdn",
}
"""Name -> contender."""
NO_INDIVIDUAL = frozenset({"pistonball"})
"""Worlds in which there are no simple individual rewards."""
TUNING_SEEDS = (100, 101)
STEP_SIZES = (3e-4, 5e-4, 1e-3)
Report = Callable[[Mapping[str, Any]], None]
"""Told every result as it comes."""


@dataclass(frozen=True)
class Trial:
    """One set of hyper-parameters of a method."""

    learning_rate: float
    """Step size of Adam."""
    changes: Mapping[str, Any]
    """What differs besides."""

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """The settings with it."""
        return replace(settings, learning_rate=self.learning_rate, **self.changes)


def trials(contender: str, steps: int) -> list[Trial]:
    """The six that a method is tuned over (decision 0017)."""
    on_policy = contender.startswith(("ippo", "mappo"))
    others: list[dict[str, Any]] = (
        [{"own": {"entropy_coefficient": c}} for c in (0.01, 0.05)]
        if on_policy
        else [{"epsilon_anneal_steps": steps // part} for part in (4, 2)]
    )
    return [Trial(rate, other) for rate, other in itertools.product(STEP_SIZES, others)]


def methods(world: World, folder: Path, *, seeds: Sequence[int], jobs: int | None, report: Report) -> None:
    """Tune every method, train the best trial of each with the seeds, report trials and results, and draw the curves.

    What is finished in the folder is kept; the picture is `curves.png` in it.
    """
    potentials = folder / "potentials"
    if not (potentials / "artifact.json").exists():
        fit = potentials_by_rule(world, potentials)
        report({"world": world.task, "potentials": asdict(fit)})
    compile_ahead(load_task(world.task), lambda: None)
    drawn: dict[str, list[LearningCurve]] = {}
    for name, contender in METHODS.items():
        if world.task in NO_INDIVIDUAL and "individual" in contender:
            continue
        study = Study(world, contender, folder, potentials, jobs)
        best, score = None, float("-inf")
        for number, trial in enumerate(trials(contender, world.steps)):
            curves = list(study.curves(trial, TUNING_SEEDS, f"tuning-{number}"))
            area = sum(curve.area for curve in curves) / len(curves)
            report({"world": world.task, "method": name, "trial": asdict(trial), **_summary(curves)})
            if area > score:
                best, score = trial, area
        assert best is not None
        curves = list(study.curves(best, seeds, "best"))
        report({"world": world.task, "method": name, "best": asdict(best), **_summary(curves)})
        drawn[name] = [LearningCurve(curve.steps, curve.seconds, curve.returns) for curve in curves]
    figure = panels_figure([Panel(world.task, drawn, optimum=world.optimum)])
    scale = "team return" if world.completion is None else "return on the scale of the paper's figures"
    figure.axes[0].set_ylabel(scale, fontsize=12)
    save_learning_curves(folder / "curves.png", figure)


def training_settings(world: World) -> TrainSettings:
    """What all trainings in a world have in common, with 21 evaluations each."""
    steps = world.steps
    return TrainSettings(
        total_steps=steps,
        evaluation_interval=steps // 20,
        evaluation_episodes=world.evaluation_episodes,
        checkpoint_interval=steps,
        epsilon_anneal_steps=steps // 4,
    )


@dataclass(frozen=True)
class Study:
    """One method in one world."""

    world: World
    contender: str
    """As on the command line of `qredit compare`."""
    folder: Path
    potentials: Path
    """Artifact."""
    jobs: int | None

    def curves(self, trial: Trial, seeds: Sequence[int], name: str) -> Iterator[Curve]:
        """Train with the seeds what is not trained yet; the curves in their order."""
        settings = trial.settings(training_settings(self.world))
        contender = parse_contender(self.contender, settings, potentials=self.potentials)
        folder = self.folder / contender.name / name
        compare(load_task(self.world.task), [contender], seeds, Run(folder), engine=EngineSettings(jobs=self.jobs))
        for seed in seeds:
            yield curve_of(self.world, training_folder(folder, contender.name, seed))


def _summary(curves: Sequence[Curve]) -> dict[str, Any]:
    return {
        "area": [round(curve.area, 4) for curve in curves],
        "final": [round(curve.final, 4) for curve in curves],
        "final_greedy": [round(float(curve.greedy[-3:].mean()), 4) for curve in curves],
    }
