"""The command line as a user has it, and a task file that is not built in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tests.agents.protocol_server import ProtocolServer, Request, protocol_server
from tests.front.programs import BAD, GOOD

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of the output as JSON."""
        return json.loads(self.out.strip().splitlines()[-1])


@pytest.fixture
def qredit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    from qredit.cli.app import app

    def run(*arguments: object) -> Done:
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def doors(tmp_path: Path) -> Path:
    """A task without an environment: a layout and sample states."""
    states = np.random.default_rng(0).integers(0, 10, size=(64, 4)).astype(np.float32)
    np.savez_compressed(tmp_path / "doors.npz", states=states)
    field = {"shape": [2], "unit": "cells", "low": 0, "high": 9}
    task = {
        "name": "two-doors",
        "title": "Two doors",
        "description": "Agents on a line open doors.",
        "goal": "Open both.",
        "reward": "1 when both are open.",
        "n_agents": 2,
        "actions": ["STAY", "LEFT", "RIGHT"],
        "time_limit": 30,
        "layout": [
            {"name": "cell", "meaning": "Cell of each agent.", **field},
            {"name": "door", "meaning": "Cell of each door.", **field},
        ],
        "states": "doors.npz",
    }
    path = tmp_path / "doors.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def _answer(request: Request) -> str:
    """A model whose second candidate of round 1 is faulty until it reads the message."""
    text = "\n".join(str(message["content"]) for message in request["messages"])
    if '"choice"' in text:
        return '```json\n{"choice": 1, "reason": "it is [bold]right[/bold]", "tips": "look at levels"}\n```'
    if "candidate 2 of 3" in text and "no field" not in text and "look at levels" not in text:
        return f"```python\n{BAD}```"
    return f"```python\n{GOOD.replace('{number}', str(next(_NUMBERS)))}```"


@pytest.fixture
def model() -> Iterator[ProtocolServer]:
    """A model endpoint on loopback."""
    with protocol_server(_answer) as server:
        yield server
