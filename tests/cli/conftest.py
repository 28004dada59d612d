"""What the tests of the commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from qredit.cli.app import app
from qredit.sandbox import Jail
from tests.agents.protocol_server import ProtocolServer, protocol_server
from tests.cli import world
from tests.cli.world import NoJail, Result

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that a command writes lands in the checkout; torch leaves the other core to others."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.fixture
def cli() -> Cli:
    """`cli("tasks", "--json")` runs a command in this process; what it does not catch ends the test."""

    def run(*arguments: str | Path) -> Result:
        done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        return Result(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    """A server with the plan of `world.answer`."""
    with protocol_server(world.answer) as running:
        yield running


@pytest.fixture
def my_task(tmp_path: Path) -> Path:
    """A task file of one's own."""
    return world.task_file(tmp_path / "mine")


@pytest.fixture
def fake_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no tracing: for tests of everything around the check."""
    monkeypatch.setattr("qredit.api.opening.open_jail", lambda name, image: NoJail())
    monkeypatch.setattr("qredit.sandbox.verify", world.fake_verify)


@pytest.fixture
def real_jail(monkeypatch: pytest.MonkeyPatch, lockdown_jail: Jail) -> Jail:
    """The commands use the session's jail and leave it open."""
    for module in ("checking", "fidelity", "opening", "transfer"):
        monkeypatch.setattr(f"qredit.api.{module}.open_jail", lambda name, image: contextlib.nullcontext(lockdown_jail))
    return lockdown_jail
