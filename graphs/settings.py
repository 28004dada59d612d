"""Settings of a generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qredit.errors import ConfigurationError
from qredit.limits import check_limits

Selection = Literal["evaluator", "score", "random"]
LIMITS = {
    "candidates": (1, 64),
    "rounds": (0, 64),
    "patience": (0, 64),
    "attempts": (1, 16),
    "evaluator_attempts": (1, 16),
    "max_concurrency": (1, 256),
    "selection_seed": (0, 2**31),
    "play_off": (0, 10**9),
}
MAY_GROW = ("attempts", "evaluator_attempts", "rounds")
"""Settings that a resumed run may have more of: what was asked before stays as it was."""


@dataclass(frozen=True)
class GenerationSettings:
    """How many candidates, rounds and tries, and who selects."""

    candidates: int = 3
    """Candidates per round, `K`."""
    rounds: int = 3
    """Rounds, `L`; each ends with a choice. 0 writes candidates once and selects by the score: no evaluator."""
    selection: Selection = "evaluator"
    """Who selects: the evaluator, which also gives tips; the measured score alone; or chance, as a baseline."""
    selection_seed: int = 0
    """Seed of a selection by chance."""
    patience: int = 2
    """Stop when the best score has not risen for so many rounds; 0 never stops early."""
    play_off: int = 0
    """Environment steps that each candidate on the ballot trains a team for before the evaluator chooses; 0 is none."""
    attempts: int = 4
    """Tries per candidate: the first, and repairs with the error message."""
    evaluator_attempts: int = 3
    """Tries of the evaluator per round."""
    max_concurrency: int = 8
    """Candidates that are worked on at once; no part of what a run is, so it may change on resume."""

    def __post_init__(self) -> None:
        check_limits(self, LIMITS)
        if self.selection not in ("evaluator", "score", "random"):
            raise ConfigurationError(
                f"setting `selection` = {self.selection!r}",
                cause="nobody of this name selects",
                remedy="Choose `evaluator`, `score` or `random`.",
            )
        if self.play_off and self.selector != "evaluator":
            raise ConfigurationError(
                f"setting `play_off` = {self.play_off}",
                cause="nobody would read the curves: the evaluator is not asked",
                remedy="Let the evaluator select, or leave the play-off out.",
            )

    @property
    def selector(self) -> Selection:
        """Who selects: without a round of refinement nobody is asked."""
        return "score" if self.rounds == 0 and self.selection == "evaluator" else self.selection

    @property
    def writing_rounds(self) -> int:
        """Rounds in which candidates are written."""
        return max(1, self.rounds)

    @property
    def least_calls(self) -> int:
        """Calls of a run in which every reply can be used."""
        evaluations = self.writing_rounds if self.selector == "evaluator" else 0
        return self.candidates * self.writing_rounds + evaluations

    def best_of_k(self) -> GenerationSettings:
        """The baseline of equal budget: as many calls, all spent on independent first candidates.

        Raises:
            ConfigurationError: that would be more than 64.
        """
        return GenerationSettings(
            candidates=self.least_calls,
            rounds=0,
            selection="score",
            attempts=self.attempts,
            evaluator_attempts=self.evaluator_attempts,
            max_concurrency=self.max_concurrency,
        )

    def defining(self) -> dict[str, Any]:
        """The settings that decide what is asked; a resumed run must have the same, or more of some."""
        data = asdict(self)
        del data["max_concurrency"]
        return data


def continues(noted: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a run that was started with the settings `noted` may go on with these."""

    def goes(name: str) -> bool:
        before, after = noted.get(name), now.get(name)
        return before == after or (name in MAY_GROW and type(before) is int and type(after) is int and before < after)

    return set(noted) == set(now) and all(goes(name) for name in now)
