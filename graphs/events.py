"""Events of a generation, for progress on a screen; the record is the trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EventKind = Literal[
    "round_started",
    "asking",
    "replied",
    "accepted",
    "rejected",
    "no_code",
    "duplicate",
    "chosen",
    "bad_choice",
    "kept",
    "all_failed",
    "playing_off",
    "trying",
    "converged",
    "out_of_budget",
    "waiting",
    "measuring",
    "settings",
    "stopping",
    "drift",
    "finished",
]


@dataclass(frozen=True)
class Event:
    """Something happened."""

    kind: EventKind
    """What happened."""
    round: int = 0
    """Running number of the round, from 1; 0 where none is meant."""
    candidate: int = 0
    """Number of the candidate in its round, from 1; 0 where none is meant."""
    attempt: int = 0
    """Number of the attempt, from 1; 0 where none is meant."""
    sha: str = ""
    """SHA-256 of the candidate's source, where there is one."""
    text: str = ""
    """One message, such as the reason of a rejection. It may quote what a model wrote: print it as plain text."""


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Do nothing with an event."""
