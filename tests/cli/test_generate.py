"""`generate` against a real endpoint on loopback: a task of one's own, recordings, resume."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from qredit.artifact import load_artifact
from qredit.marl import load_mixer
from tests.agents.protocol_server import Fault, ProtocolServer, Request, protocol_server
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import CALLS, SMALL

KEY = "sk-canary-0123456789abcdef"


def ask(task: object, server: ProtocolServer, *more: str) -> list[str]:
    """Arguments of a small generation."""
    return ["generate", str(task), "--model", "m", "--base-url", server.base_url, *SMALL, *more]


@pytest.mark.usefixtures("real_jail")
def test_a_task_of_ones_own_and_its_recording(
    cli: Cli, my_task: Path, server: ProtocolServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole path in the real jail; then the same from the recording, prompt by prompt the same."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    done = cli(*ask(my_task, server, "--record", f"recordings/{world.TASK}", "--json"))
    assert done.code == 0, done.err
    assert {h["authorization"] for h in server.headers} == {f"Bearer {KEY}"}
    data = done.json()
    assert (data["spend"]["calls"], len(server.requests), data["jail"]) == (CALLS, CALLS, "lockdown")
    artifact = load_artifact(data["artifact"])
    assert set(artifact.files) == {"credit.graph.json", "credit.py", "layout.json", "CARD.md"}
    assert artifact.manifest["files"]["credit.graph.json"] == data["payload_sha256"]
    assert load_mixer(data["run"]).n_agents == 2
    everything = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert [content for content in everything if KEY.encode() in content] == []
    assert KEY not in done.out + done.err

    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr("qredit.prompts.files.ROOM", tmp_path)
    replayed = cli("generate", my_task, "--model", "replay", *SMALL, "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.json()["payload_sha256"] == data["payload_sha256"]
    assert replayed.json()["chosen"] == data["chosen"]
    assert f"0 of {CALLS} prompts differ from the recording" in replayed.err
    assert len(server.requests) == CALLS


@pytest.mark.usefixtures("real_jail")
def test_a_fault_is_told_and_mended(cli: Cli, my_task: Path) -> None:
    """What the jail finds goes back to the model, which mends it, and stands in the trace."""

    def careless(request: Request) -> str:
        user = request["messages"][1]["content"]
        if not world.is_evaluator(request) and "candidate 1 of 2" in user and "# What to correct" not in user:
            return world.reply('def credit(state):\n    return state["levle"]\n')
        return world.answer(request)

    with protocol_server(careless) as server:
        done = cli(*ask(my_task, server, "--json"))
    assert done.code == 0, done.err
    assert done.json()["spend"]["calls"] == CALLS + 2
    (repair, _) = [
        r["messages"][1]["content"] for r in server.requests if "# What to correct" in r["messages"][1]["content"]
    ]
    assert "there is no `levle`" in repair
    story = cli("inspect", done.json()["run"]).out
    assert "there is no `levle`" in story


@pytest.mark.usefixtures("fake_jail")
def test_what_people_see(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, server))
    assert done.code == 0
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names == ["artifact", "trace", "calls", "time", "jail", "next"]
    assert f"{CALLS} ({CALLS} in this session), 600 + 120 tokens" in done.out
    assert done.err.splitlines()[0].endswith("jail fake")
    assert [line for line in done.err.splitlines() if line.startswith("round")] == ["round 1", "round 2"]
    assert cli("runs", "--json").json()["status"] == "finished"


@pytest.mark.usefixtures("fake_jail")
def test_nothing_accepted_ends_with_1(cli: Cli, my_task: Path) -> None:
    with protocol_server(lambda request: world.reply(f"EVIL = {len(request['messages'][1]['content'])}\n")) as server:
        done = cli(*ask(my_task, server, "--attempts", "1", "--json"))
    assert done.code == 1
    error = done.error()
    assert error["family"] == "model"
    assert "none of 4 candidates" in error["what"]
    assert "[bold]`open`[/bold] is not allowed" in done.err
    assert "\x1b" not in done.err
    assert cli("runs", "--json").json()["status"] == "failed"


@pytest.mark.usefixtures("fake_jail")
def test_no_usable_verdict_ends_with_1(cli: Cli, my_task: Path) -> None:
    def answer(request: Request) -> str:
        return "I like both." if world.is_evaluator(request) else world.answer(request)

    with protocol_server(answer) as server:
        done = cli(*ask(my_task, server, "--json"))
    assert done.code == 1
    assert done.error()["family"] == "model"
    assert "no usable verdict in 3 replies" in done.error()["what"]


@pytest.mark.parametrize("given", [[], ["--model", "m"], ["--model", ""]])
def test_without_a_model_the_three_ways_are_shown(cli: Cli, my_task: Path, given: list[str], tmp_path: Path) -> None:
    done = cli("generate", my_task, *given)
    assert done.code == 2
    for way in ("OPENAI_API_KEY=... qredit generate", "--base-url http://127.0.0.1:11434/v1", "--model replay"):
        assert way in done.err
    assert str(my_task) in done.err
    assert not (tmp_path / "runs").exists()


def test_replay_without_a_recording(cli: Cli, my_task: Path, tmp_path: Path) -> None:
    done = cli("generate", my_task, "--model", "replay", "--json")
    assert done.code == 2
    assert done.error()["what"] == f"no recorded replies for task `{my_task}`"
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("fake_jail")
def test_url_from_the_environment(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    assert cli("generate", my_task, "--model", "m", *SMALL).code == 0
    assert len(server.requests) == CALLS


@pytest.mark.usefixtures("fake_jail")
def test_sampling_settings_reach_the_endpoint(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    assert cli(*ask(my_task, server, "--temperature", "0.5", "--max-reply-tokens", "77")).code == 0
    assert {request["temperature"] for request in server.requests} == {0.5}
    assert {r.get("max_completion_tokens", r.get("max_tokens")) for r in server.requests} == {77}


def test_settings_out_of_range(cli: Cli, my_task: Path, server: ProtocolServer, tmp_path: Path) -> None:
    for option, value in (("--candidates", "0"), ("--rounds", "65"), ("--attempts", "17"), ("--max-retries", "-1")):
        done = cli(*ask(my_task, server, option, value), "--json")
        assert done.code == 2
        assert done.error()["family"] == "user"
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("fake_jail")
def test_a_finished_run_asks_nothing_again(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    first = cli(*ask(my_task, server, "--json")).json()
    again = cli(*ask(my_task, server, "--json", "--resume", first["run"]))
    assert again.code == 0
    assert again.json()["payload_sha256"] == first["payload_sha256"]
    assert len(server.requests) == CALLS
    assert len(cli("runs", "--json").lines()) == 1


OTHERS = [
    (["--scale", "raw"], "`scale`"),
    (["--igm", "relax"], "`igm`"),
    (["--scale", "raw", "--igm", "relax"], "`scale`, `igm`"),
    (["--candidates", "3"], "`settings`"),
    (["--rounds", "1"], "`settings`"),
    (["--temperature", "1"], "`parameters`"),
]


@pytest.mark.usefixtures("fake_jail")
@pytest.mark.parametrize(("other", "named"), OTHERS, ids=[named for _, named in OTHERS])
def test_resume_with_other_settings_is_refused(
    cli: Cli, my_task: Path, server: ProtocolServer, other: list[str], named: str
) -> None:
    """Verdicts in the folder were found under the old settings; a mixture would be no run at all."""
    run = cli(*ask(my_task, server, "--json")).json()["run"]
    before = {p: p.read_bytes() for p in (Path(run) / "artifact").iterdir()}
    done = cli(*ask(my_task, server, "--resume", run, *other), "--json")
    assert done.code == 2
    assert f"it was started with another {named}" in done.error()["cause"]
    assert before == {p: p.read_bytes() for p in (Path(run) / "artifact").iterdir()}


@pytest.mark.usefixtures("fake_jail")
def test_the_key_goes_to_no_url_out_of_a_run_folder(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.faults = [Fault(status=401)] * 4
    assert cli(*ask(my_task, server)).code == 2
    run = cli("runs", "--json").json()["path"]
    with protocol_server(world.answer) as other:
        done = cli(*ask(my_task, other, "--resume", run, "--json"))
        assert done.code == 2
        assert "`endpoint`" in done.error()["cause"]
        assert other.requests == []


@pytest.mark.usefixtures("lockdown", "fake_jail")
def test_two_processes_on_one_run(cli: Cli, my_task: Path) -> None:
    """A real process holds the run, waiting for an answer; a second one is refused and disturbs nothing."""
    with protocol_server(lambda request: Fault(delay_seconds=60, status=500)) as server:
        arguments = [*world.executable(), *ask(my_task, server)]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as first:
            try:
                deadline = time.monotonic() + 60
                while not server.requests and first.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                if not server.requests:
                    first.kill()
                    pytest.fail(first.communicate()[1].decode())
                run: dict[str, Any] = cli("runs", "--json").json()
                asked = len(server.requests)
                done = cli(*ask(my_task, server, "--resume", run["path"], "--json"))
                assert done.code == 2
                assert f"process {first.pid} on " in done.error()["cause"]
                assert "is writing to it" in done.error()["cause"]
                assert len(server.requests) == asked
                assert first.poll() is None
                assert json.loads((Path(run["path"]) / "run.json").read_text())["status"] == "running"
                assert cli("inspect", run["path"]).code == 0
            finally:
                first.kill()
