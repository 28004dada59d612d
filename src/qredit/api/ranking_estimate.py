"""What a ranking will ask and cost, before anything is asked: `qredit rank --dry-run`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from qredit.agents.budget import CHARACTERS_PER_TOKEN
from qredit.agents.messages import Usage
from qredit.agents.prices import Price, cost, prices_of
from qredit.api.estimate import Bill, Estimate
from qredit.api.generation import estimate_generation
from qredit.api.models import budget_of, open_models
from qredit.graphs import GenerationSettings
from qredit.graphs.kinds.ranking import RANKING
from qredit.graphs.ranking.trial import PROBE
from qredit.prompts import ranking_path

if TYPE_CHECKING:
    from qredit.agents import ModelSettings
    from qredit.api.ranking_settings import RankingSettings
    from qredit.api.settings import Request

PROMPT_CHARACTERS, PAIR_CHARACTERS = 6000, 650
"""Assumed length of a ranker's prompt without its pairs, and of a pair, as in Two-Switch (`docs/results/lca.md`)."""
ANSWER_TOKENS = 5
"""Assumed length of the answer to a pair."""
ASSUMPTIONS = (
    f"a ranker's prompt has {PROMPT_CHARACTERS} characters and {PAIR_CHARACTERS} more per pair; {ANSWER_TOKENS} tokens "
    "per answer",
)


def estimate_ranking(
    request: Request, ranking: RankingSettings, settings: GenerationSettings, *, sampling: ModelSettings | None = None
) -> Estimate:
    """What a ranking would take; nothing is asked, and no model need be named.

    Raises:
        QreditError: the request cannot be carried out as it is.
    """
    writing = estimate_generation(request, settings=settings, sampling=sampling, kind=RANKING)
    price: Price | None = None
    if request.model not in (None, "replay", "human"):
        models = open_models(request, sampling, recording=ranking_path(request.task))
        models = replace(models, ranker=models["ranker"])
        price = prices_of(models.identities, budget_of(request.spending, models).prices)["ranker"]
    usage, calls = ranker_usage(ranking, settings)

    def bill(written: Bill, times: int) -> Bill:
        spent = Usage(times * usage.input_tokens, times * usage.output_tokens)
        usd = cost({"ranker": spent}, {"ranker": price})
        return Bill(
            written.calls + times * calls,
            written.input_tokens + spent.input_tokens,
            written.output_tokens + spent.output_tokens,
            None if usd is None or written.usd is None else usd + written.usd,
        )

    return Estimate(
        at_least=bill(writing.at_least, 1),
        at_most=bill(writing.at_most, ranking.ranking_attempts),
        assumptions=(*writing.assumptions, *ASSUMPTIONS),
    )


def ranker_usage(ranking: RankingSettings, settings: GenerationSettings) -> tuple[Usage, int]:
    """Tokens and calls of the ranker if every reply can be used: trials of all candidates, the last look, all pairs."""
    trials = settings.candidates + (settings.candidates + 1) * (max(1, settings.rounds) - 1) + 1
    prompts = trials * PROBE.queries * math.ceil(ranking.probe_pairs / PROBE.pairs_per_prompt)
    prompts += ranking.queries * math.ceil(ranking.pairs / ranking.pairs_per_prompt)
    pairs = trials * PROBE.queries * ranking.probe_pairs + ranking.queries * ranking.pairs
    characters = prompts * PROMPT_CHARACTERS + pairs * PAIR_CHARACTERS
    return Usage(math.ceil(characters / CHARACTERS_PER_TOKEN), pairs * ANSWER_TOKENS), prompts
