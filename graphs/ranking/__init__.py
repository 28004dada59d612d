"""Ranking: pairs of situations in words, what a language model answers, and how far it can be relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.graphs.ranking.asking import Plan as Plan
    from qredit.graphs.ranking.asking import Ranker as Ranker
    from qredit.graphs.ranking.questions import Pair as Pair
    from qredit.graphs.ranking.questions import parse_answers as parse_answers
    from qredit.graphs.ranking.reliability import Reliability as Reliability
    from qredit.graphs.ranking.reliability import reliability_of as reliability_of

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Pair": ".questions",
        "Plan": ".asking",
        "Ranker": ".asking",
        "Reliability": ".reliability",
        "parse_answers": ".questions",
        "reliability_of": ".reliability",
    },
)
