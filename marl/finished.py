"""A finished comparison, read back from its run folder: what reports and papers are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qredit.errors import RunFolderError
from qredit.files import read_json_untrusted
from qredit.marl.comparison import OPTIMUM, RANDOM_POLICY, Comparison, Training, read_training, rows_of
from qredit.marl.curves import LearningCurve
from qredit.runs import Run

DATA = "comparison.json"
# Names become file names here and words in LaTeX there, and the folder may come from a stranger.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+=-]{0,199}")


@dataclass(frozen=True)
class FinishedComparison:
    """A comparison with what its trainings left."""

    comparison: Comparison
    """Its rows, made anew from the trainings."""
    trainings: Mapping[str, Mapping[int, Training]]
    """Algorithm -> seed -> training."""
    settings: Mapping[str, Mapping[str, Any]]
    """Algorithm -> the settings that its trainings were recorded with, those of its first seed."""
    environment: Mapping[str, Any]
    """The task's environment as recorded, such as its `adapter` and `id`; empty where nothing was."""
    mixers: Mapping[str, str]
    """Algorithm -> SHA-256 of the credit graph that it trained with, for those that had one."""
    command: str | None
    """The command that made it, where it was recorded."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.comparison.task

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the algorithms, in the order of the comparison."""
        return tuple(self.trainings)

    @property
    def random_return(self) -> float:
        """What the random policy reaches."""
        return self.comparison.row(RANDOM_POLICY).mean_return

    @property
    def optimum(self) -> float | None:
        """The highest possible return, where it is known."""
        return next((row.mean_return for row in self.comparison.rows if row.name == OPTIMUM), None)

    @property
    def curves(self) -> dict[str, list[LearningCurve]]:
        """Algorithm -> one learning curve per seed."""
        return {name: [training.curve for training in seeds.values()] for name, seeds in self.trainings.items()}


def training_folder(comparison: Path, algorithm: str, seed: int) -> Path:
    """The train run folder of one algorithm and seed."""
    return comparison / f"{algorithm}-seed{seed}"


def read_comparison(folder: Path) -> FinishedComparison:
    """Read a finished comparison. Only numbers and names are taken over; nothing in the folder is executed.

    Raises:
        ArtifactError: a file is missing, as in a comparison that is not finished, or no regular file.
        RunFolderError: a file does not hold what it should.
    """
    data = read_json_untrusted(folder / DATA)
    try:
        seeds = tuple(int(seed) for seed in data["seeds"])
        values = {_name(row["name"]): float(row["mean_return"]) for row in data["rows"]}
        random_return, optimum = values.pop(RANDOM_POLICY), values.pop(OPTIMUM, None)
        if not values or not seeds:
            raise ValueError("nothing was compared")
        trainings = {n: {seed: read_training(training_folder(folder, n, seed)) for seed in seeds} for n in values}
        comparison = Comparison(
            task=_name(data["task"]),
            seeds=seeds,
            environment_steps=int(data["environment_steps"]),
            jobs=int(data["jobs"]),
            random_episodes=int(data["random_episodes"]),
            rows=rows_of(trainings, random_return=random_return, optimum=optimum),
            folder=folder,
            picture=folder / _name(data["picture"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(folder / DATA, error) from error
    records = {name: _record(training_folder(folder, name, seeds[0])) for name in trainings}
    return _with_records(comparison, trainings, records)


def _with_records(
    comparison: Comparison, trainings: Mapping[str, Mapping[int, Training]], records: Mapping[str, Mapping[str, Any]]
) -> FinishedComparison:
    tasks = [record["task"] for record in records.values() if isinstance(record.get("task"), dict)]
    environment = tasks[0].get("environment") if tasks else None
    run = Run(comparison.folder)
    command = run.record.get("command") if (run.path / "run.json").exists() else None
    return FinishedComparison(
        comparison=comparison,
        trainings=trainings,
        settings={name: _mapping(record.get("training")) for name, record in records.items()},
        environment=_mapping(environment),
        mixers={name: str(sha) for name, record in records.items() if (sha := record.get("mixer_sha256"))},
        command=command if isinstance(command, str) else None,
    )


def _record(folder: Path) -> Mapping[str, Any]:
    """The settings that a training was started with; empty without a record."""
    if not (folder / "run.json").exists():
        return {}
    return _mapping(Run(folder).record.get("settings"))


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _name(found: object) -> str:
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise ValueError(f"{str(found)[:100]!r} is no name")
    return found


def _damaged(path: Path, error: Exception) -> RunFolderError:
    return RunFolderError(
        f"comparison `{path}`",
        cause=f"it is damaged or of another version ({type(error).__name__}: {error})",
        remedy="Run the comparison again with `--resume`: finished trainings are kept, and this file is written anew.",
    )
