"""Normalised scores: on every task 0 is the random policy and 1 a stated reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from qredit.errors import ConfigurationError
from qredit.files import read_untrusted
from qredit.marl.finished import FinishedComparison

STORED = Path(__file__).parent / "references.yaml"
_SIZE_LIMIT = 1_000_000


@dataclass(frozen=True)
class Scale:
    """How the returns of one task become scores."""

    task: str
    """Name of the task."""
    random_return: float
    """The return that becomes 0: the random policy's in this comparison."""
    reference: float
    """The return that becomes 1."""
    source: str
    """Where the reference comes from, in words."""

    def score(self, value: float) -> float:
        """A return, or an area, as a score; below 0 and above 1 are possible."""
        return (value - self.random_return) / (self.reference - self.random_return)


@dataclass(frozen=True)
class Reference:
    """A return that a task is measured by."""

    value: float
    source: str
    """Where it comes from, in words."""


def stored_references(path: Path = STORED) -> dict[str, Reference]:
    """The references that ship with qredit, by task."""
    found = yaml.safe_load(read_untrusted(path, limit=_SIZE_LIMIT))
    return {task: Reference(float(entry["value"]), str(entry["source"])) for task, entry in found.items()}


def scale_of(
    found: FinishedComparison, *, given: Mapping[str, float], stored: Mapping[str, Reference] | None = None
) -> Scale:
    """The scale of a task: by the given reference, else its known optimum, else the stored one, else its own best.

    Args:
        found: the task's comparison.
        given: task -> reference that the user states.
        stored: references that ship; `None` reads them.

    Raises:
        ConfigurationError: the reference is not above the random policy.
    """
    low = found.random_return
    reference = _reference(found, given, stored_references() if stored is None else stored)
    if not math.isfinite(reference.value) or reference.value <= low:
        raise ConfigurationError(
            f"reference {reference.value} of task `{found.task}` ({reference.source})",
            cause=f"it is not above the random policy's return, {low}, so no score can be made from the two",
            remedy=f"State what counts as 1: `--reference {found.task}=RETURN`.",
        )
    return Scale(found.task, low, reference.value, reference.source)


def _reference(found: FinishedComparison, given: Mapping[str, float], stored: Mapping[str, Reference]) -> Reference:
    if found.task in given:
        return Reference(given[found.task], "as given")
    if found.optimum is not None:
        return Reference(found.optimum, "the task's optimum")
    if found.task in stored:
        return stored[found.task]
    best = max((found.comparison.row(name) for name in found.algorithms), key=lambda row: row.mean_return)
    return Reference(best.mean_return, f"no reference is known: best mean final return in this comparison, {best.name}")
