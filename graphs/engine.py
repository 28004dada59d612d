"""The nodes of the generation graph (QLLM, algorithm 1, lines 1 to 12).

`begin` starts a round; `candidate` runs K times in parallel, each with its repair loop; `collect` tells duplicates
apart and looks at what is left; `evaluate` chooses and gives tips. A candidate that fails is an outcome and never
raises. What raises is ours or the endpoint's: then no new call is made, calls in flight end and are stored, and the
run can be resumed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qredit.agents.messages import Message, Position, Reply
from qredit.agents.parsing import Choice, Unusable, parse_choice, parse_code
from qredit.agents.roles import Brief, Entry, evaluation_request, first_request, refine_request, repair_request
from qredit.agents.store import StoredModel, reply_key
from qredit.errors import NothingAcceptedError, NoUsableReplyError, RunFolderError
from qredit.graphs.candidates import Candidates, Judged
from qredit.graphs.describe import Describe
from qredit.graphs.failures import taxonomy
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import Ask, Chosen, Outcome, RunState, of_round
from qredit.graphs.story import Story
from qredit.sandbox.verdict import Accepted, Rejected

Verify = Callable[[str], Accepted | Rejected]


@dataclass(frozen=True)
class Ballot:
    """What an evaluator is shown: numbers from 1, the incumbent first."""

    shas: tuple[str, ...]
    incumbent: bool

    @property
    def has_new(self) -> bool:
        """Whether anything new stands on it."""
        return len(self.shas) > int(self.incumbent)


class Engine:
    """The nodes, with what they need."""

    def __init__(
        self,
        *,
        brief: Brief,
        settings: GenerationSettings,
        model: StoredModel,
        verify: Verify,
        describe: Describe,
        fingerprint: Callable[[str], str],
        candidates: Candidates,
        story: Story,
    ) -> None:
        self._brief = brief
        self._settings = settings
        self._model = model
        self._verify = verify
        self._describe = describe
        self._fingerprint = fingerprint
        self._candidates = candidates
        self._story = story
        self._judging: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.verified: set[str] = set()
        """Candidates whose verdict was found in this session and not read from the folder."""

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
        outcome: Outcome = {"round": number, "candidate": candidate, "status": "no_code", "sha": "", "attempts": 0}
        for attempt in range(1, self._settings.attempts + 1):
            position = Position("coder", number, candidate, attempt)
            reply = await self._say(messages, position, parent=parent)
            outcome["attempts"] = attempt
            parsed = parse_code(reply.text, finish_reason=reply.finish_reason)
            if isinstance(parsed, Unusable):
                source, problem = None, parsed.problem
                self._story.no_code(position, problem)
            else:
                source = parsed.source
                outcome["sha"] = self._candidates.keep(source)
                judged = await self.judge(outcome["sha"])
                self._story.verdict(position, outcome["sha"], judged, parsed)
                if isinstance(judged.verdict, Accepted):
                    outcome["status"] = "accepted"
                    break
                outcome["status"], problem = "rejected", judged.verdict.message
            messages = repair_request(request, attempt=attempt + 1, source=source, problem=problem)
        return {"outcomes": [outcome]}

    async def collect(self, state: RunState) -> dict[str, Any]:
        """End of a round's writing: is there something to evaluate?

        Raises:
            NothingAcceptedError: all candidates failed, also in the one fresh round.
        """
        number = state["round"]
        duplicates = self.duplicates(state)
        for outcome in of_round(state["outcomes"], number):
            if (number, outcome["candidate"]) in duplicates:
                self._story.duplicate(outcome, duplicates[number, outcome["candidate"]])
        if self.ballot(state).has_new:
            return {}
        failures = taxonomy(of_round(state["outcomes"], number), self._candidates)
        if state["choices"]:
            kept = state["choices"][-1]
            self._story.kept(number, kept["sha"], failures)
            return {"completed": state["completed"] + 1, "choices": [{**kept, "round": number}]}
        self._story.all_failed(number, failures)
        if state["fresh"]:
            raise NothingAcceptedError(
                f"none of {2 * self._settings.candidates} candidates in two rounds was accepted",
                cause="; ".join(failures),
                remedy="Look at them with `qredit inspect RUN`; a stronger model or more attempts may help.",
            )
        return {"fresh": True}

    async def evaluate(self, state: RunState) -> dict[str, Any]:
        """The evaluator's choice and tips (equation 6).

        Raises:
            NoUsableReplyError: no usable verdict within the retry budget.
        """
        number, ballot = state["round"], self.ballot(state)
        parent = ballot.shas[0] if ballot.incumbent else None
        problem: str | None = None
        for attempt in range(1, self._settings.evaluator_attempts + 1):
            position = Position("evaluator", number, 0, attempt)
            messages = evaluation_request(self._brief, self._entries(ballot), problem=problem)
            reply = await self._say(messages, position, parent=parent)
            choice = parse_choice(reply.text, range(1, len(ballot.shas) + 1))
            if isinstance(choice, Choice):
                key = reply_key(self._model.identity, messages, position)
                return self._choose(state, ballot, choice, key)
            problem = choice.problem
            self._story.bad_choice(position, choice.problem)
        raise NoUsableReplyError(
            f"round {number}: no usable verdict in {self._settings.evaluator_attempts} replies of the evaluator",
            cause=problem or "no attempt was made",
            remedy="Look at its replies with `qredit inspect RUN`; a stronger model may help.",
        )

    def ballot(self, state: RunState) -> Ballot:
        """The incumbent and the round's new candidates, without duplicates of anything accepted before."""
        incumbent = [state["choices"][-1]["sha"]] if state["choices"] else []
        duplicates = self.duplicates(state)
        new = [
            outcome["sha"]
            for outcome in of_round(state["outcomes"], state["round"])
            if outcome["status"] == "accepted" and (outcome["round"], outcome["candidate"]) not in duplicates
        ]
        return Ballot((*incumbent, *new), bool(incumbent))

    def duplicates(self, state: RunState) -> dict[tuple[int, int], str]:
        """(round, candidate) of each accepted candidate that was there before -> SHA-256 of the earlier one."""
        seen: dict[str, str] = {}
        found = {}
        for outcome in sorted(state["outcomes"], key=lambda o: (o["round"], o["candidate"])):
            if outcome["status"] != "accepted":
                continue
            marks = self._marks(outcome["sha"])
            earlier = next((seen[mark] for mark in marks if mark in seen), None)
            if earlier is not None:
                found[outcome["round"], outcome["candidate"]] = earlier
            for mark in marks:
                seen.setdefault(mark, outcome["sha"])
        return found

    async def judge(self, sha: str) -> Judged:
        """The verdict on a candidate: the kept one, or a new one from the jail, in a thread of its own."""
        async with self._judging[sha]:  # two candidates of a round may be the same text
            kept = self._candidates.judged(sha)
            if kept is not None:
                return kept
            judged = await asyncio.to_thread(self.judge_now, self._candidates.source(sha))
            self._candidates.keep_verdict(sha, judged)
            self.verified.add(sha)
            return judged

    def judge_now(self, source: str) -> Judged:
        """Check a source and measure it; blocks."""
        verdict = self._verify(source)
        if isinstance(verdict, Rejected):
            return Judged(verdict, "")
        warnings = [f"warning: {warning}" for warning in verdict.warnings]
        return Judged(verdict, "\n".join([self._describe(verdict), *warnings]))

    def tips_of(self, chosen: Chosen) -> Choice:
        """Reason and tips of a choice, read from the reply that made it.

        Raises:
            RunFolderError: the reply is not in the store.
        """
        reply = self._model.get(chosen["reply_key"])
        choice = parse_choice(reply.text, [chosen["number"]]) if reply else None
        if not isinstance(choice, Choice):
            raise RunFolderError(
                "the run folder is inconsistent",
                cause=f"the reply that chose `{chosen['sha']}` is not in the reply store",
                remedy="Delete its `checkpoints.sqlite` and resume again.",
            )
        return choice

    async def _say(self, messages: Sequence[Message], position: Position, *, parent: str | None) -> Reply:
        self._story.asking(position)
        reply = await self._model.complete(messages, position)
        self._story.replied(position, self._model.identity, messages, reply, parent=parent)
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
            figures=self._accepted(chosen["sha"]).figures,
            tips=self.tips_of(chosen).tips,
            failures=failures,
        )

    def _entries(self, ballot: Ballot) -> list[Entry]:
        return [
            Entry(
                number=number,
                source=self._candidates.source(sha),
                figures=self._accepted(sha).figures,
                incumbent=ballot.incumbent and number == 1,
            )
            for number, sha in enumerate(ballot.shas, 1)
        ]

    def _choose(self, state: RunState, ballot: Ballot, choice: Choice, key: str) -> dict[str, Any]:
        number, sha = state["round"], ballot.shas[choice.number - 1]
        self._story.chosen(number, ballot.shas, choice)
        chosen: Chosen = {"round": number, "sha": sha, "reply_key": key, "number": choice.number}
        return {"completed": state["completed"] + 1, "choices": [chosen]}

    def _accepted(self, sha: str) -> Judged:
        judged = self._candidates.judged(sha)
        if judged is None or isinstance(judged.verdict, Rejected):
            raise RunFolderError(
                "the run folder is inconsistent",
                cause=f"candidate `{sha}` is used, but its accepted verdict is missing",
                remedy="Delete its `checkpoints.sqlite` and resume again.",
            )
        return judged

    def _marks(self, sha: str) -> tuple[str, ...]:
        """What makes a candidate the same as another: its normalised syntax tree, or its credit graph."""
        verdict = self._accepted(sha).verdict
        graph = verdict.graph_sha256 if isinstance(verdict, Accepted) else ""
        return (f"tree {self._fingerprint(self._candidates.source(sha))}", f"graph {graph}")
