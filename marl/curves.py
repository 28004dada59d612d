"""Learning curves as they lie in a train run's `metrics.csv`."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qredit.errors import RunFolderError
from qredit.files import read_untrusted
from qredit.marl.statistics import Floats, area_under_curve

METRICS = "metrics.csv"
_SIZE_LIMIT = 100_000_000


@dataclass(frozen=True)
class LearningCurve:
    """Greedy evaluations of one training, `[P]` points, the first before the first update."""

    environment_steps: Floats
    """Environment steps trained so far."""
    seconds: Floats
    """Wall-clock seconds trained so far."""
    greedy_return: Floats
    """Undiscounted team return per episode, mean over the evaluation episodes, actions greedy."""

    @property
    def area(self) -> float:
        """Time average of the greedy return over environment steps."""
        return area_under_curve(self.environment_steps, self.greedy_return)


def read_curve(folder: Path) -> LearningCurve:
    """Read the curve of a train run folder.

    Raises:
        ArtifactError: the file is missing or no regular file.
        RunFolderError: it does not hold a learning curve.
    """
    path = folder / METRICS
    text = read_untrusted(path, limit=_SIZE_LIMIT).decode(errors="replace")
    rows = list(csv.DictReader(io.StringIO(text)))
    try:
        columns = {
            name: np.array([float(row[name]) for row in rows], dtype=np.float64)
            for name in ("environment_steps", "seconds", "greedy_return")
        }
        curve = LearningCurve(**columns)
        area_under_curve(curve.environment_steps, curve.greedy_return)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise RunFolderError(
            f"learning curve `{path}`",
            cause=f"it is damaged or of another version ({type(error).__name__}: {error})",
            remedy=f"Delete the folder `{folder}` and run again with `--resume`: only this training is repeated.",
        ) from error
    return curve
