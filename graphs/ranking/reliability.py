"""Whether a ranker's answers can be relied on: told before the full set is paid for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qredit.graphs.ranking.asking import Answers
from qredit.prompts import figure

MOST_BIAS = 0.35
"""How far the share of answers for the first situation may be from a half."""
LEAST_AGREEMENT, LEAST_RIGHT, LEAST_ANSWERED = 0.6, 0.6, 0.8
FEWEST_KNOWN = 4
"""Answers to known pairs below which nothing is concluded from them."""


@dataclass(frozen=True)
class Reliability:
    """How a ranker answered probe pairs; `None` where no answer could tell."""

    answered: float
    """Share of the questions about a pair that got an answer."""
    unsure: float
    """Share of the answers that are "unsure"."""
    first: float | None
    """Share of the decided answers for the situation that came first; a half if position does not matter."""
    consistency: float | None
    """Share of the pairs with equal answers in both orders."""
    agreement: float | None
    """Share of the pairs with equal answers to the very same question, asked twice."""
    known_right: float | None
    """Share of the decided answers to known pairs that are right."""
    known: int
    """How many decided answers to known pairs there are."""

    def problems(self) -> tuple[str, ...]:
        """Why its answers cannot be relied on; nothing if they can."""
        found = []
        if self.answered < LEAST_ANSWERED:
            found.append(f"it answers {figure(100 * self.answered)} % of the questions")
        if self.first is not None and abs(self.first - 0.5) > MOST_BIAS:
            found.append(
                f"it names the situation that comes first in {figure(100 * self.first)} % of its decided answers, "
                "whatever stands there"
            )
        for share, what in ((self.agreement, "asked the same question twice"), (self.consistency, "in both orders")):
            if share is not None and share < LEAST_AGREEMENT:
                found.append(f"it agrees with itself in {figure(100 * share)} % of the pairs, {what}")
        if self.known_right is not None and self.known >= FEWEST_KNOWN and self.known_right < LEAST_RIGHT:
            found.append(f"it is right in {figure(100 * self.known_right)} % of its answers to known pairs")
        if self.unsure > 0.95:
            found.append("it is nearly always unsure")
        return tuple(found)

    def lines(self) -> str:
        """For the evaluator and for people."""

        def share(value: float | None) -> str:
            return "not known" if value is None else f"{figure(100 * value)} %"

        return "\n".join(
            [
                f"answered: {share(self.answered)}; unsure: {share(self.unsure)}",
                f"decided for the situation shown first: {share(self.first)} (50 % if position does not matter)",
                f"same answer in both orders: {share(self.consistency)}",
                f"same answer to the very same question: {share(self.agreement)}",
                f"right on known pairs: {share(self.known_right)} of {self.known} decided answers",
            ]
        )


def reliability_of(answers: Answers, swapped: NDArray[np.bool_], known: NDArray[np.float64]) -> Reliability:
    """How a ranker answered.

    Args:
        answers: `[M, 3]`: in one order, in the other, and in the first one again.
        swapped: whether the later situation came first, `[M, 3]`.
        known: 1 where the later situation is known to be better, 0 the earlier one, NaN where nobody knows, `[M]`.
    """
    asked = ~np.isnan(answers)
    decided = asked & (answers != 0.5)
    named_first = (answers == 1) == swapped

    def equal(a: int, b: int) -> float | None:
        both = asked[:, a] & asked[:, b]
        return float((answers[both, a] == answers[both, b]).mean()) if both.any() else None

    judged = decided & ~np.isnan(known)[:, None]
    right = answers == known[:, None]
    return Reliability(
        answered=float(asked.mean()),
        unsure=float((answers[asked] == 0.5).mean()) if asked.any() else 0.0,
        first=float(named_first[decided].mean()) if decided.any() else None,
        consistency=equal(0, 1),
        agreement=equal(0, 2),
        known_right=float(right[judged].mean()) if judged.any() else None,
        known=int(judged.sum()),
    )
