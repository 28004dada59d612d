"""Aggregates over seeds and tasks, with intervals: pure functions, no files.

The measures of Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021:
probability of improvement, interquartile mean, run-score distributions (performance profiles). Scores are given task
by task, one number per seed. Intervals are stratified: within each task the seeds are drawn again, the tasks stay, so
an interval speaks of other seeds on these tasks, never of other tasks. As everywhere, fewer than three seeds on one
of the tasks give no interval.

NOT covered: pairing by seed. `qredit.marl.statistics.paired_difference` does that, and verdicts rest on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qredit.marl.statistics import (
    BOOTSTRAP_SEED,
    CONFIDENCE,
    FEWEST_SEEDS_FOR_INTERVAL,
    RESAMPLES,
    VALUES_AT_ONCE,
    Floats,
    Interval,
)

Scores = Sequence[ArrayLike]
"""One row per task, one number per seed; tasks may differ in their number of seeds."""
Statistic = Callable[[Sequence[Floats]], Floats]
"""Rows `[..., K]`, one per task -> `[...]`, or `[P, ...]` for a statistic of P numbers."""

_CUT = 0.25


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty."""

    value: float
    interval: Interval | None
    """Stratified 95 % bootstrap interval; `None` with fewer than three seeds on one of the tasks."""


@dataclass(frozen=True)
class Profile:
    """A run-score distribution: how many trainings score more than a threshold, for `[P]` thresholds."""

    thresholds: Floats
    share: Floats
    """Share of the trainings above each threshold; every task weighs the same."""
    low: Floats | None
    """Lower end of the pointwise 95 % bootstrap interval; `None` with fewer than three seeds on one of the tasks."""
    high: Floats | None
    """Upper end."""


def probability_of_improvement(ours: Scores, theirs: Scores) -> Estimate:
    """How probable it is that a training of ours scores more than one of theirs, on a task drawn from these.

    The mean over all pairs of seeds of `1[x > y] + 0.5 [x = y]`, then over tasks (Agarwal et al. 2021, section 4.3).

    Args:
        ours: the scores of an algorithm.
        theirs: those of the algorithm that it stands beside, with the same tasks in the same order.
    """
    tasks = len(ours)
    if tasks == 0 or tasks != len(theirs):
        raise ValueError(f"{tasks} tasks cannot be compared with {len(theirs)}")

    def statistic(rows: Sequence[Floats]) -> Floats:
        shares = [_above(x, y) for x, y in zip(rows[:tasks], rows[tasks:], strict=True)]
        return np.asarray(np.mean(shares, axis=0))

    rows = [*_rows(ours), *_rows(theirs)]
    pairs = sum(len(x) * len(y) for x, y in zip(rows[:tasks], rows[tasks:], strict=True))
    return _estimate(rows, statistic, low=0.0, high=1.0, values_per_resample=pairs)


def interquartile_mean(scores: Scores) -> Estimate:
    """Mean of the middle half of all scores, of all tasks together (Agarwal et al. 2021, section 4.3).

    A quarter of the numbers, rounded down, is cut off at either end. A task with more seeds weighs more.
    """
    # Late: scipy.stats takes a second to load. It ships no types.
    from scipy.stats import trim_mean  # type: ignore[import-untyped]

    def statistic(rows: Sequence[Floats]) -> Floats:
        return np.asarray(trim_mean(np.concatenate(rows, axis=-1), _CUT, axis=-1))

    rows = _rows(scores)
    everything = np.concatenate(rows)
    return _estimate(rows, statistic, low=everything.min(), high=everything.max(), values_per_resample=everything.size)


def run_score_distribution(scores: Scores, thresholds: ArrayLike) -> Profile:
    """Share of the trainings that score more than each of the thresholds `[P]` (Agarwal et al. 2021, section 4.2)."""
    grid = np.asarray(thresholds, dtype=np.float64)

    def statistic(rows: Sequence[Floats]) -> Floats:
        limits = grid.reshape(-1, *(1 for _ in range(rows[0].ndim)))
        return np.asarray(np.mean([(row > limits).mean(axis=-1) for row in rows], axis=0))

    rows = _rows(scores)
    share = statistic(rows)
    if not _enough(rows):
        return Profile(grid, share, None, None)
    low, high = _bootstrap(rows, statistic, values_per_resample=grid.size * sum(map(len, rows)))
    return Profile(grid, share, low, high)


def _above(x: Floats, y: Floats) -> Floats:
    """`[..., K]` and `[..., L]` -> share `[...]` of the pairs in which x is larger, ties counted half."""
    ours, theirs = x[..., :, None], y[..., None, :]
    return np.asarray(((ours > theirs) + 0.5 * (ours == theirs)).mean(axis=(-1, -2)))


def _rows(scores: Scores) -> list[Floats]:
    # Sorted, so that an interval does not depend on the order of the seeds.
    rows = [np.sort(np.asarray(row, dtype=np.float64)) for row in scores]
    if not rows or any(row.ndim != 1 or row.size == 0 for row in rows):
        raise ValueError("every task needs a row of scores, one per seed")
    if not all(np.isfinite(row).all() for row in rows):
        raise ValueError("scores must be finite numbers")
    return rows


def _enough(rows: Sequence[Floats]) -> bool:
    return min(map(len, rows)) >= FEWEST_SEEDS_FOR_INTERVAL


def _estimate(
    rows: Sequence[Floats], statistic: Statistic, *, low: float, high: float, values_per_resample: int
) -> Estimate:
    value = float(statistic(rows))
    if not _enough(rows):
        return Estimate(value, None)
    ends = _bootstrap(rows, statistic, values_per_resample=values_per_resample)
    # Means of equal numbers may leave their range by one rounding.
    return Estimate(value, Interval(*(float(np.clip(end, low, high)) for end in ends)))


def _bootstrap(rows: Sequence[Floats], statistic: Statistic, *, values_per_resample: int) -> tuple[Floats, Floats]:
    """Percentile interval; each row is resampled for itself."""
    # Late, as above.
    from scipy.stats import bootstrap

    def over_last_axis(*resampled: Floats, axis: int) -> Floats:
        assert axis == -1
        return statistic(resampled)

    found = bootstrap(
        tuple(rows),
        over_last_axis,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        batch=max(1, VALUES_AT_ONCE // values_per_resample),
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return np.asarray(found.low), np.asarray(found.high)
