"""How much `qredit rank` ranks; the command line's options are made from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qredit.errors import ConfigurationError
from qredit.limits import check_limits

LIMITS = {
    "pairs": (2, 100_000),
    "queries": (1, 64),
    "pairs_per_prompt": (1, 200),
    "ranking_attempts": (1, 16),
    "probe_pairs": (4, 200),
    "transition_seed": (0, 2**31),
}
"""Least and most."""


@dataclass(frozen=True)
class RankingSettings:
    """How much is ranked, and by whom."""

    pairs: int = 200
    """Transitions that are ranked, for all agents together."""
    queries: int = 1
    """Answers per pair; each second one with the situations in the other order."""
    pairs_per_prompt: int = 20
    """Pairs in one prompt."""
    ranking_attempts: int = 3
    """Tries per prompt until the reply can be used; a resumed run may have more."""
    probe_pairs: int = 16
    """Pairs that each candidate is tried with before the evaluator chooses; a quarter has a known answer."""
    models: Literal["auto", "one", "each"] = "auto"
    """Potential models: one for all agents, one for each, or one for all if the task calls them exchangeable."""
    transition_seed: int = 0
    """Seed of the transitions, the order of situations, and the weights."""
    accept_unreliable: bool = False
    """Whether the full set is ranked although the probes say that the ranker cannot be relied on."""

    def __post_init__(self) -> None:
        check_limits(self, LIMITS)

    def after(self, noted: Mapping[str, Any], *, where: str) -> RankingSettings:
        """With the values of an earlier run for all that is not said here.

        Args:
            noted: the settings of that run.
            where: who noted them, for messages.

        Raises:
            ConfigurationError: something else is said here, or the earlier run has settings that are unknown.
        """
        unsaid, said = asdict(RankingSettings()), asdict(self)
        unknown = sorted(set(noted) - set(unsaid))
        if unknown:
            raise ConfigurationError(
                where,
                cause=f"it has settings that this qredit does not have: {', '.join(unknown)}",
                remedy="Use the version that made it.",
            )
        settled = {name: noted.get(name, value) if value == unsaid[name] else value for name, value in said.items()}
        changed = [
            name for name in settled if name not in MAY_CHANGE and settled[name] != noted.get(name, unsaid[name])
        ]
        if changed:
            words = ", ".join(
                f"`{name}` was {noted.get(name, unsaid[name])} and is {settled[name]}" for name in changed
            )
            raise ConfigurationError(
                where, cause=f"it ranked with other settings: {words}", remedy="Leave these options out."
            )
        return RankingSettings(**settled)


MAY_CHANGE = frozenset({"ranking_attempts", "accept_unreliable"})
"""What an interrupted ranking may go on with."""
