"""The nodes of the generation graph (QLLM, algorithm 1, lines 1 to 12).

`begin` starts a round; `candidate` runs K times in parallel, each with its repair loop; `collect` tells duplicates
apart and looks at what is left; `evaluate` chooses and gives tips. A candidate that fails is an outcome and never
raises. A spent budget ends the run with the best candidate so far. What raises is ours or the endpoint's: then no new
call is made, calls in flight end and are stored, and the run can be resumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from qredit.agents.messages import Message, Position, Reply, ReplySchema
from qredit.agents.parsing import Choice, Unusable, parse_choice, parse_code
from qredit.agents.roles import Brief, Entry, evaluation_request, first_request, refine_request, repair_request
from qredit.agents.store import StoredModel, reply_key
from qredit.agents.verdict_schema import verdict_schema
from qredit.errors import BudgetSpentError, NothingAcceptedError, NoUsableReplyError, RunFolderError
from qredit.graphs.ballot import Ballot, ballot_of, duplicates, has_converged
from qredit.graphs.candidates import Candidates
from qredit.graphs.failures import taxonomy
from qredit.graphs.judging import Judge
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import Ask, Chosen, Outcome, RunState, of_round
from qredit.graphs.story import Story
from qredit.sandbox.verdict import Accepted

Say = Callable[[Sequence[Message], Position], Awaitable[Reply]]
"""Asks a model, keeps the reply, and writes both into the trace."""
Trial = Callable[[int, Mapping[int, Accepted], Say], Awaitable[str]]
"""What else the evaluator shall see of the candidates of a ballot: (round, number -> accepted program, how to ask)."""
PlayOff = Callable[[Mapping[int, Accepted]], str]
"""Short trainings with the candidates of a ballot: number -> accepted program, to curves in words; blocks."""


class Engine:
    """The nodes, with what they need."""

    def __init__(
        self,
        *,
        brief: Brief,
        settings: GenerationSettings,
        functions: Sequence[str],
        model: StoredModel,
        judge: Judge,
        candidates: Candidates,
        story: Story,
        play_off: PlayOff | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._brief = brief
        self._settings = settings
        self._functions = functions
        self._model = model
        self._candidates = candidates
        self._story = story
        self._play_off = play_off
        self._trial = trial
        self.judge = judge
        """Who checks candidates."""

    async def begin(self, state: RunState) -> dict[str, Any]:
        """Start the next round."""
        number = state["round"] + 1
        self._story.round_started(number)
        return {"round": number}

    async def candidate(self, state: Ask) -> dict[str, list[Outcome]]:
        """One candidate: ask, check, and repair with the real message, a bounded number of times."""
        number, candidate = state["round"], state["candidate"]
        request = messages = self._coder_request(state)
        parent = state["chosen"]["sha"] if state["chosen"] else None
        outcome: Outcome = {
            "round": number,
            "candidate": candidate,
            "status": "not_asked",
            "sha": "",
            "attempts": 0,
            "out_of_budget": False,
        }
        for attempt in range(1, self._settings.attempts + 1):
            position = Position("coder", number, candidate, attempt)
            try:
                reply = await self._say(messages, position, parent=parent)
            except BudgetSpentError as error:
                self._story.out_of_budget(position, str(error))
                outcome["out_of_budget"] = True
                break
            outcome["attempts"] = attempt
            source, problem = await self._check(reply, position, outcome)
            if outcome["status"] == "accepted":
                break
            messages = repair_request(request, attempt=attempt + 1, source=source, problem=problem)
        return {"outcomes": [outcome]}

    async def _check(self, reply: Reply, position: Position, outcome: Outcome) -> tuple[str | None, str]:
        """Fill in the outcome of one attempt; the source, if there is one, and what is wrong with it."""
        parsed = parse_code(reply.text, functions=self._functions, finish_reason=reply.finish_reason)
        if isinstance(parsed, Unusable):
            outcome["status"] = "rejected" if outcome["sha"] else "no_code"
            self._story.no_code(position, parsed.problem)
            return None, parsed.problem
        outcome["sha"] = self._candidates.keep(parsed.source)
        judged = await self.judge.judge(outcome["sha"])
        self._story.verdict(position, outcome["sha"], judged, parsed)
        if isinstance(judged.verdict, Accepted):
            outcome["status"] = "accepted"
            return parsed.source, ""
        outcome["status"] = "rejected"
        return parsed.source, judged.verdict.message

    async def collect(self, state: RunState) -> dict[str, Any]:
        """End of a round's writing: is there something to choose from?

        Raises:
            NothingAcceptedError: all candidates failed, also in the one fresh round.
            BudgetSpentError: the budget is spent, and nothing was accepted yet.
        """
        number = state["round"]
        outcomes = of_round(state["outcomes"], number)
        repeated = duplicates(state, self.judge)
        for outcome in outcomes:
            if (number, outcome["candidate"]) in repeated:
                self._story.duplicate(outcome, repeated[number, outcome["candidate"]])
        spent = any(outcome["out_of_budget"] for outcome in outcomes)
        stopped = {"stopped": "budget"} if spent else {}
        if ballot_of(state, self.judge).has_new:
            return stopped
        failures = taxonomy(outcomes, self._candidates)
        if state["choices"]:
            kept: Chosen = {**state["choices"][-1], "round": number}
            self._story.kept(number, kept["sha"], failures)
            return {"completed": state["completed"] + 1, "choices": [kept], **self._converged(state, kept), **stopped}
        self._story.all_failed(number, failures)
        if spent:
            raise BudgetSpentError(
                "the budget is spent before any candidate was accepted",
                cause="; ".join(failures) or "no candidate could be asked for",
                remedy="Go on with a larger one: --max-tokens or --max-usd, and --resume RUN.",
            )
        if state["fresh"]:
            raise NothingAcceptedError(
                f"none of {2 * self._settings.candidates} candidates in two rounds was accepted",
                cause="; ".join(failures),
                remedy="Look at them with `qredit inspect RUN`; a stronger model may help, or more attempts: "
                "--resume RUN --attempts 8 goes on from there.",
            )
        return {"fresh": True}

    async def evaluate(self, state: RunState) -> dict[str, Any]:
        """The choice among the incumbent and the round's new candidates, with tips if the evaluator makes it (eq. 6).

        Raises:
            NoUsableReplyError: no usable verdict of the evaluator within the retry budget.
        """
        ballot = ballot_of(state, self.judge)
        if state["stopped"] == "budget" or self._settings.selector == "score":
            return self._choose(state, ballot, Choice(ballot.by_score(), "the highest score", ""), "")
        if self._settings.selector == "random":
            number = ballot.by_chance(self._settings.selection_seed, state["round"])
            return self._choose(state, ballot, Choice(number, "drawn by lot", ""), "")
        try:
            return await self._ask_evaluator(state, ballot)
        except BudgetSpentError as error:
            self._story.out_of_budget(Position("evaluator", state["round"], 0, 1), str(error))
            choice = Choice(ballot.by_score(), "the highest score; the budget is spent", "")
            return {**self._choose(state, ballot, choice, ""), "stopped": "budget"}

    async def _ask_evaluator(self, state: RunState, ballot: Ballot) -> dict[str, Any]:
        number, eligible = state["round"], ballot.eligible
        curves = await self._curves(number, ballot)
        problem: str | None = None
        for attempt in range(1, self._settings.evaluator_attempts + 1):
            position = Position("evaluator", number, 0, attempt)
            messages = evaluation_request(
                self._brief, self._entries(ballot), choices=eligible, curves=curves, problem=problem
            )
            parent = ballot.shas[0] if ballot.incumbent else None
            reply = await self._say(messages, position, parent=parent, schema=verdict_schema(eligible))
            choice = parse_choice(reply.text, eligible, finish_reason=reply.finish_reason)
            if isinstance(choice, Choice):
                key = reply_key(self._model.identities["evaluator"], messages, position)
                return self._choose(state, ballot, choice, key)
            problem = choice.problem
            self._story.bad_choice(position, choice.problem)
        raise NoUsableReplyError(
            f"round {number}: no usable verdict in {self._settings.evaluator_attempts} replies of the evaluator",
            cause=problem or "no attempt was made",
            remedy="Look at its replies with `qredit inspect RUN`; a stronger model may help, or more attempts: "
            "--resume RUN --evaluator-attempts 6 goes on from there.",
        )

    def tips_of(self, chosen: Chosen) -> Choice:
        """Reason and tips of a choice, read from the reply that made it.

        Raises:
            RunFolderError: the reply is not in the store.
        """
        if not chosen["reply_key"]:
            return Choice(chosen["number"], "", "")
        reply = self._model.get(chosen["reply_key"])
        choice = parse_choice(reply.text, [chosen["number"]]) if reply else None
        if not isinstance(choice, Choice):
            raise RunFolderError(
                "the run folder is inconsistent",
                cause=f"the reply that chose `{chosen['sha']}` is not in the reply store",
                remedy="Delete its `checkpoints.sqlite` and resume again.",
            )
        return choice

    async def _say(
        self,
        messages: Sequence[Message],
        position: Position,
        *,
        parent: str | None = None,
        schema: ReplySchema | None = None,
    ) -> Reply:
        self._story.asking(position)
        reply = await self._model.complete(messages, position, schema=schema)
        self._story.replied(position, self._model.identities[position.role], messages, reply, parent=parent)
        return reply

    def _coder_request(self, ask: Ask) -> tuple[Message, ...]:
        failures = taxonomy(ask["failed"], self._candidates)
        chosen = ask["chosen"]
        if chosen is None:
            return first_request(self._brief, candidate=ask["candidate"], failures=failures)
        return refine_request(
            self._brief,
            candidate=ask["candidate"],
            source=self._candidates.source(chosen["sha"]),
            figures=self.judge.accepted(chosen["sha"])[1].figures,
            tips=self.tips_of(chosen).tips,
            failures=failures,
        )

    def _entries(self, ballot: Ballot) -> list[Entry]:
        return [
            Entry(
                number=number,
                source=self._candidates.source(sha),
                figures=self.judge.accepted(sha)[1].figures,
                incumbent=ballot.incumbent and number == 1,
            )
            for number, sha in enumerate(ballot.shas, 1)
        ]

    async def _curves(self, number: int, ballot: Ballot) -> str:
        """What short trainings or a trial gave; kept, so that a resumed run asks the very same question."""
        if self._play_off is None and self._trial is None:
            return ""
        kept = self._candidates.curves(number)
        if kept is None:
            finalists = {n: self.judge.accepted(sha)[0] for n, sha in enumerate(ballot.shas, 1)}
            if self._trial is not None:
                self._story.trying(number, len(finalists))
                kept = await self._trial(number, finalists, self._say)
            else:
                assert self._play_off is not None
                self._story.playing_off(number, len(finalists))
                kept = await asyncio.to_thread(self._play_off, finalists)
            self._candidates.keep_curves(number, kept)
        if self._trial is not None:
            self._story.tried(number, kept)
        else:
            self._story.played_off(number, kept)
        return kept

    def _choose(self, state: RunState, ballot: Ballot, choice: Choice, key: str) -> dict[str, Any]:
        number, sha = state["round"], ballot.shas[choice.number - 1]
        self._story.chosen(number, ballot, choice)
        chosen: Chosen = {"round": number, "sha": sha, "reply_key": key, "number": choice.number}
        return {"completed": state["completed"] + 1, "choices": [chosen], **self._converged(state, chosen)}

    def _converged(self, state: RunState, chosen: Chosen) -> dict[str, str]:
        """The update of the state if this choice is one too many without a better score."""
        shas = [c["sha"] for c in (*state["choices"], chosen)]
        scores = [self.judge.accepted(sha)[1].score for sha in shas]
        if state["stopped"] or not has_converged(scores, self._settings.patience):
            return {}
        if state["completed"] + 1 < self._settings.writing_rounds:
            self._story.converged(chosen["round"], self._settings.patience)
        return {"stopped": "converged"}
