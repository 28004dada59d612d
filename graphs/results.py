"""What a generation returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qredit.agents.messages import Identity, Role, Usage
from qredit.agents.recording import Drift
from qredit.graphs.state import Stopped
from qredit.sandbox.verdict import Accepted


@dataclass(frozen=True)
class CandidateSummary:
    """How one candidate of a round ended."""

    candidate: int
    """Its number in the round, from 1."""
    status: str
    """`accepted`, `rejected`, `no_code`, `not_asked` or `duplicate`."""
    sha: str
    """SHA-256 of its last source; empty if it never had one."""
    attempts: int
    """How many replies it took."""
    score: float | None
    """Its selection score, where there is one."""


@dataclass(frozen=True)
class RoundSummary:
    """One round."""

    number: int
    """Running number, from 1."""
    candidates: tuple[CandidateSummary, ...]
    """Its candidates, by number."""
    chosen: str
    """SHA-256 of the candidate that stands chosen after it; empty if all failed."""
    tips: str
    """The evaluator's tips; empty if it was not asked."""


@dataclass(frozen=True)
class Spend:
    """What a run cost, all its sessions together."""

    calls: int
    """Answered calls."""
    calls_this_session: int
    """Those of them that went to the model in this session; the others came from the reply store."""
    usage: Usage
    """Tokens."""
    model_seconds: float
    """Time of the calls added up; candidates run in parallel, so it is more than the wall clock."""
    usd: float | None = None
    """What it cost by the price list, in US dollars; `None` if some price is not known."""

    def to_json(self) -> dict[str, Any]:
        """The spend as JSON data, for `run.json` and artifacts."""
        return {
            "calls": self.calls,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "estimated": self.usage.estimated,
            "model_seconds": round(self.model_seconds, 1),
            "usd": None if self.usd is None else round(self.usd, 6),
        }


@dataclass(frozen=True)
class GenerationResult:
    """The program that a generation ended with, and how it came to be."""

    kind: str
    """What kind of program it is."""
    chosen: str
    """SHA-256 of the chosen source."""
    source: str
    """The chosen Python, for people."""
    payload: bytes
    """What the checks made of it; of a credit function its credit graph, for training."""
    verdict: Accepted
    """What the checks said about it."""
    figures: str
    """What was measured on it, as the evaluator read it."""
    score: float | None
    """Its selection score, where there is one."""
    reason: str
    """Why it was chosen."""
    stopped: Stopped
    """Why the run ended before its last round, if it did."""
    parents: tuple[str, ...]
    """SHA-256 of the chosen candidates that its prompts built on, the nearest first."""
    rounds: tuple[RoundSummary, ...]
    """All rounds, the first first."""
    spend: Spend
    """What the run cost."""
    drift: Drift | None
    """For a replay: how many prompts differ from the recording."""
    identities: Mapping[Role, Identity]
    """Which model answered, by role."""
    prompt_hashes: Mapping[str, str]
    """SHA-256 of each prompt template."""
    settings: Mapping[str, Any]
    """The settings that decide what is asked."""
