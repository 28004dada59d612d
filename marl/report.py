"""What several comparisons, each on a task of its own, show together: scores, aggregates, verdicts, profiles."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qredit.errors import ConfigurationError
from qredit.marl.aggregate import (
    Estimate,
    Profile,
    interquartile_mean,
    probability_of_improvement,
    run_score_distribution,
)
from qredit.marl.comparison import BASELINE
from qredit.marl.curves import milestone
from qredit.marl.finished import FinishedComparison
from qredit.marl.scales import Reference, Scale, scale_of
from qredit.marl.statistics import Difference
from qredit.marl.tables import Threshold

SCHEMA = 1
_THRESHOLDS = 201
SeedScores = Mapping[int, float]
"""Seed -> normalised score."""


@dataclass(frozen=True)
class Measured:
    """One algorithm over all tasks, by one measure: final return, or area under the curve."""

    scores: Mapping[str, SeedScores]
    """Task -> scores."""
    interquartile_mean: Estimate
    """Over all tasks and seeds."""
    improvement_over_vdn: Estimate | None
    """Probability that it scores higher than VDN on one of the tasks; `None` for VDN and where it was not trained."""
    against_vdn: Mapping[str, Difference]
    """Task -> returns (not scores) beside VDN's, seed by seed, with the verdict."""


@dataclass(frozen=True)
class ReportRow:
    """One algorithm over all tasks."""

    name: str
    final_return: Measured
    """By its final greedy returns."""
    area: Measured
    """By the areas under its learning curves."""
    profile: Profile
    """Run-score distribution of its final greedy returns."""


@dataclass(frozen=True)
class Report:
    """What finished comparisons show together."""

    comparisons: tuple[FinishedComparison, ...]
    """One per task."""
    scales: tuple[Scale, ...]
    """How each task's returns become scores, in the same order."""
    rows: tuple[ReportRow, ...]
    """The algorithms that every comparison has."""
    left_out: Mapping[str, tuple[str, ...]]
    """Algorithm that some comparison lacks -> the tasks that lack it."""
    thresholds: Mapping[str, Threshold]
    """Task -> a return whose first reaching is shown, where one was asked for."""

    def to_json(self) -> dict[str, Any]:
        """All of it but the comparisons themselves, which their own folders hold."""
        return {
            "schema": SCHEMA,
            "comparisons": [found.comparison.folder.name for found in self.comparisons],
            "scales": [asdict(scale) for scale in self.scales],
            "left_out": {name: list(tasks) for name, tasks in self.left_out.items()},
            "rows": [_row_to_json(row) for row in self.rows],
            "thresholds": {task: asdict(threshold) for task, threshold in self.thresholds.items()},
        }

    def to_csv(self) -> str:
        """One line per training, for other programs."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["algorithm", "task", "seed", "final_score", "area_score"])
        for row in self.rows:
            for task, seeds in row.final_return.scores.items():
                for seed, score in seeds.items():
                    writer.writerow([row.name, task, seed, score, row.area.scores[task][seed]])
        return buffer.getvalue()


def make_report(
    comparisons: Sequence[FinishedComparison],
    *,
    references: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    stored: Mapping[str, Reference] | None = None,
) -> Report:
    """Put comparisons side by side.

    Args:
        comparisons: finished ones, each of another task.
        references: task -> return that becomes the score 1, in place of what is known of the task.
        thresholds: task -> return whose first reaching is to be shown.
        stored: references that ship; `None` reads them.

    Raises:
        ConfigurationError: two comparisons of one task, no algorithm in common, a reference that cannot be one, or
            a task named that none of them has.
    """
    _check(comparisons, {**(references or {}), **(thresholds or {})})
    common = [name for name in comparisons[0].algorithms if all(name in found.trainings for found in comparisons)]
    if not common:
        raise ConfigurationError(
            "these comparisons",
            cause="they have no algorithm in common",
            remedy="Compare the same algorithms on each task; `qredit compare --resume RUN` can add some.",
        )
    scales = tuple(scale_of(found, given=references or {}, stored=stored) for found in comparisons)
    finals = {name: _scores(comparisons, scales, name, "return_by_seed") for name in common}
    areas = {name: _scores(comparisons, scales, name, "area_by_seed") for name in common}
    grid = _grid([score for tasks in finals.values() for seeds in tasks.values() for score in seeds.values()])
    return Report(
        comparisons=tuple(comparisons),
        scales=scales,
        rows=tuple(
            ReportRow(
                name=name,
                final_return=_measure(comparisons, finals, name, "return_against_vdn"),
                area=_measure(comparisons, areas, name, "area_against_vdn"),
                profile=run_score_distribution(_lists(finals[name]), grid),
            )
            for name in common
        ),
        left_out=_left_out(comparisons, common),
        thresholds={
            found.task: Threshold(value, {n: milestone(curves, value) for n, curves in found.curves.items()})
            for found in comparisons
            if (value := (thresholds or {}).get(found.task)) is not None
        },
    )


def _check(comparisons: Sequence[FinishedComparison], named: Mapping[str, float]) -> None:
    tasks = [found.task for found in comparisons]
    twice = next((task for task in tasks if tasks.count(task) > 1), None)
    if not tasks or twice is not None:
        raise ConfigurationError(
            "a report of these comparisons",
            cause="there are none" if twice is None else f"two of them are of task `{twice}`",
            remedy="Give finished comparisons, each of another task.",
        )
    unknown = next((task for task in named if task not in tasks), None)
    if unknown is not None:
        raise ConfigurationError(
            f"task `{unknown}`", cause=f"the comparisons are of {', '.join(tasks)}", remedy="Name one of these."
        )


def _scores(
    comparisons: Sequence[FinishedComparison], scales: Sequence[Scale], name: str, field: str
) -> dict[str, dict[int, float]]:
    """Task -> seed -> normalised score of one algorithm."""
    return {
        found.task: {seed: scale.score(value) for seed, value in getattr(found.comparison.row(name), field).items()}
        for found, scale in zip(comparisons, scales, strict=True)
    }


def _measure(
    comparisons: Sequence[FinishedComparison], scores: Mapping[str, Mapping[str, SeedScores]], name: str, against: str
) -> Measured:
    differences = {found.task: getattr(found.comparison.row(name), against) for found in comparisons}
    beside = name != BASELINE and BASELINE in scores
    return Measured(
        scores=scores[name],
        interquartile_mean=interquartile_mean(_lists(scores[name])),
        improvement_over_vdn=(
            probability_of_improvement(_lists(scores[name]), _lists(scores[BASELINE])) if beside else None
        ),
        against_vdn={task: found for task, found in differences.items() if found is not None},
    )


def _lists(tasks: Mapping[str, SeedScores]) -> list[list[float]]:
    return [list(seeds.values()) for seeds in tasks.values()]


def _grid(scores: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Thresholds from the random policy to the reference, and beyond where somebody is there."""
    return np.linspace(min(0.0, *scores), max(1.0, *scores), _THRESHOLDS)


def _left_out(comparisons: Sequence[FinishedComparison], common: Sequence[str]) -> dict[str, tuple[str, ...]]:
    everyone = dict.fromkeys(name for found in comparisons for name in found.algorithms)
    return {
        name: tuple(found.task for found in comparisons if name not in found.trainings)
        for name in everyone
        if name not in common
    }


def _row_to_json(row: ReportRow) -> dict[str, Any]:
    profile = {
        name: None if values is None else values.tolist()
        for name in ("thresholds", "share", "low", "high")
        for values in [getattr(row.profile, name)]
    }
    return {"name": row.name, "final_return": asdict(row.final_return), "area": asdict(row.area), "profile": profile}
