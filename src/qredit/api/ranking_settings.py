"""How much `qredit rank` ranks; the command line's options are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qredit.errors import ConfigurationError


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
        for name, least, most in (("pairs", 2, 100_000), ("probe_pairs", 4, 200), ("transition_seed", 0, 2**31)):
            if not least <= getattr(self, name) <= most:
                raise ConfigurationError(
                    f"setting `{name}` = {getattr(self, name)}",
                    cause=f"it must be {least} to {most}",
                    remedy="Choose a value in this range.",
                )
