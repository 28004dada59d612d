"""The trial of candidates: the ranker answers the same probe pairs with each candidate's guide and texts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qredit.errors import NoUsableReplyError
from qredit.graphs.engine import Say, Trial
from qredit.graphs.kinds.ranking import RankingProgram, program_of
from qredit.graphs.ranking.asking import Plan, Ranker
from qredit.graphs.ranking.questions import Pair
from qredit.graphs.ranking.reliability import Reliability, reliability_of
from qredit.sandbox.verdict import Accepted
from qredit.task import Task

PROBE = Plan(queries=3)
"""In one order, in the other, and in the first one again."""
PLACES = 1000
"""Positions that one candidate's probes have."""
SHOWN = 4
"""Pairs that are shown to the evaluator with their answers."""
Describe = Callable[[RankingProgram], Sequence[Pair]]
"""The probe pairs in a program's words; blocks."""


async def probe(
    say: Say,
    task: Task,
    program: RankingProgram,
    pairs: Sequence[Pair],
    known: NDArray[np.float64],
    *,
    round_: int,
    number: int,
) -> tuple[Reliability, NDArray[np.float64]]:
    """Ask about the probe pairs with one program; reliability, and the answers `[M, 3]`.

    Raises:
        NoUsableReplyError: see `Ranker.ask`.
        QreditError: what the endpoint, the budget or the disk raised.
    """
    ranker = Ranker(say, task, on_answer=lambda done, total: None)
    answers = await ranker.ask(program.guide, pairs, PROBE, round_=round_, first=PLACES * number)
    return reliability_of(answers, PROBE.swapped(len(pairs)), known), answers


def trial_of(task: Task, describe: Describe, known: NDArray[np.float64]) -> Trial:
    """A trial for the graph.

    Args:
        task: the task's text.
        describe: puts the probe pairs into words.
        known: what is known about them, `[M]`; see `reliability_of`.
    """

    async def one(number: int, candidate: int, accepted: Accepted, say: Say) -> str:
        program = program_of(accepted.payload)
        pairs = await asyncio.to_thread(describe, program)
        try:
            found, answers = await probe(say, task, program, pairs, known, round_=number, number=candidate)
        except NoUsableReplyError as error:
            return f"Candidate {candidate}: the ranker gave no usable answers: {error.cause}"
        return f"Candidate {candidate}:\n{found.lines()}\n{_examples(pairs, answers, known)}"

    async def trial(number: int, finalists: Mapping[int, Accepted], say: Say) -> str:
        asked = [one(number, candidate, accepted, say) for candidate, accepted in sorted(finalists.items())]
        return "\n\n".join(await asyncio.gather(*asked))

    return trial


def _examples(pairs: Sequence[Pair], answers: NDArray[np.float64], known: NDArray[np.float64]) -> str:
    """Pairs with their answers, wrong and wavering ones first."""
    wrong = np.nan_to_num(np.abs(answers - known[:, None])).max(axis=1)
    wavering = np.nan_to_num(np.nanmax(answers, axis=1) - np.nanmin(answers, axis=1)) if answers.size else wrong
    order = np.argsort(-(2 * wrong + wavering), kind="stable")[:SHOWN]
    words = {1.0: "later", 0.0: "earlier", 0.5: "unsure"}
    lines = []
    for row in order.tolist():
        said = ", ".join(words.get(float(a), "nothing") for a in answers[row])
        truth = "" if np.isnan(known[row]) else f"; known: {words[float(known[row])]}"
        lines.append(f"pair for agent {pairs[row].ego}: answered {said}{truth}")
        lines.append(f"  earlier: {pairs[row].before}")
        lines.append(f"  later: {pairs[row].after}")
    return "\n".join(lines)
