"""Learning curves as they lie in a train run's `metrics.csv`."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qredit.errors import RunFolderError
from qredit.files import read_untrusted
from qredit.marl.statistics import Floats, area_under_curve

METRICS = "metrics.csv"
_SIZE_LIMIT = 100_000_000
_SAMPLED = "sampled_return"


@dataclass(frozen=True)
class LearningCurve:
    """Evaluations of one training, `[P]` points, the first before the first update."""

    environment_steps: Floats
    """Environment steps trained so far."""
    seconds: Floats
    """Wall-clock seconds trained so far."""
    greedy_return: Floats
    """Undiscounted team return per episode, mean over the evaluation episodes, actions greedy."""
    sampled_return: Floats | None = None
    """The same with actions drawn from the policy; `None` for an algorithm without a stochastic policy."""

    @property
    def area(self) -> float:
        """Time average of the greedy return over environment steps."""
        return area_under_curve(self.environment_steps, self.greedy_return)


@dataclass(frozen=True)
class Reached:
    """When a training first reached a return."""

    environment_steps: float
    """Environment steps trained by then."""
    seconds: float
    """Wall-clock seconds trained by then."""


@dataclass(frozen=True)
class Milestone:
    """When an algorithm reaches a return, over its seeds."""

    reached: int
    """Seeds that reached it."""
    seeds: int
    """Seeds in all."""
    environment_steps: float | None
    """Median over all seeds, where one that never got there counts as the latest; `None` if that median never did."""
    seconds: float | None
    """The same in wall-clock seconds."""


def time_to(curve: LearningCurve, threshold: float) -> Reached | None:
    """The first evaluation with at least this greedy return; `None` if there is none.

    Nothing is interpolated: what lies between two evaluations was not measured.
    """
    there = np.flatnonzero(curve.greedy_return >= threshold)
    if len(there) == 0:
        return None
    return Reached(float(curve.environment_steps[there[0]]), float(curve.seconds[there[0]]))


def milestone(curves: Sequence[LearningCurve], threshold: float) -> Milestone:
    """When the seeds of an algorithm reach a greedy return."""
    found = [time_to(curve, threshold) for curve in curves]
    reached = [one for one in found if one is not None]
    never = [float("inf")] * (len(found) - len(reached))
    steps = statistics.median([*(one.environment_steps for one in reached), *never])
    seconds = statistics.median([*(one.seconds for one in reached), *never])
    return Milestone(
        reached=len(reached),
        seeds=len(found),
        environment_steps=steps if np.isfinite(steps) else None,
        seconds=seconds if np.isfinite(seconds) else None,
    )


def read_curve(folder: Path) -> LearningCurve:
    """Read the curve of a train run folder.

    Raises:
        ArtifactError: the file is missing or no regular file.
        RunFolderError: it does not hold a learning curve.
    """
    path = folder / METRICS
    text = read_untrusted(path, limit=_SIZE_LIMIT).decode(errors="replace")
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
        columns = {name: _column(rows, name) for name in ("environment_steps", "seconds", "greedy_return")}
        sampled = _column(rows, _SAMPLED) if any(row.get(_SAMPLED) for row in rows) else None
        curve = LearningCurve(**columns, sampled_return=sampled)
        for values in (curve.greedy_return, sampled):
            if values is not None:
                area_under_curve(curve.environment_steps, values)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise RunFolderError(
            f"learning curve `{path}`",
            cause=f"it is damaged or of another version ({type(error).__name__}: {error})",
            remedy=f"Delete the folder `{folder}` and run again with `--resume`: only this training is repeated.",
        ) from error
    return curve


def read_columns(folder: Path) -> dict[str, Floats]:
    """All columns of numbers of a train run folder that are complete, each `[P]`, by their names.

    Raises:
        ArtifactError: the file is missing or no regular file.
        RunFolderError: it is damaged.
    """
    path = folder / METRICS
    rows = list(csv.DictReader(io.StringIO(read_untrusted(path, limit=_SIZE_LIMIT).decode(errors="replace"))))
    try:
        names = [name for name in (rows[0] if rows else {}) if all(row[name] for row in rows)]
        return {name: _column(rows, name) for name in names}
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"learning curve `{path}`",
            cause=f"it is damaged or of another version ({type(error).__name__}: {error})",
            remedy=f"Delete the folder `{folder}` and run again.",
        ) from error


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows], dtype=np.float64)
