"""What a generation will ask and cost, before anything is asked: `qredit generate --dry-run`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qredit.agents.budget import CHARACTERS_PER_TOKEN
from qredit.agents.messages import Message, Role, Usage
from qredit.agents.prices import Price, cost

if TYPE_CHECKING:
    from qredit.graphs import GenerationSettings

SOURCE_CHARACTERS = 2500
"""Assumed length of a candidate with what is said about it."""
OUTPUT_TOKENS: Mapping[Role, int] = {"coder": 2500, "evaluator": 1500}
"""Assumed length of a reply."""
ASSUMPTIONS = (
    f"{CHARACTERS_PER_TOKEN} characters per token; a candidate with what is said about it has {SOURCE_CHARACTERS} "
    "characters",
    f"{OUTPUT_TOKENS['coder']} tokens per reply of the coder and {OUTPUT_TOKENS['evaluator']} per reply of the "
    "evaluator; reasoning models write several times as much",
    "at least: every reply can be used; at most: every repair is needed, and one fresh round. A run that stops early "
    "needs less than either",
)


@dataclass(frozen=True)
class Bill:
    """What one course of a run needs."""

    calls: int
    """Calls of all models."""
    input_tokens: int
    """Tokens read."""
    output_tokens: int
    """Tokens written."""
    usd: float | None
    """US dollars at list prices, or at those given; `None` if the price of a model is not known."""


@dataclass(frozen=True)
class Estimate:
    """What a generation will need."""

    at_least: Bill
    """Every reply can be used."""
    at_most: Bill
    """Every repair is needed, and so is the one fresh round after a round in which all candidates failed."""
    assumptions: tuple[str, ...] = ASSUMPTIONS
    """What the figures rest on."""

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON data."""
        return {**asdict(self), "assumptions": list(self.assumptions)}


def estimate(
    first_request: Sequence[Message], settings: GenerationSettings, prices: Mapping[Role, Price | None]
) -> Estimate:
    """Estimate calls, tokens and dollars of a generation.

    Later requests are taken to be as long as the first one with the sources that they hold: the chosen or the faulty
    one for a refinement or a repair, those of all candidates for the evaluator, the incumbent included.

    Args:
        first_request: the rendered request for the first candidate.
        settings: numbers of candidates, rounds and tries, and who selects.
        prices: price of each role's model, as `prices_of` finds them.
    """
    characters = sum(len(message.text) for message in first_request)
    fresh = [0] * settings.candidates  # sources in each request of a round without an incumbent
    refining = [1] * (settings.candidates * (settings.writing_rounds - 1))
    repairing = [1] * ((settings.attempts - 1) * settings.candidates * (settings.writing_rounds + 1))
    judging: list[int] = []
    if settings.selector == "evaluator":
        later = [settings.candidates + 1] * (settings.writing_rounds - 1)
        judging = [settings.candidates, *later]

    def bill(coder: Sequence[int], evaluator: Sequence[int]) -> Bill:
        calls: dict[Role, Sequence[int]] = {"coder": coder, "evaluator": evaluator}
        usage = {
            role: Usage(sum(_tokens(characters, held) for held in sources), OUTPUT_TOKENS[role] * len(sources))
            for role, sources in calls.items()
        }
        total = sum(usage.values(), Usage())
        return Bill(len(coder) + len(evaluator), total.input_tokens, total.output_tokens, cost(usage, prices))

    return Estimate(
        at_least=bill([*fresh, *refining], judging),
        at_most=bill([*fresh, *fresh, *refining, *repairing], judging * settings.evaluator_attempts),
    )


def _tokens(characters: int, sources: int) -> int:
    return math.ceil((characters + sources * SOURCE_CHARACTERS) / CHARACTERS_PER_TOKEN)
