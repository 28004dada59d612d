"""What a comparison found, as data: one row per algorithm and per fixed policy, each beside VDN seed by seed."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from qredit.errors import RunFolderError
from qredit.files import read_json_untrusted
from qredit.marl.aggregate import Estimate, probability_of_improvement
from qredit.marl.curves import LearningCurve, read_curve
from qredit.marl.statistics import Difference, Interval, bootstrap_interval, paired_difference

SCHEMA = 1
BASELINE = "vdn"
RANDOM_POLICY = "random policy"
OPTIMUM = "optimum"
RESULT = "result.json"


@dataclass(frozen=True)
class Training:
    """One finished training, read from its run folder."""

    final_return: float
    """Undiscounted team return per episode at the end, mean over the greedy evaluation episodes."""
    area_under_curve: float
    """Time average of the greedy return over environment steps."""
    environment_steps: int
    """Environment steps trained."""
    seconds: float
    """Wall-clock seconds trained."""
    vdn_difference: float | None
    """Share of visited states in which the credit function differs from VDN; `None` for other mixers."""
    curve: LearningCurve
    """The evaluations along the way."""

    @property
    def sampled_return(self) -> float | None:
        """The last evaluation with actions drawn from the policy; `None` without a stochastic policy."""
        return None if self.curve.sampled_return is None else float(self.curve.sampled_return[-1])


@dataclass(frozen=True)
class Row:
    """One algorithm, or one fixed policy, over all seeds."""

    name: str
    """Name of the algorithm; `random policy` and `optimum` for the two references."""
    return_by_seed: Mapping[int, float]
    """Seed -> final greedy return; empty for a reference."""
    mean_return: float
    """Mean of the final greedy returns."""
    return_interval: Interval | None
    """95 % bootstrap interval of that mean over seeds; `None` with fewer than three."""
    area_by_seed: Mapping[int, float]
    """Seed -> area under the curve; empty for a reference."""
    mean_area: float
    """Mean area under the curve; a fixed policy's area is its return."""
    area_interval: Interval | None
    """95 % bootstrap interval of that mean over seeds; `None` with fewer than three."""
    seconds: float | None
    """Mean wall-clock seconds of one training; `None` for a reference."""
    vdn_difference: float | None
    """Share of visited states in which the credit function differs from VDN, mean over seeds."""
    return_against_vdn: Difference | None
    """Final returns beside VDN's; `None` for VDN itself, for references, and where VDN was not trained."""
    area_against_vdn: Difference | None
    """Areas beside VDN's."""
    improvement_over_vdn: Estimate | None = None
    """Probability that one of its final returns is higher than one of VDN's; `None` as above."""
    area_improvement_over_vdn: Estimate | None = None
    """The same for areas."""
    sampled_by_seed: Mapping[int, float] = field(default_factory=dict)
    """Seed -> final return with actions drawn from the policy; empty without a stochastic policy."""
    mean_sampled: float | None = None
    """Mean of these; it never enters what is said about greedy returns."""
    sampled_interval: Interval | None = None
    """95 % bootstrap interval of that mean over seeds; `None` with fewer than three."""


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found."""

    task: str
    """Name of the task."""
    seeds: tuple[int, ...]
    """Seeds that every algorithm was trained with."""
    environment_steps: int
    """Environment steps asked of each training; it ends with the episodes in which they are reached."""
    jobs: int
    """Trainings that ran at the same time: wall-clock seconds depend on it."""
    random_episodes: int
    """Episodes of the random policy."""
    rows: tuple[Row, ...]
    """The random policy, the algorithms in the given order, and the optimum where it is known."""
    folder: Path
    """The run folder."""
    picture: Path
    """The learning curves."""

    def row(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON; paths are relative to the run folder."""
        return {
            "schema": SCHEMA,
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"rows", "folder", "picture"}},
            "picture": self.picture.name,
            "rows": [asdict(row) for row in self.rows],
        }

    def to_csv(self) -> str:
        """One line per training and per reference, for other programs.

        The column `sampled_return` is there where an algorithm has a stochastic policy.
        """
        sampled = any(row.sampled_by_seed for row in self.rows)
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["name", "seed", "final_return", "area_under_curve", *(["sampled_return"] if sampled else [])])
        for row in self.rows:
            if not row.return_by_seed:
                writer.writerow([row.name, "", row.mean_return, row.mean_area, *([""] if sampled else [])])
            for seed, value in row.return_by_seed.items():
                drawn = [row.sampled_by_seed.get(seed, "")] if sampled else []
                writer.writerow([row.name, seed, value, row.area_by_seed[seed], *drawn])
        return buffer.getvalue()


