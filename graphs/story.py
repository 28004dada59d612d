"""Each thing that happens in a generation is told twice: to the trace, for ever, and as an event, for the screen."""

from __future__ import annotations

from collections.abc import Sequence

from qredit.agents.messages import Identity, Message, Position, Reply
from qredit.agents.parsing import Choice, Code
from qredit.graphs.ballot import Ballot
from qredit.graphs.candidates import Judged
from qredit.graphs.events import Event, EventKind, OnEvent
from qredit.graphs.state import Outcome
from qredit.graphs.trace import Trace
from qredit.sandbox.verdict import Accepted


class Story:
    """Tells what happens; the forms of the records stand in `qredit.graphs.trace`."""

    def __init__(self, trace: Trace, on_event: OnEvent) -> None:
        self._trace = trace
        self._on_event = on_event

    def round_started(self, number: int) -> None:
        """A round begins."""
        self._on_event(Event("round_started", round=number))

    def asking(self, position: Position) -> None:
        """A model is asked."""
        self._event_at("asking", position, text=position.role)

    def replied(
        self, position: Position, identity: Identity, messages: Sequence[Message], reply: Reply, *, parent: str | None
    ) -> None:
        """It answered."""
        self._trace.add_message(position, identity, messages, reply, parent=parent)
        self._event_at("replied", position, text=position.role)

    def no_code(self, position: Position, problem: str) -> None:
        """The reply held no code."""
        self._verdict(position, sha=None, verdict="no_code", message=problem)
        self._event_at("no_code", position, text=problem)

    def verdict(self, position: Position, sha: str, judged: Judged, code: Code) -> None:
        """The code was checked."""
        verdict = judged.verdict
        self._verdict(
            position, sha=sha, **verdict.to_json(), figures=judged.figures, score=judged.score, note=code.note
        )
        if isinstance(verdict, Accepted):
            self._event_at("accepted", position, sha=sha, text="; ".join(verdict.warnings))
        else:
            self._event_at("rejected", position, sha=sha, text=verdict.message)

    def duplicate(self, outcome: Outcome, earlier: str) -> None:
        """An accepted candidate is one that was there before."""
        number, candidate, sha = outcome["round"], outcome["candidate"], outcome["sha"]
        identifier = f"duplicate/{number}/{candidate}"
        self._trace.add("duplicate", identifier, round=number, candidate=candidate, sha=sha, of=earlier)
        self._on_event(Event("duplicate", round=number, candidate=candidate, sha=sha, text=f"same as {earlier}"))

    def bad_choice(self, position: Position, problem: str) -> None:
        """The evaluator's reply cannot be used."""
        number, attempt = position.round, position.attempt
        self._trace.add("bad_choice", f"bad_choice/{position}", round=number, attempt=attempt, message=problem)
        self._event_at("bad_choice", position, text=problem)

    def chosen(self, number: int, ballot: Ballot, choice: Choice) -> None:
        """A candidate was chosen."""
        sha = ballot.shas[choice.number - 1]
        self._trace.add(
            "choice",
            f"choice/{number}",
            round=number,
            ballot={str(i): s for i, s in enumerate(ballot.shas, 1)},
            scores={str(i): s for i, s in enumerate(ballot.scores, 1)},
            eligible=list(ballot.eligible),
            number=choice.number,
            chosen=sha,
            reason=choice.reason,
            tips=choice.tips,
        )
        self._on_event(Event("chosen", round=number, sha=sha, text=choice.reason))

    def playing_off(self, number: int, finalists: int) -> None:
        """Short trainings begin."""
        self._on_event(
            Event("playing_off", round=number, text=f"{finalists} candidates and VDN train for a short time")
        )

    def trying(self, number: int, finalists: int) -> None:
        """A trial of the candidates begins."""
        self._on_event(Event("trying", round=number, text=f"{finalists} candidates with the same probe pairs"))

    def tried(self, number: int, found: str) -> None:
        """What the trial found."""
        self._trace.add("trial", f"trial/{number}", round=number, found=found)

    def played_off(self, number: int, curves: str) -> None:
        """Short trainings gave these curves."""
        self._trace.add("play_off", f"play_off/{number}", round=number, curves=curves)

    def converged(self, number: int, patience: int) -> None:
        """The score stopped rising."""
        self._trace.add("converged", f"converged/{number}", round=number, patience=patience)
        self._on_event(Event("converged", round=number, text=f"the best score has not risen for {patience} rounds"))

    def out_of_budget(self, position: Position, problem: str) -> None:
        """A call was not made because the budget would not cover it."""
        number = position.round
        self._trace.add("out_of_budget", f"out_of_budget/{position}", round=number, message=problem)
        self._event_at("out_of_budget", position, text=problem)

    def kept(self, number: int, sha: str, failures: Sequence[str]) -> None:
        """No new candidate is on the ballot: the chosen one stays."""
        self._trace.add("kept", f"kept/{number}", round=number, chosen=sha)
        self._on_event(Event("kept", round=number, sha=sha, text="; ".join(failures)))

    def all_failed(self, number: int, failures: Sequence[str]) -> None:
        """All failed, and nothing was chosen before."""
        self._trace.add("all_failed", f"all_failed/{number}", round=number, failures=list(failures))
        self._on_event(Event("all_failed", round=number, text="; ".join(failures)))

    def _verdict(self, position: Position, **fields: object) -> None:
        self._trace.add(
            "verdict",
            f"verdict/{position}",
            round=position.round,
            candidate=position.candidate,
            attempt=position.attempt,
            **fields,
        )

    def _event_at(self, kind: EventKind, position: Position, *, sha: str = "", text: str = "") -> None:
        self._on_event(Event(kind, position.round, position.candidate, position.attempt, sha, text))
