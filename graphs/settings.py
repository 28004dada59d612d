"""Settings of a generation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from qredit.errors import ConfigurationError


@dataclass(frozen=True)
class GenerationSettings:
    """How many candidates, rounds and tries."""

    candidates: int = 3
    """Candidates per round, `K`."""
    rounds: int = 3
    """Rounds, `L`; each ends with the evaluator's choice."""
    attempts: int = 4
    """Tries per candidate: the first, and repairs with the error message."""
    evaluator_attempts: int = 3
    """Tries of the evaluator per round."""
    max_concurrency: int = 8
    """Candidates that are worked on at once; no part of what a run is, so it may change on resume."""

    def __post_init__(self) -> None:
        limits = {
            "candidates": 64,
            "rounds": 64,
            "attempts": 16,
            "evaluator_attempts": 16,
            "max_concurrency": 256,
        }
        for name, most in limits.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ConfigurationError(
                    f"setting `{name}` = {value}",
                    cause=f"it must be 1 to {most}",
                    remedy="Choose a value in this range.",
                )

    def defining(self) -> dict[str, int]:
        """The settings that decide what is asked; a resumed run must have the same."""
        data = asdict(self)
        del data["max_concurrency"]
        return data
