"""A small world for the tests of the commands: a task of one's own, a model with a plan, a jail that never forks."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import yaml

from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.credit import parse_graph
from qredit.files import sha256
from qredit.sandbox import Accepted, Rejected, Verdict
from tests.agents.protocol_server import Request

if TYPE_CHECKING:
    from types import TracebackType

    from qredit.sandbox.jails.jail import JobResult
    from qredit.subject import Subject

TASK = "my-task"
FIELDS: list[dict[str, Any]] = [
    {"name": "level", "shape": [2], "unit": "level", "low": 0, "high": 3, "meaning": "Level of each agent."},
    {"name": "near", "shape": [2], "unit": "cells", "low": 0, "high": 3, "meaning": "Distance of each agent."},
]
CALLS = 6
"""Calls of a generation with 2 candidates and 2 rounds in which everything is accepted at once."""
SMALL = ("--candidates", "2", "--rounds", "2")
QUICK = ("--total-steps", "300", "--evaluation-episodes", "4", "--n-environments", "4", "--hidden-size", "8")
"""Options of a training that takes about a second."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    """Exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""

    def lines(self) -> list[dict[str, Any]]:
        """The JSON documents on standard output, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def json(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        (data,) = self.lines()
        return data

    def error(self) -> dict[str, str]:
        """The error as data; it has exactly the documented keys."""
        error: dict[str, str] = self.json()["error"]
        assert set(error) == {"family", "what", "cause", "remedy"}
        return error


def executable() -> list[str]:
    """The installed `qredit`, or the same entry point by way of this interpreter."""
    script = Path(sysconfig.get_path("scripts")) / "qredit"
    return [str(script)] if script.exists() else [sys.executable, "-c", "from qredit.cli import main; main()"]


def task_file(folder: Path, **changes: object) -> Path:
    """Write a task file of one's own, with layout and states and without an environment."""
    data = {
        "name": TASK,
        "title": "A task of one's own",
        "description": "Two agents.",
        "goal": "Be quick.",
        "reward": "1 at the end.",
        "n_agents": 2,
        "actions": ["A", "B"],
        "time_limit": 10,
        "layout": FIELDS,
        "states": "states.npz",
    }
    folder.mkdir(parents=True, exist_ok=True)
    states = np.random.default_rng(0).uniform(0, 3, (32, 4)).astype(np.float32)
    np.savez_compressed(folder / "states.npz", states=states)
    path = folder / f"{TASK}.yaml"
    path.write_text(yaml.safe_dump({**data, **changes}))
    return path


def is_evaluator(request: Request) -> bool:
    """Whether a request asks the evaluator."""
    return "You judge" in request["messages"][0]["content"]


def code(factor: float, fields: tuple[str, str] = ("level", "near")) -> str:
    """A credit function, different for each factor."""
    return f'def credit(state):\n    return state["{fields[0]}"] * {factor} + state["{fields[1]}"]\n'


def reply(source: str) -> str:
    """A reply with code."""
    return f"I thought about it.\n```python\n{source}```\n"


def choice(number: int = 1, reason: str = "it is right", tips: str = "Look at the levels.") -> str:
    """A reply of the evaluator."""
    return f"```json\n{json.dumps({'choice': number, 'reason': reason, 'tips': tips})}\n```\n"


def answer(request: Request) -> str:
    """The plan of the protocol server: every prompt has a function of its own, the evaluator takes the first."""
    if is_evaluator(request):
        return choice()
    user = request["messages"][1]["content"]
    factor = 1 + int(sha256(user.encode())[:4], 16) / 8
    fields = ("level", "near") if "`near`" in user or '"near"' in user else ("agent_level", "agent_level")
    return reply(code(factor, fields))


class NoJail:
    """Stands for an open jail where the check is replaced too; running anything in it is a mistake of the test."""

    name = "fake"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def close(self) -> None:
        """Nothing to end."""

    def run(
        self,
        job: Literal["trace", "verify"],
        payload: bytes,
        *,
        timeout_seconds: float,
        output_limit: int = 200_000,
    ) -> JobResult:
        """Never called."""
        raise AssertionError(f"a test without a jail ran a job: {job}")


def graph(factor: float = 1.0, *, n_agents: int = 2, state_size: int = 4) -> bytes:
    """A credit graph whose weights are the first `N` numbers of the state times a factor."""
    header = {
        "form": "weights",
        "scale": "sum_to_n",
        "igm": "enforce",
        "n_agents": n_agents,
        "state_size": state_size,
        "has_bias": False,
    }
    nodes = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 0, n_agents]},
        {"op": "aten.mul.Tensor", "args": ["n0", factor]},
    ]
    document = {"format": 1, "header": header, "constants": [], "nodes": nodes, "outputs": ["n1"]}
    return parse_graph(json.dumps(document).encode()).to_bytes()


def fake_verify(source: str, **given: Any) -> Verdict:
    """Accepts what holds a factor, without running it; `EVIL` is refused with a message that quotes the model."""
    if "EVIL" in source:
        return Rejected("gate", "forbidden", "[bold]`open`[/bold] is not allowed\x1b[2J. Remove it.", 2, 0.01)
    found = re.search(r"\* ([0-9.]+)", source)
    assert found, source
    data = graph(float(found[1]), n_agents=given["n_agents"], state_size=given["layout"].size)
    return Accepted(data, sha256(data), "weights", (), 0.01, 0.5)


def save_credit(
    folder: Path, subject: Subject, *, layout: bytes | None = None, manifest: Mapping[str, object] | None = None
) -> Path:
    """Write an artifact for a subject, optionally with a forged layout or manifest."""
    own = json.dumps(subject.layout.to_json()).encode()
    files = {
        CREDIT_GRAPH: graph(n_agents=subject.n_agents, state_size=subject.layout.size),
        "layout.json": own if layout is None else layout,
    }
    head = {"kind": "credit", "task": subject.name, **(manifest or {})}
    return save_artifact(folder, manifest=head, files=files).path
