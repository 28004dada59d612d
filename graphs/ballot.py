"""Who stands for election after a round, who may win, and how it goes without an evaluator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from qredit.graphs.judging import Judge
from qredit.graphs.state import RunState, of_round


@dataclass(frozen=True)
class Ballot:
    """The candidates to choose from: numbers from 1, the incumbent first."""

    shas: tuple[str, ...]
    """SHA-256 of each, by number."""
    scores: tuple[float | None, ...]
    """Selection score of each, where there is one."""
    incumbent: bool
    """Whether the first was chosen in the round before."""

    @property
    def has_new(self) -> bool:
        """Whether anything new stands on it."""
        return len(self.shas) > int(self.incumbent)

    @property
    def eligible(self) -> tuple[int, ...]:
        """Numbers that may be chosen: none that scores lower than the incumbent, so that no round makes it worse."""
        numbers = range(1, len(self.shas) + 1)
        bar = self.scores[0] if self.incumbent else None
        if bar is None:
            return tuple(numbers)
        scores = zip(numbers, self.scores, strict=True)
        return tuple(number for number, score in scores if score is None or score >= bar)

    def by_score(self) -> int:
        """The number with the highest score; the lowest number among equals, and if nothing has a score."""
        numbers = range(1, len(self.shas) + 1)
        return max(numbers, key=lambda n: (self._score(n), -n))

    def by_chance(self, seed: int, round_number: int) -> int:
        """A number drawn from those that may be chosen, the same for the same seed and round."""
        return random.Random(f"{seed}/{round_number}").choice(self.eligible)

    def _score(self, number: int) -> float:
        score = self.scores[number - 1]
        return float("-inf") if score is None else score


def ballot_of(state: RunState, judge: Judge) -> Ballot:
    """The incumbent and the round's new candidates, without duplicates of anything accepted before."""
    incumbent = [state["choices"][-1]["sha"]] if state["choices"] else []
    repeated = duplicates(state, judge)
    new = [
        outcome["sha"]
        for outcome in of_round(state["outcomes"], state["round"])
        if outcome["status"] == "accepted" and (outcome["round"], outcome["candidate"]) not in repeated
    ]
    shas = (*incumbent, *new)
    return Ballot(shas, tuple(judge.accepted(sha)[1].score for sha in shas), bool(incumbent))


def duplicates(state: RunState, judge: Judge) -> dict[tuple[int, int], str]:
    """(round, candidate) of each accepted candidate that was there before -> SHA-256 of the earlier one."""
    seen: dict[str, str] = {}
    found = {}
    for outcome in sorted(state["outcomes"], key=lambda o: (o["round"], o["candidate"])):
        if outcome["status"] != "accepted":
            continue
        marks = judge.marks(outcome["sha"])
        earlier = next((seen[mark] for mark in marks if mark in seen), None)
        if earlier is not None:
            found[outcome["round"], outcome["candidate"]] = earlier
        for mark in marks:
            seen.setdefault(mark, outcome["sha"])
    return found


def has_converged(scores: Sequence[float | None], patience: int) -> bool:
    """Whether the score of the chosen one has not risen over the last `patience` rounds; never without scores."""
    if patience == 0 or len(scores) <= patience:
        return False
    before, last = scores[-patience - 1], scores[-1]
    return before is not None and last is not None and last <= before
