"""A small world for the tests of the graph: a task, a check that looks for words, and a model with a plan."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from qredit.agents import ChatModel, Message, Position
from qredit.agents.team import Models
from qredit.files import sha256
from qredit.graphs import GenerationResult, GenerationSettings, Job, generate
from qredit.graphs.events import OnEvent, ignore
from qredit.graphs.kinds import Assignment, Kind, Score
from qredit.graphs.kinds.kind import Scorer
from qredit.layout import StateField, StateLayout
from qredit.probes import Probes
from qredit.prompts import kind_templates
from qredit.runs import Run, create_run
from qredit.sandbox.verdict import Accepted, Rejected
from qredit.subject import Subject
from qredit.task import EnvironmentSpec, Task

if TYPE_CHECKING:
    from qredit.contracts import States
    from qredit.sandbox import Jail

LAYOUT = StateLayout(
    (
        StateField("agent_position", (2, 2), "cells", 0, 4, "Row and column of each agent.", ("agents",)),
        StateField("agent_level", (2,), "level", 1, 2, "Level of each agent.", ("agents",)),
        StateField("food_position", (1, 2), "cells", -1, 3, "Row and column; -1, -1 when it is eaten.", ("foods",)),
        StateField("food_level", (1,), "level", 0, 4, "Level of the food; 0 when it is eaten.", ("foods",)),
        StateField("last_action", (2,), "index", -1, 5, "Last action; -1 before the first step.", ("agents",)),
    )
)
TASK = Task(
    name="toy-foraging",
    title="Toy foraging",
    description="Two agents and one food.",
    goal="Eat the food.",
    reward="1 when it is eaten.",
    n_agents=2,
    actions=("NONE", "LOAD"),
    time_limit=50,
    environment=EnvironmentSpec(adapter="lbf", id="Foraging-5x5-2p-1f-v3"),
)
STATES: States = np.zeros((4, LAYOUT.size), dtype=np.float32)


def module(idea: str) -> str:
    """A module that the fake check accepts."""
    return f'import torch\n\n\ndef credit(state):\n    """{idea}"""\n    return torch.ones_like(state["agent_level"])\n'


def code(idea: str) -> str:
    """A reply with a module."""
    return f"I thought about it.\n```python\n{module(idea)}```\n"


def verdict(number: int, tips: str = "Look at the levels.") -> str:
    """A reply of the evaluator."""
    return f"Reasons.\n```json\n{json.dumps({'choice': number, 'reason': 'it is right', 'tips': tips})}\n```\n"


def check(source: str, assignment: Assignment | None = None, jail: object = None) -> Accepted | Rejected:
    """The fake check: the word BROKEN breaks the contract, EVIL is forbidden; the rest is accepted."""
    if "EVIL" in source:
        return Rejected("gate", "forbidden", "`open` is not allowed. Remove it.", 3, 0.01)
    if "BROKEN" in source:
        return Rejected(
            "contract", "contract", "weights are `nan` on the state of zeros. Mind the denominator.", 6, 0.02
        )
    graph = json.dumps({"graph of": source.split('"""')[1]}).encode()
    return Accepted(graph, sha256(graph), "weights", ("one warning",), 0.03, 0.5)


def measure(accepted: Accepted, assignment: Assignment) -> str:
    """The fake figures."""
    assert accepted.vdn_difference is not None
    return f"differs from VDN in {100 * accepted.vdn_difference:.0f} % of the states"


def score_in_words(assignment: Assignment) -> Scorer:
    """A score that stands in the module itself: `score=0.5`; 0 without one."""

    def score(accepted: Accepted) -> Score:
        found = re.search(r"score=(-?[0-9.]+)", accepted.payload.decode())
        value = float(found[1]) if found else 0.0
        return Score(value, f"score: {value}")

    return score


def fingerprint(source: str) -> str:
    """The fake fingerprint: blind to comment lines."""
    return sha256("\n".join(line for line in source.splitlines() if not line.startswith("#")).encode())


KIND = Kind(
    name="weights",
    title="credit, checked by words",
    functions=("credit",),
    templates=kind_templates("weights"),
    check=check,
    measure=measure,
    fingerprint=fingerprint,
    artifact="credit",
    source_file="credit.py",
    payload_file="credit.graph.json",
)
SCORED = replace(KIND, scorer=score_in_words)
SUBJECT = Subject(TASK.name, TASK.n_agents, LAYOUT, Probes(STATES), TASK, len(TASK.actions))


class NoJail:
    """Where the fake check runs candidates: nowhere."""

    name = "none"


def job(model: ChatModel | Models, *, kind: Kind = KIND, subject: Subject = SUBJECT, **more: Any) -> Job:
    """A job of the small world."""
    return Job(kind, Assignment(subject), model, cast("Jail", NoJail()), **more)


def run_it(
    run: Run,
    model: ChatModel | Models,
    settings: GenerationSettings | None = None,
    on_event: OnEvent = ignore,
    **more: Any,
) -> GenerationResult:
    """One generation to its end."""
    return asyncio.run(generate(job(model, **more), run, settings=settings, on_event=on_event))


def plan(messages: Sequence[Message], position: Position) -> str:
    """The model of most tests: failures and repairs on the way to three rounds.

    Round 1: candidate 1 is good at once, candidate 2 after a broken module and a reply without code, candidate 3
    never. Round 2: candidate 2 repeats the chosen one with another comment. Round 3: all are good.
    """
    if position.role == "evaluator":
        if position.round == 1 and position.attempt == 1:
            return verdict(7)
        return verdict({1: 2, 2: 1, 3: 3}[position.round], tips=f"Tips of round {position.round}.")
    here = (position.round, position.candidate)
    if here == (1, 2) and position.attempt < 3:
        return code("BROKEN 1.2") if position.attempt == 1 else "I cannot."
    if here == (1, 3):
        return code(f"EVIL 1.3.{position.attempt}" if position.attempt == 2 else f"BROKEN 1.3.{position.attempt}")
    if here == (2, 2):
        return code("idea 1.2").replace("```python\n", "```python\n# mine!\n")
    return code(f"idea {position.round}.{position.candidate}")


CALLS_OF_PLAN = 1 + 3 + 4 + 2 + 3 + 1 + 3 + 1
"""Calls that `plan` takes: round 1 with its repairs and two verdicts, rounds 2 and 3."""


def new_run(root: Path) -> Run:
    """A fresh run folder."""
    return create_run("generate", TASK.name, {}, root=root)
