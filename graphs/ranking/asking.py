"""Asking a ranker about many pairs: in prompts of some twenty, each pair several times, in either order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qredit.agents.messages import Position
from qredit.agents.parsing import Unusable
from qredit.errors import NoUsableReplyError
from qredit.graphs.engine import Say
from qredit.graphs.ranking.questions import Answer, Pair, parse_answers, request
from qredit.limits import check_limits
from qredit.task import Task

Answers = NDArray[np.float64]
"""`[M, Q]`: 1 where the later situation is called better, 0 the earlier one, 1/2 for unsure, NaN for no answer."""
FULL_ROUND = 0
"""Round of the positions of the full set; probes have the round of the generation."""


LIMITS = {"queries": (1, 64), "pairs_per_prompt": (1, 200), "attempts": (1, 16), "max_concurrency": (1, 256)}


@dataclass(frozen=True)
class Plan:
    """How often and in which order pairs are asked."""

    queries: int = 1
    """Answers per pair, `Q`; each second one in the reverse order of the one before."""
    pairs_per_prompt: int = 20
    """Pairs in one prompt."""
    attempts: int = 3
    """Tries per prompt until the reply can be used."""
    seed: int = 0
    """Of the order of the two situations."""
    max_concurrency: int = 8
    """Prompts that are asked at once."""

    def __post_init__(self) -> None:
        check_limits(self, LIMITS)

    def swapped(self, count: int) -> NDArray[np.bool_]:
        """Whether the later situation comes first, `[M, Q]`."""
        first = np.random.default_rng(np.random.SeedSequence((self.seed, count))).random(count) < 0.5
        turned: NDArray[np.bool_] = first[:, None] ^ (np.arange(self.queries) % 2 == 1)[None, :]
        return turned


class Ranker:
    """Who is asked, and what about."""

    def __init__(self, say: Say, task: Task, *, on_answer: Callable[[int, int], None]) -> None:
        """Nothing is asked yet.

        Args:
            say: asks a model and keeps what it answers.
            task: the task's text.
            on_answer: told of (prompts answered, prompts in all).
        """
        self._say, self._task, self._on_answer = say, task, on_answer

    async def ask(
        self, guide: str, pairs: Sequence[Pair], plan: Plan, *, round_: int = FULL_ROUND, first: int = 0
    ) -> Answers:
        """Answers `[M, Q]` to pairs; what was answered before is not asked again.

        Args:
            guide: the guide that was written for the ranker.
            pairs: the pairs.
            plan: how often and in which order.
            round_: round of the positions.
            first: number of positions before the first.

        Raises:
            NoUsableReplyError: no reply to a prompt could be used.
            QreditError: what the endpoint, the budget or the disk raised.
        """
        swapped = plan.swapped(len(pairs))
        parts = [
            (query, slice(start, start + plan.pairs_per_prompt))
            for query in range(plan.queries)
            for start in range(0, len(pairs), plan.pairs_per_prompt)
        ]
        answers = np.full((len(pairs), plan.queries), np.nan)
        gate, answered = asyncio.Semaphore(plan.max_concurrency), 0

        async def ask_one(number: int, query: int, part: slice) -> None:
            nonlocal answered
            async with gate:
                turned = swapped[part, query].tolist()
                place = Position("ranker", round_, first + number, 1)
                found = await self._answers(guide, pairs[part], turned, place, plan.attempts)
            answers[part, query] = [_as_number(a, t) for a, t in zip(found, turned, strict=True)]
            answered += 1
            self._on_answer(answered, len(parts))

        # Calls in flight go on and are kept, also when another prompt fails.
        await asyncio.gather(*(ask_one(number, query, part) for number, (query, part) in enumerate(parts, 1)))
        return answers

    async def _answers(
        self, guide: str, pairs: Sequence[Pair], swapped: Sequence[bool], place: Position, attempts: int
    ) -> Sequence[Answer | None]:
        problem: str | None = None
        for attempt in range(1, attempts + 1):
            messages = request(self._task, guide, pairs, swapped, problem=problem)
            position = Position(place.role, place.round, place.candidate, attempt)
            reply = await self._say(messages, position)
            found = parse_answers(reply.text, len(pairs))
            if not isinstance(found, Unusable):
                return found
            problem = found.problem
        raise NoUsableReplyError(
            f"prompt {place.candidate}: no usable rankings in {attempts} replies",
            cause=problem or "no attempt was made",
            remedy="Look at the replies in the run's `replies.jsonl`; another model or fewer pairs per prompt "
            "(--pairs-per-prompt) may help, or more tries: --resume RUN --ranking-attempts 6 goes on from there.",
        )


def _as_number(answer: Answer | None, swapped: bool) -> float:
    if answer is None:
        return float("nan")
    if answer == "unsure":
        return 0.5
    return float((answer == "A") == swapped)
