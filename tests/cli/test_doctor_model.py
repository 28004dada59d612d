"""`doctor --model`: what is said of an endpoint; and what `doctor` says of local servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from qredit.sandbox.jails.jail import JailStatus
from tests.agents.protocol_server import Fault, ProtocolServer, Request, protocol_server
from tests.cli.conftest import Cli

KEY = "sk-canary-0123456789abcdef"


def able(request: Request) -> str:
    """The answers of a model that can all that is asked."""
    asked = str(request["messages"][-1]["content"])
    if "larger" in asked:
        return json.dumps({"analysis": "a", "choice": 2, "reason": "r", "tips": "t"})
    if "module" in asked:
        return "```python\ndef credit(state):\n    return state['x'] * 2\n```"
    return "[bold]Blue[/bold] KESTREL\x1b[2J" if "colour" in asked else "Hello."


@pytest.fixture
def model() -> Iterator[ProtocolServer]:
    """A server with such a model."""
    with protocol_server(able) as running:
        yield running


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jail that works."""
    monkeypatch.setattr("qredit.sandbox.probe_jails", lambda: [JailStatus("toy", True, "seen", "")])


def test_a_model_that_can_be_used(cli: Cli, model: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    done = cli("doctor", "--model", "m", "--base-url", model.base_url, "--json")
    assert done.code == 0
    findings = done.lines()
    assert {tuple(f) for f in findings} == {("topic", "state", "detail", "remedy")}
    assert {f["state"] for f in findings} <= {"ok", "note"}
    assert [f["topic"] for f in findings][:3] == ["endpoint", "model list", "chat"]
    assert {f["topic"]: f["detail"] for f in findings}["cost of this probe"] == "7 requests, 600 + 120 tokens"
    assert done.err == f"asking `m` at {model.base_url}: 7 to 10 small requests\n"
    assert {headers["authorization"] for headers in model.headers} == {f"Bearer {KEY}"}
    assert KEY not in done.out


def test_as_text(cli: Cli, model: ProtocolServer) -> None:
    done = cli("doctor", "--model", "m", "--base-url", model.base_url)
    assert done.code == 0
    assert "[bold]Blue[/bold]" in done.out
    assert "\x1b" not in done.out


def test_a_model_that_cannot_be_used(cli: Cli, model: ProtocolServer) -> None:
    model.answer = lambda request: "I do not write code. KESTREL"
    done = cli("doctor", "--model", "m", "--base-url", model.base_url, "--json")
    assert done.code == 1
    assert [f["topic"] for f in done.lines() if f["state"] == "missing"] == ["code block"]


def test_an_endpoint_that_refuses(cli: Cli, model: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key shows nowhere, and a doctor has no run to resume."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model.answer = lambda request: Fault(status=401, message=f"wrong key {KEY}\x1b[2J")
    model.listing = Fault(status=401, message=f"wrong key {KEY}")
    done = cli("doctor", "--model", "m", "--base-url", model.base_url)
    assert done.code == 1
    assert KEY not in done.out + done.err
    assert "\x1b" not in done.out + done.err
    assert "--resume" not in done.out
    assert "OPENAI_API_KEY" in done.out


def test_the_url_of_the_environment(cli: Cli, model: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of the command line comes first, and the key goes nowhere else."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with protocol_server(able) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        assert cli("doctor", "--model", "m", "--base-url", model.base_url).code == 0
        assert other.requests == []
        assert other.gets == []
        assert cli("doctor", "--model", "m").code == 0
        assert len(other.requests) == 6


def test_the_time_for_one_request(cli: Cli, model: ProtocolServer) -> None:
    model.answer = lambda request: Fault(delay_seconds=60)
    model.listing = Fault(delay_seconds=60)
    done = cli("doctor", "--model", "m", "--base-url", model.base_url, "--timeout-seconds", "0.3", "--json")
    assert done.code == 1
    assert "no complete answer within 0.3 s" in str(done.lines()[0]["detail"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base-url", "http://127.0.0.1:9/v1"], "Add --model NAME."),
        (["--timeout-seconds", "3"], "Add --model NAME."),
        (["--model", "m", "--build-image"], "Run doctor twice."),
        (["--model", "m"], "neither a base URL nor OPENAI_API_KEY"),
        (["--model", "replay"], "no endpoint to look at"),
        (["--model", "human", "--base-url", "http://127.0.0.1:9/v1"], "no endpoint to look at"),
        (["--model", "m", "--base-url", "http://user:pw@host/v1"], "it holds a user name"),
        (["--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--timeout-seconds", "0"], "times must be positive"),
    ],
)
def test_what_does_not_go_together(cli: Cli, arguments: list[str], said: str) -> None:
    done = cli("doctor", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


@pytest.mark.usefixtures("works")
def test_doctor_names_local_servers(cli: Cli, model: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(model.base_url).port
    monkeypatch.setattr("qredit.agents.local_servers.PORTS", {"Ollama": port})
    monkeypatch.setattr("qredit.agents.local_servers.TIMEOUT_SECONDS", 30.0)

    def finding() -> dict[str, object]:
        (found,) = [f for f in cli("doctor", "--json").lines() if f["topic"] == "model"]
        return found

    found = finding()
    assert found["state"] == "note"
    assert found["detail"] == f"no endpoint configured, but {model.base_url} (usual port of Ollama) lists m"
    assert found["remedy"] == f"Generate with `qredit generate TASK --model m --base-url {model.base_url}`."
    assert len(model.gets) == 1
    assert "authorization" not in model.gets[0][1]
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert finding()["state"] == "ok"
    assert len(model.gets) == 1  # nobody is asked where an endpoint is configured
