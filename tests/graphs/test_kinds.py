"""Kinds of programs: the built-in ones with real checks, and one that another package brings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qredit.agents import Message, Position, ScriptedModel
from qredit.errors import ConfigurationError, UnknownNameError
from qredit.graphs import GenerationResult, GenerationSettings, Job, generate
from qredit.graphs.kinds import KINDS, Assignment, Kind, kind_named
from qredit.probes import Probes
from qredit.sandbox import Jail
from qredit.subject import Subject
from tests.graphs.support import LAYOUT, TASK, new_run, verdict

SETTINGS = GenerationSettings(candidates=2, rounds=1)
PROGRAMS = {
    "weights": """
def credit(state):
    return state["agent_level"] + 1.0
""",
    "general": """
def tfcaf(agents_q, state):
    return agents_q.sum(dim=1, keepdim=True) + F.softplus(agents_q).prod(dim=1, keepdim=True).clamp(max=9.0) * 0.1
""",
    "shares": """
def share(state, actions, next_state):
    return 1.0 + (actions == 1).float()
""",
    "describe": """
def describe(observation, ego):
    row, column = observation["agent_position"][ego]
    return f"The ego stands in row {row}, column {column}; the food's level is {observation['food_level'][0]}."
""",
    "ranking": '''
GUIDE = """The ego should be near the food and on its level. Compare its distance to the food in A and in B; the smaller
one is better. If it is the same, be unsure."""


def describe(observation, ego):
    row, column = observation["agent_position"][ego]
    return f"The ego stands in row {row}, column {column}; the food's level is {observation['food_level'][0]}."
''',
}
HEAD = dict.fromkeys(("describe", "ranking"), "import math\n")


def subject() -> Subject:
    """Twenty transitions of the small world, in which agent 0 always loads."""
    rng = np.random.default_rng(1)
    agents, food = rng.integers(0, 5, (20, 4)), rng.integers(0, 4, (20, 2))
    levels, food_level, last = rng.integers(1, 3, (20, 2)), np.full(20, 2), np.full((20, 2), -1)
    states = np.column_stack([agents, levels, food, food_level, last]).astype(np.float32)
    actions = np.tile([1, 0], (20, 1))
    return Subject(TASK.name, 2, LAYOUT, Probes(states, actions, np.roll(states, 1, axis=0)), TASK, 2)


@pytest.fixture(scope="module")
def jail(lockdown_jail: Jail) -> Jail:
    return lockdown_jail


def write(kind: Kind, jail: Jail, run_root: Path, program: str) -> tuple[GenerationResult, ScriptedModel]:
    """A generation whose coder writes this program, twice with another constant."""

    def script(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict(1)
        varied = program.replace("1.0", f"1.{position.candidate}")
        return f"```python\n{varied}```\n"

    model = ScriptedModel(script)
    job = Job(kind, Assignment(subject()), model, jail)
    return asyncio.run(generate(job, new_run(run_root), settings=SETTINGS)), model


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_kind_generates(name: str, jail: Jail, tmp_path: Path) -> None:
    head = HEAD.get(name, "import torch\nimport torch.nn.functional as F\n")
    result, model = write(KINDS[name], jail, tmp_path, head + PROGRAMS[name])
    assert result.kind == result.verdict.form == name
    system = model.calls[0][1][0].text
    assert f"def {KINDS[name].functions[0]}(" in system
    json.loads(result.payload)
    asked = next(messages for where, messages in model.calls if where.role == "evaluator")[1].text
    assert result.figures in asked
    if name not in HEAD:
        assert "sensitivity" in result.figures


@pytest.mark.parametrize("name", ["weights", "general", "shares"])
def test_code_for_another_kind_is_sent_back(name: str, jail: Jail) -> None:
    """The function of another kind: the message names the one that is wanted."""
    other = "general" if name == "weights" else "weights"
    source = "import torch\nimport torch.nn.functional as F\n" + PROGRAMS[other]
    found = KINDS[name].check(source, Assignment(subject()), jail)
    assert found.to_json()["verdict"] == "rejected"
    assert f"`{KINDS[name].functions[0]}(" in found.to_json()["message"]


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match="weights"):
        kind_named("weight")


OUTSIDE = '''
"""A kind of program that qredit does not know: reward functions."""

from pathlib import Path

from qredit.graphs.kinds import Kind, Score, check_form


def rewards(accepted, assignment):
    import torch

    from qredit.credit import interpret, parse_graph

    transitions = torch.tensor(assignment.subject.transitions)
    return interpret(parse_graph(accepted.payload), state=transitions, agents_q=None)[0]


def measure(accepted, assignment):
    found = rewards(accepted, assignment)
    return f"reward from {float(found.min()):.2f} to {float(found.max()):.2f}"


def scorer(assignment):
    return lambda accepted: Score(float(rewards(accepted, assignment).mean()), "score: the mean reward")


REWARD = Kind(
    name="reward",
    title="a dense reward",
    functions=("reward",),
    templates=Path(__file__).parent / "reward_templates",
    check=check_form("value"),
    measure=measure,
    scorer=scorer,
)
ODD = "no kind"
'''
ROLE = "You write reward functions. {% include 'tensor_rules.j2' %}"
IDEAS = '{% set first = ["dense"] %}{% set next = ["denser", "densest"] %}'


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with a kind of its own: a module, templates, and an entry point."""
    site = tmp_path / "site"
    (site / "reward_templates").mkdir(parents=True)
    (site / "outside_kinds.py").write_text(OUTSIDE)
    for name, text in {
        "role_coder": "{% set inputs = 'transitions' %}" + ROLE,
        "role_evaluator": "J",
        "ideas": IDEAS,
    }.items():
        (site / "reward_templates" / f"{name}.j2").write_text(text)
    info = site / "outside_kinds-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-kinds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[qredit.kinds]\nreward = outside_kinds:REWARD\nodd = outside_kinds:ODD\n")
    monkeypatch.syspath_prepend(site)


@pytest.mark.usefixtures("outside")
def test_a_kind_from_another_package(jail: Jail, tmp_path: Path) -> None:
    """Its prompts, its check, its score: the level of the food that is left, times a constant; the larger one wins."""
    program = """
import torch

def reward(state, actions, next_state):
    return (2.0 - next_state["food_level"]) + (actions[:, :1] == 1).float() * 1.0
"""
    result, model = write(kind_named("reward"), jail, tmp_path, program)
    assert model.calls[0][1][0].text.startswith("You write reward functions. # Rules for the code")
    assert "dense." in model.calls[0][1][1].text
    assert (result.kind, result.verdict.form) == ("reward", "value")
    assert [c.score for c in result.rounds[0].candidates] == pytest.approx([1.1, 1.2])
    assert result.score == pytest.approx(1.1)
    assert result.figures.startswith("reward from 1.10 to 1.10")


@pytest.mark.usefixtures("outside")
def test_what_is_registered_must_be_a_kind() -> None:
    with pytest.raises(ConfigurationError, match="`outside_kinds:ODD` is no `Kind`"):
        kind_named("odd")
    with pytest.raises(UnknownNameError, match="reward"):
        kind_named("rewards")
