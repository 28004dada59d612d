"""The state of the graph: hashes and numbers only, because every checkpoint stores all of it."""

from __future__ import annotations

import operator
from typing import Annotated, Literal, TypedDict

OutcomeStatus = Literal["accepted", "rejected", "no_code", "not_asked"]
Stopped = Literal["", "converged", "budget"]


class Outcome(TypedDict):
    """How a candidate ended; its source and verdict stand in the folder of candidates."""

    round: int
    candidate: int
    status: OutcomeStatus
    """`not_asked` when the budget was spent before its first reply."""
    sha: str
    attempts: int
    out_of_budget: bool
    """Whether the budget ended its work."""


class Chosen(TypedDict):
    """What a round ended with."""

    round: int
    sha: str
    reply_key: str
    """Key of the evaluator's reply in the store, which holds reason and tips; that of an earlier round if kept; empty
    if the evaluator was not asked."""
    number: int
    """Number of the chosen candidate on that reply's ballot."""


class RunState(TypedDict):
    """The whole run so far."""

    round: int
    """Running number of the current round, from 1."""
    completed: int
    """Rounds that ended with a chosen candidate; the run ends at `L`."""
    fresh: bool
    """Whether the one fresh round after a round of failures has been used."""
    stopped: Stopped
    """Why the run ends before round `L`, if it does."""
    outcomes: Annotated[list[Outcome], operator.add]
    """All candidates so far, in the order of rounds and numbers."""
    choices: Annotated[list[Chosen], operator.add]
    """The choice of each completed round."""


class Ask(TypedDict):
    """What one candidate node is sent."""

    round: int
    candidate: int
    chosen: Chosen | None
    """What the prompt builds on; `None` in a first or fresh round."""
    failed: list[Outcome]
    """Failures of the round before, to be warned of."""


def start() -> RunState:
    """The state before the first round."""
    return {"round": 0, "completed": 0, "fresh": False, "stopped": "", "outcomes": [], "choices": []}


def of_round(outcomes: list[Outcome], number: int) -> list[Outcome]:
    """The outcomes of one round, by candidate number."""
    return sorted((o for o in outcomes if o["round"] == number), key=lambda o: o["candidate"])
