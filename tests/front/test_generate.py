"""`generate`, `inspect` and `check` against a real endpoint on loopback and the real jail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qredit.artifact import load_artifact
from qredit.marl import load_mixer
from tests.agents.protocol_server import Fault, ProtocolServer
from tests.front.programs import BAD, GOOD

pytestmark = pytest.mark.usefixtures("lockdown")


def _arguments(doors: Path, model: ProtocolServer, *more: str) -> tuple[object, ...]:
    fast = ("--max-retries", "1", "--max-wait-seconds", "0", "--timeout-seconds", "20")
    return ("generate", doors, "--model", "toy", "--base-url", model.base_url, *fast, *more)


def test_a_task_of_ones_own(
    doors: Path, model: ProtocolServer, qredit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    done = qredit(*_arguments(doors, model, "--json"))
    assert done.code == 0, done.err
    assert "rejected" in done.err
    assert "no field `sell`" in done.err
    assert done.json["spend"]["calls"] == len(model.requests) == 13
    artifact = load_artifact(done.json["artifact"])
    assert set(artifact.files) == {"credit.graph.json", "credit.py", "layout.json", "CARD.md"}
    assert load_mixer(artifact.path).n_agents == 2
    for path in Path(done.json["run"]).rglob("*"):
        assert path.is_dir() or b"sk-canary" not in path.read_bytes()
    assert "sk-canary" not in done.out + done.err

    run = done.json["run"]
    story = qredit("inspect", run)
    assert story.code == 0
    assert "it is [bold]right[/bold]" in story.out
    assert "no field `sell`" in story.out
    data = qredit("inspect", run, "--json").json
    assert [a["verdict"] for a in data["attempts"]].count("rejected") == 1
    assert len(data["choices"]) == 3
    assert data["chosen"] == done.json["chosen"]
    assert "def credit" in qredit("inspect", run, "--code", 1).out
    assert "no code" not in qredit("inspect", run, "--diff", 2, 3).out
    assert qredit("inspect", run, "--code", 99).code == 2
    assert qredit("train", "lbf-5x5-2p-1f", "--algorithm", "qllm", "--mixer", run).code == 2

    again = qredit(*_arguments(doors, model, "--resume", run, "--json"))
    assert again.code == 0
    assert len(model.requests) == 13
    assert again.json["graph_sha256"] == done.json["graph_sha256"]
    assert "running" not in qredit("runs").out


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=401), "OPENAI_API_KEY"),
        (Fault(status=404), "404"),
        (Fault(status=429), "429"),
        (Fault(status=500), "500"),
        (Fault(body=b"<html>"), "try"),
    ],
)
def test_an_endpoint_that_fails(
    fault: Fault, words: str, doors: Path, model: ProtocolServer, qredit: Callable[..., Any]
) -> None:
    model.faults = [Fault(delay_seconds=0.0, status=200) if i < 0 else fault for i in range(8)]
    done = qredit(*_arguments(doors, model))
    assert done.code == 2
    assert done.err.count("error: ") == 1
    assert words in done.err
    model.faults = []
    asked = len(model.requests)
    (run,) = [line["path"] for line in [qredit("runs", "--json").json]]
    assert "stopped" in qredit("inspect", run).out
    resumed = qredit(*_arguments(doors, model, "--resume", run))
    assert resumed.code == 0, resumed.err
    assert len(model.requests) - asked == 13


def test_check_says_what_is_wrong(doors: Path, qredit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD.replace("{number}", "2"))
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "evil.py").write_text("import os\nos.system('true')\n")
    done = qredit("check", "good.py", "--task", doors, "--save", "kept", "--json")
    assert done.code == 0, done.err
    assert done.json["verdict"] == "accepted"
    assert load_artifact(tmp_path / "kept").manifest["checks"]["vdn_difference"] > 0
    rejected = qredit("check", "good.py", "bad.py", "evil.py", "--task", doors, "--json")
    assert rejected.code == 1
    assert rejected.json["kind"] == "forbidden"
    assert '"line": 5' in rejected.out
    missing = qredit("check", "good.py", "none.py", "--task", doors)
    assert missing.code == 2
    assert "none.py" in missing.out
    flat = tmp_path / "flat.py"
    flat.write_text("import torch\n\n\ndef credit(global_state):\n    return global_state[:, :2].abs() + 0.1\n")
    assert qredit("check", "flat.py", "--agents", 2, "--state-dim", 4, "--json").json["verdict"] == "accepted"
    assert qredit("check", "flat.py").code == 2


def test_a_changed_artifact_is_refused(doors: Path, qredit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD.replace("{number}", "2"))
    qredit("check", "good.py", "--task", doors, "--save", "kept")
    graph = tmp_path / "kept" / "credit.graph.json"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    done = qredit("train", "lbf-5x5-2p-1f", "--algorithm", "qllm", "--mixer", "kept")
    assert done.code == 2
    assert "SHA-256" in done.err
