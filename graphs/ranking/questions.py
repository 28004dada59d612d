"""A prompt with pairs of situations, and what can be read out of its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qredit.agents.messages import Message
from qredit.agents.parsing import Unusable, split_thinking
from qredit.prompts import kind_templates, render
from qredit.task import Task

Answer = Literal["A", "B", "unsure"]
_LINE = re.compile(r"^[\s>*_`-]*(\d{1,4})\s*[:.)=-]+[\s*_`]*(?:pair\s*)?(a|b|unsure)\b[\s.*_`]*$", re.IGNORECASE)
LEAST_SHARE = 0.5
"""Share of the pairs that must be answered, or else the reply is asked for again."""


@dataclass(frozen=True)
class Pair:
    """Two situations of one agent, one step apart, in words."""

    ego: int
    """Number of the agent."""
    before: str
    """The earlier one."""
    after: str
    """The later one."""


@dataclass(frozen=True)
class Shown:
    """A pair as it stands in a prompt."""

    ego: int
    a: str
    b: str


def request(
    task: Task, guide: str, pairs: Sequence[Pair], swapped: Sequence[bool], *, problem: str | None = None
) -> tuple[Message, ...]:
    """The question about some pairs.

    Args:
        task: the task's text.
        guide: the guide that was written for it.
        pairs: the pairs.
        swapped: of each, whether the later situation comes first.
        problem: why the last reply could not be used.
    """
    folder = kind_templates("ranking")
    shown = [
        Shown(pair.ego, *((pair.after, pair.before) if turned else (pair.before, pair.after)))
        for pair, turned in zip(pairs, swapped, strict=True)
    ]
    text = render("rank", folder=folder, task=task, guide=guide, pairs=shown, problem=problem)
    return (Message("system", render("role_ranker", folder=folder)), Message("user", text))


def parse_answers(text: str, count: int) -> tuple[Answer | None, ...] | Unusable:
    """The answers to `count` pairs; `None` where there is none. The last line about a pair counts."""
    found: dict[int, Answer] = {}
    for line in split_thinking(text)[1].splitlines():
        match = _LINE.match(line)
        if match and 1 <= int(match[1]) <= count:
            word = match[2].lower()
            found[int(match[1])] = "A" if word == "a" else "B" if word == "b" else "unsure"
    if len(found) < LEAST_SHARE * count:
        return Unusable(
            f"It has an answer to {len(found)} of {count} pairs. End with {count} lines, from `1: ` to `{count}: `, "
            "each with A, B or unsure and nothing else."
        )
    return tuple(found.get(number) for number in range(1, count + 1))
