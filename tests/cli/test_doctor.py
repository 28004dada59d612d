"""`doctor`: what works here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qredit.sandbox.jails.jail import JailStatus
from tests.cli.conftest import Cli

PACKAGES = ["torch", "langgraph", "langchain-openai", "lbforaging", "gymnasium"]
LAYERS = ["landlock", "seccomp", "user namespaces", "bwrap"] if sys.platform == "linux" else []
TOPICS = ["python", *PACKAGES, *LAYERS, "jail toy", "device", "model"]


def jail(available: bool) -> list[JailStatus]:
    """What a probe of one jail found."""
    return [JailStatus("toy", available, "[bold]seen[/bold]\x1b[2J", "" if available else "Use Linux.")]


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jail that works."""
    monkeypatch.setattr("qredit.sandbox.probe_jails", lambda: jail(True))


@pytest.mark.usefixtures("works")
def test_all_is_well(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    findings = done.lines()
    assert [f["topic"] for f in findings] == [*TOPICS, "runs"]
    assert {tuple(f) for f in findings} == {("topic", "state", "detail", "remedy")}
    assert {f["state"] for f in findings} <= {"ok", "note"}
    text = cli("doctor")
    assert text.code == 0
    assert "[bold]seen[/bold][2J" in text.out
    assert list(tmp_path.iterdir()) == []


def test_something_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qredit.sandbox.probe_jails", lambda: jail(False))
    done = cli("doctor", "--json")
    assert done.code == 1
    assert [(f["topic"], f["remedy"]) for f in done.lines() if f["state"] == "missing"] == [("jail toy", "Use Linux.")]
    assert cli("doctor").code == 1


@pytest.mark.usefixtures("works")
def test_model_settings_without_the_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def model() -> dict[str, str]:
        (found,) = [f for f in cli("doctor", "--json").lines() if f["topic"] == "model"]
        return {str(name): str(value) for name, value in found.items()}

    assert model()["state"] == "note"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    assert model()["detail"] == "OPENAI_BASE_URL not set, OPENAI_API_KEY set"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert model()["detail"] == "OPENAI_BASE_URL http://127.0.0.1:1/v1, OPENAI_API_KEY set"


def test_the_real_jail(cli: Cli, lockdown: None) -> None:
    done = cli("doctor", "--json")
    (found,) = [f for f in done.lines() if f["topic"] == "jail lockdown"]
    assert (found["state"], found["remedy"]) == ("ok", "")


def test_one_jail_that_works_is_enough(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qredit.sandbox.probe_jails", lambda: [*jail(False), *jail(True)])
    done = cli("doctor", "--json")
    assert done.code == 0
    assert [f["state"] for f in done.lines() if f["topic"] == "jail toy"] == ["note", "ok"]


@pytest.mark.skipif(sys.platform != "linux", reason="layers of Linux")
@pytest.mark.usefixtures("works")
def test_each_layer_that_lacks_is_told_with_its_remedy(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "switch").write_text("0\n")
    monkeypatch.setattr("qredit.sandbox.inside.landlock.version", lambda: 0)
    monkeypatch.setattr("qredit.sandbox.inside.seccomp.available", lambda: False)
    monkeypatch.setattr("qredit.sandbox.jails.bubblewrap.SWITCHES", ((str(tmp_path / "switch"), "0", "Switch it on."),))
    monkeypatch.setattr("shutil.which", lambda name: None)
    done = cli("doctor", "--json")
    assert done.code == 0  # one jail works
    lacking = {f["topic"]: f for f in done.lines() if f["topic"] in LAYERS}
    assert {f["state"] for f in lacking.values()} == {"note"}
    assert "Use Linux 5.13 or newer" in lacking["landlock"]["remedy"]
    assert "CONFIG_SECCOMP_FILTER" in lacking["seccomp"]["remedy"]
    assert lacking["user namespaces"]["remedy"] == "Switch it on."
    assert "apt-get install bubblewrap" in lacking["bwrap"]["remedy"]
