"""From the final state of a run to its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qredit.agents.recording import drift_of
from qredit.agents.store import StoredModel
from qredit.errors import RunFolderError
from qredit.graphs.ballot import duplicates
from qredit.graphs.candidates import Candidates
from qredit.graphs.engine import Engine
from qredit.graphs.kinds.kind import Kind
from qredit.graphs.results import CandidateSummary, GenerationResult, RoundSummary, Spend
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import RunState, of_round
from qredit.prompts import template_hashes
from qredit.sandbox.verdict import Accepted

if TYPE_CHECKING:
    from qredit.runs import Run


async def result_of(
    state: RunState, engine: Engine, store: StoredModel, settings: GenerationSettings, run: Run, kind: Kind
) -> GenerationResult:
    """The result of a finished run.

    Raises:
        RunFolderError: the chosen candidate's verdict came from the folder and the checks say something else now.
    """
    chosen = state["choices"][-1]
    sha = chosen["sha"]
    source = Candidates(run.path / "candidates").source(sha)
    judge = engine.judge
    judged = await judge.judge(sha)
    if sha not in judge.found:  # a resumed run: its folder may come from a stranger
        again = await asyncio.to_thread(judge.judge_now, source)
        kept, now = judged.verdict, again.verdict
        if not isinstance(now, Accepted) or not isinstance(kept, Accepted) or now.payload_sha256 != kept.payload_sha256:
            raise RunFolderError(
                f"run `{run.path}`",
                cause=f"the kept verdict on its chosen candidate `{sha}` is not what the checks say",
                remedy="Start a new run: the folder was changed, or the checks were.",
            )
    verdict = judged.verdict
    if not isinstance(verdict, Accepted):
        raise RunFolderError(f"run `{run.path}`", cause="a rejected candidate is chosen", remedy="Start a new run.")
    return GenerationResult(
        kind=kind.name,
        chosen=sha,
        source=source,
        payload=verdict.payload,
        verdict=verdict,
        figures=judged.figures,
        score=judged.score,
        reason=engine.tips_of(chosen).reason,
        stopped=state["stopped"],
        parents=_parents(state, sha),
        rounds=_rounds(state, engine),
        spend=spend_of(store),
        drift=drift_of(store.replies()),
        identities=store.identities,
        prompt_hashes=dict(template_hashes(kind.templates)),
        settings=settings.defining(),
    )


def spend_of(store: StoredModel) -> Spend:
    """What the run cost so far."""
    return Spend(store.calls, store.answered_live, store.spend(), store.model_seconds(), store.cost())


def _parents(state: RunState, sha: str) -> tuple[str, ...]:
    """The chosen candidates that the prompts of `sha` built on, the nearest first."""
    born = min((o["round"] for o in state["outcomes"] if o["sha"] == sha), default=0)
    line = [c["sha"] for c in state["choices"] if c["round"] < born]
    return tuple(dict.fromkeys(reversed(line)))


def _rounds(state: RunState, engine: Engine) -> tuple[RoundSummary, ...]:
    by_round = {choice["round"]: choice for choice in state["choices"]}
    repeated = duplicates(state, engine.judge)
    rounds = []
    for number in range(1, state["round"] + 1):
        choice = by_round.get(number)
        members = [
            CandidateSummary(
                candidate=o["candidate"],
                status="duplicate" if (number, o["candidate"]) in repeated else o["status"],
                sha=o["sha"],
                attempts=o["attempts"],
                score=engine.judge.accepted(o["sha"])[1].score if o["status"] == "accepted" else None,
            )
            for o in of_round(state["outcomes"], number)
        ]
        tips = engine.tips_of(choice).tips if choice else ""
        rounds.append(RoundSummary(number, tuple(members), choice["sha"] if choice else "", tips))
    return tuple(rounds)
