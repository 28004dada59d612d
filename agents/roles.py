"""What is asked of the coder and of the evaluator: contexts, each complete in itself (QLLM, section 4.2).

No call depends on a conversation before it: a repair repeats the request together with the faulty code and the
message. So a context stays bounded, can be hashed, stored, replayed, and frozen for counterfactuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    templates: Path
    """The templates of the kind of program that is to be written."""
    values: Mapping[str, str | bool | tuple[str, ...]]
    """What these templates need to know besides, such as what becomes of negative weights."""
    noun: str
    """What the program is called, such as `function`."""
    scenes: str = ""
    """Situations that measurements refer to, as the models read them; none if empty."""


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
    return _context(
        brief, "coder", by="role_coder", candidate=candidate, candidates=brief.candidates, failures=list(failures)
    )


def repair_request(
    request: Sequence[Message], *, attempt: int, source: str | None, problem: str
) -> tuple[Message, ...]:
    """Equation 5: the request again, with the faulty code (or `None` if there was none) and the error message."""
    text = render("coder_repair", request=request[-1].text, attempt=attempt, source=source, problem=problem)
    return (request[0], Message("user", text))


def refine_request(
    brief: Brief, *, candidate: int, source: str, figures: str, tips: str, failures: Sequence[str] = ()
) -> tuple[Message, ...]:
    """Equation 7: ask for a better version of the chosen candidate; without tips where no evaluator was asked."""
    return _context(
        brief,
        "coder_refine",
        by="role_coder",
        candidate=candidate,
        candidates=brief.candidates,
        source=source,
        figures=figures,
        tips=tips,
        failures=list(failures),
    )


def evaluation_request(
    brief: Brief, entries: Sequence[Entry], *, choices: Sequence[int], curves: str = "", problem: str | None = None
) -> tuple[Message, ...]:
    """Equation 6: ask for choice and tips.

    Args:
        brief: what every request shares.
        entries: the candidates.
        choices: numbers of those that may be chosen.
        curves: what short trainings with the candidates gave, where there were any.
        problem: why the last reply could not be used.
    """
    return _context(
        brief,
        "evaluator",
        by="role_evaluator",
        entries=list(entries),
        choices=list(choices),
        curves=curves,
        problem=problem,
    )


def _context(brief: Brief, name: str, *, by: str, **values: object) -> tuple[Message, ...]:
    shared = {"task": brief.task, "layout": brief.layout, "scenes": brief.scenes, "noun": brief.noun, **brief.values}
    system = render(by, folder=brief.templates, **shared)
    return (Message("system", system), Message("user", render(name, folder=brief.templates, **shared, **values)))
