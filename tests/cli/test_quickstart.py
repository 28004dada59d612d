"""`quickstart`: with a recording made here, and with the one that ships if there is one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from qredit.api.walkthrough import SETTINGS, TASK
from qredit.errors import JailUnavailableError
from qredit.prompts import probe_states_path
from tests.agents.protocol_server import ProtocolServer
from tests.cli.conftest import Cli

BANNER = "No jail works on this machine, so no candidate was executed."
TINY = ("--total-steps", "300")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short evaluations, one seed, two algorithms."""
    monkeypatch.setattr("qredit.api.walkthrough.SETTINGS", replace(SETTINGS, evaluation_episodes=4))
    monkeypatch.setattr("qredit.api.walkthrough.SEEDS", (0,))
    monkeypatch.setattr("qredit.api.walkthrough.ALGORITHMS", ("vdn", "qllm"))


@pytest.fixture
def recorded(
    cli: Cli, server: ProtocolServer, fake_jail: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A recorded run of the quickstart's task, with its artifact, as one ships with qredit; returns its folder."""
    room = tmp_path / "room"
    folder = room / "recordings" / TASK
    monkeypatch.setenv("QREDIT_RUNS", str(tmp_path / "live"))
    arguments = ("generate", TASK, "--model", "m", "--base-url", server.base_url)
    done = cli(*arguments, "--record", folder, "--json")
    assert done.code == 0, done.err
    run = Path(done.json()["run"])
    for path in run.iterdir():
        path.rename(folder / path.name)
    (room / "probe_states").symlink_to(probe_states_path(TASK).parent)
    monkeypatch.setenv("QREDIT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("qredit.prompts.files.ROOM", room)
    monkeypatch.setattr("qredit.artifact.BUNDLED", room)
    return folder


@pytest.fixture
def no_jail(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any jail; a check would be a mistake."""

    def refuse(name: str, image: str | None) -> None:
        raise JailUnavailableError("no jail", cause="[bold]none[/bold] works here", remedy="Use Linux.")

    def verify(source: str, **given: object) -> None:
        raise AssertionError("a candidate was checked without a jail")

    monkeypatch.setattr("qredit.api.opening.open_jail", refuse)
    monkeypatch.setattr("qredit.sandbox.verify", verify)


@pytest.mark.usefixtures("tiny")
def test_the_whole_path(cli: Cli, recorded: Path) -> None:
    done = cli("quickstart", *TINY)
    assert done.code == 0, done.err
    assert "1 of 2: write a credit function" in done.err
    assert "2 of 2: train VDN, QLLM" in done.err
    drift = re.search(r"  0 of (\d+) prompts differ from the recording", done.err)
    assert drift
    assert BANNER not in done.err
    names = [line.split()[0] for line in done.out.splitlines() if line.strip()]
    for name in ("picture", "artifact", "trace", "cost", "jail", "time"):
        assert name in names, done.out
    assert f"nothing: {drift[1]} recorded calls" in done.out
    next_commands = done.out[done.out.index("Try next") :].splitlines()[1:]
    assert [line.split()[1] for line in next_commands] == ["inspect", "generate", "compare"]
    run = next_commands[0].split()[2]
    assert cli("inspect", run).code == 0
    for word in ("random", "vdn", "qllm", "optimum"):
        assert word in done.out


@pytest.mark.usefixtures("tiny", "no_jail", "jobs_here")
def test_without_a_jail(cli: Cli, recorded: Path) -> None:
    """The banner stands at the start and at the end; the bundled graph is trained; the exit code is 0."""
    done = cli("quickstart", *TINY, "--json")
    assert done.code == 0, done.err
    data = done.json()
    assert data["generation"] is None
    assert [row["name"] for row in data["comparison"]["rows"]] == ["random policy", "vdn", "qllm", "optimum"]
    assert done.err.count("so no candidate was executed") == 2
    assert "[bold]none[/bold] works here" in done.err
    assert done.err.index("so no candidate was executed") < done.err.index("2 of 2: train")
    assert done.err.rindex("so no candidate was executed") > done.err.index("2 of 2: train")
    assert [p.name for p in Path("runs").iterdir()] == [f"compare-{TASK}-001"]


@pytest.mark.usefixtures("tiny", "no_jail", "jobs_here")
def test_without_a_jail_the_recorded_run_is_shown(cli: Cli, recorded: Path) -> None:
    done = cli("quickstart", *TINY)
    assert done.code == 0
    assert f"{recorded}: {TASK}, model m, finished" in done.out
    assert "none works here" in done.out
    assert "(bundled)" in done.out


@pytest.mark.usefixtures("no_jail")
def test_generate_needs_a_jail(cli: Cli) -> None:
    done = cli("generate", TASK, "--model", "replay", "--json")
    assert done.code == 2
    assert done.error()["family"] == "infrastructure"
    assert not Path("runs").exists()


@pytest.mark.parametrize("arguments", [["--total-steps", "0"], ["--jobs", "0"], ["--total-steps", "x"]])
def test_arguments_out_of_range(cli: Cli, arguments: list[str]) -> None:
    assert cli("quickstart", *arguments).code == 2