def read_training(folder: Path) -> Training:
    """Read a finished train run folder.

    Raises:
        ArtifactError: a file is missing or no regular file.
        RunFolderError: a file does not hold what it should.
    """
    result = read_json_untrusted(folder / RESULT)
    try:
        share = result.get("vdn_difference")
        return Training(
            final_return=float(result["final_return"]),
            area_under_curve=float(result["area_under_curve"]),
            environment_steps=int(result["environment_steps"]),
            seconds=float(result["seconds"]),
            vdn_difference=None if share is None else float(share),
            curve=read_curve(folder),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"result `{folder / RESULT}`",
            cause=f"it is damaged or of another version ({type(error).__name__}: {error})",
            remedy=f"Delete the folder `{folder}` and run again with `--resume`: only this training is repeated.",
        ) from error


def reference_row(name: str, value: float) -> Row:
    """The row of a policy that does not learn."""
    return Row(name, {}, value, None, {}, value, None, None, None, None, None)


def algorithm_row(name: str, trainings: Mapping[int, Training], baseline: Mapping[int, Training] | None) -> Row:
    """The row of an algorithm.

    Args:
        trainings: seed -> training.
        baseline: VDN's trainings; `None` for VDN itself and where it was not trained.
    """
    returns, areas = _returns(trainings), _areas(trainings)
    shares = [t.vdn_difference for t in trainings.values() if t.vdn_difference is not None]
    sampled = {seed: t.sampled_return for seed, t in trainings.items() if t.sampled_return is not None}
    vdn = None if baseline is None else (_returns(baseline), _areas(baseline))
    return Row(
        name=name,
        return_by_seed=returns,
        mean_return=statistics.fmean(returns.values()),
        return_interval=bootstrap_interval(list(returns.values())),
        area_by_seed=areas,
        mean_area=statistics.fmean(areas.values()),
        area_interval=bootstrap_interval(list(areas.values())),
        seconds=statistics.fmean(training.seconds for training in trainings.values()),
        vdn_difference=statistics.fmean(shares) if shares else None,
        return_against_vdn=paired_difference(returns, vdn[0]) if vdn else None,
        area_against_vdn=paired_difference(areas, vdn[1]) if vdn else None,
        improvement_over_vdn=_improvement(returns, vdn[0]) if vdn else None,
        area_improvement_over_vdn=_improvement(areas, vdn[1]) if vdn else None,
        sampled_by_seed=sampled,
        mean_sampled=statistics.fmean(sampled.values()) if sampled else None,
        sampled_interval=bootstrap_interval(list(sampled.values())),
    )


def rows_of(
    trainings: Mapping[str, Mapping[int, Training]], *, random_return: float, optimum: float | None
) -> tuple[Row, ...]:
    """The rows of a comparison: the random policy, the algorithms in the given order, the optimum where it is known.

    Args:
        trainings: algorithm -> seed -> training.
    """
    baseline = trainings.get(BASELINE)
    rows = [reference_row(RANDOM_POLICY, random_return)]
    rows += [algorithm_row(n, by_seed, baseline if n != BASELINE else None) for n, by_seed in trainings.items()]
    return (*rows, *([] if optimum is None else [reference_row(OPTIMUM, optimum)]))


def _returns(trainings: Mapping[int, Training]) -> dict[int, float]:
    return {seed: training.final_return for seed, training in trainings.items()}


def _areas(trainings: Mapping[int, Training]) -> dict[int, float]:
    return {seed: training.area_under_curve for seed, training in trainings.items()}


def _improvement(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate:
    return probability_of_improvement([list(ours.values())], [list(theirs.values())])
