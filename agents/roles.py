"""What is asked of the coder and of the evaluator: contexts, each complete in itself (QLLM, section 4.2).

No call depends on a conversation before it: a repair repeats the request together with the faulty code and the
message. So a context stays bounded, can be hashed, stored, replayed, and frozen for counterfactuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qredit.agents.messages import Message
from qredit.layout import StateLayout
from qredit.prompts import render
from qredit.task import Task


@dataclass(frozen=True)
class Brief:
    """What every request of a generation shares."""

    task: Task
    """The task text."""
    layout: StateLayout
    """The fields of its state."""
    candidates: int
    """Candidates per round, `K`."""
    scale: str = "sum_to_n"
    """What becomes of the sizes of weights, `sum_to_n` or `raw`: the writers must know."""
    igm: str = "enforce"
    """What becomes of negative weights, `enforce` or `relax`."""


@dataclass(frozen=True)
class Entry:
    """One candidate as the evaluator sees it."""

    number: int
    """Its number on the ballot, from 1."""
    source: str
    """Its code."""
    figures: str
    """What was measured on it."""
    incumbent: bool
    """Whether it was chosen in the round before."""


def first_request(brief: Brief, *, candidate: int, failures: Sequence[str] = ()) -> tuple[Message, ...]:
    """Equation 4: ask for candidate number `candidate`; `failures` after a round in which all failed."""
    text = render(
        "coder",
        task=brief.task,
        layout=brief.layout,
        candidate=candidate,
        candidates=brief.candidates,
        failures=list(failures),
    )
    return _context("role_coder", text, brief)


def repair_request(
    request: Sequence[Message], *, attempt: int, source: str | None, problem: str
) -> tuple[Message, ...]:
    """Equation 5: the request again, with the faulty code (or `None` if there was none) and the error message."""
    text = render("coder_repair", request=request[-1].text, attempt=attempt, source=source, problem=problem)
    return (request[0], Message("user", text))


def refine_request(
    brief: Brief, *, candidate: int, source: str, figures: str, tips: str, failures: Sequence[str] = ()
) -> tuple[Message, ...]:
    """Equation 7: ask for a better version of the chosen candidate."""
    text = render(
        "coder_refine",
        task=brief.task,
        layout=brief.layout,
        candidate=candidate,
        candidates=brief.candidates,
        source=source,
        figures=figures,
        tips=tips,
        failures=list(failures),
    )
    return _context("role_coder", text, brief)


def evaluation_request(brief: Brief, entries: Sequence[Entry], *, problem: str | None = None) -> tuple[Message, ...]:
    """Equation 6: ask for choice and tips; `problem` says why the last reply could not be used."""
    text = render("evaluator", task=brief.task, layout=brief.layout, entries=list(entries), problem=problem)
    return _context("role_evaluator", text, brief)


def _context(role: str, text: str, brief: Brief) -> tuple[Message, ...]:
    return (Message("system", render(role, scale=brief.scale, igm=brief.igm)), Message("user", text))
