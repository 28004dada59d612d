"""`doctor`, `check` and more on hosts that lack something: the jail that they take, exit code and message.

The host is simulated as in `test_simulated_hosts`. Each command is as short as it can be: `doctor` starts servers with
plain jobs, `check` and `generate` share one real server, and only the host without a jail runs the whole `quickstart`
(with a jail an ordinary user does: `test_ordinary_user`). No host has a Docker engine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qredit.artifact import MANIFEST
from tests.conftest import Require
from tests.sandbox.test_simulated_hosts import FILTER, PLAIN_JAILS, SERVER_JOBS, host

SCRIPT = (
    FILTER
    + PLAIN_JAILS
    + """
import json
from dataclasses import replace
from pathlib import Path
from typer.testing import CliRunner
from qredit.api import walkthrough
from qredit.cli.app import app

def run(*arguments):
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return {"code": done.exit_code, "out": done.stdout, "err": done.stderr}

said = {"doctor": run("doctor", "--json")}
kept = {}

def keep(name):
    if name not in kept:
        kept[name] = openers[name]()
        kept[name].close = lambda: None
    return kept[name]

for name in jail._JAILS:
    jail._JAILS[name] = partial(keep, name)
Path("good.py").write_text("def credit(state):\\n    return state[:, :2].abs() + 0.1\\n")
Path("bad.py").write_text("def credit(state):\\n    return state[:, :2] / state[:, 2:]\\n")
sizes = ("--agents", "2", "--state-dim", "4", "--json")
said["check good"] = run("check", "good.py", *sizes, "--save", "saved")
said["check bad"] = run("check", "good.py", "bad.py", *sizes)
walkthrough.SETTINGS = replace(walkthrough.SETTINGS, evaluation_episodes=2)
walkthrough.SEEDS, walkthrough.ALGORITHMS = (0,), ("qllm",)
if sys.argv[3] == "quickstart":
    said["quickstart"] = run("quickstart", "--total-steps", "300", "--jobs", "1", "--json")
else:
    said["generate"] = run("generate", "mpe-adversary", "--model", "replay", "--json")
for opened in kept.values():
    type(opened).close(opened)
print(json.dumps({"said": said, "real": list(kept)}))
"""
)
BANNER = "so no candidate was executed"


@pytest.fixture(scope="module", autouse=True)
def a_whole_host(require: Require, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For machines that have what is then taken away."""
    for name, (available, detail, _) in host("nothing", tmp_path_factory.mktemp("whole"))["states"].items():
        if name != "docker":
            require(name, None if available else detail)


def commands(missing: str, folder: Path, last: str = "quickstart") -> tuple[dict[str, Any], list[str]]:
    """What the commands say and with which code they end; and which jails were opened in earnest."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, missing, str(SERVER_JOBS), last],
        env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{folder}/none.sock", "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return found["said"], found["real"]


def lines(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON lines of a command."""
    return [json.loads(line) for line in said["out"].splitlines()]


@pytest.mark.parametrize(
    ("missing", "taken", "states"),
    [
        ("nothing", "bubblewrap", {"bubblewrap": "ok", "lockdown": "ok", "docker": "note"}),
        ("namespaces", "lockdown", {"bubblewrap": "note", "lockdown": "ok", "docker": "note"}),
        ("landlock", "bubblewrap", {"bubblewrap": "ok", "lockdown": "note", "docker": "note"}),
    ],
)
def test_with_a_jail(missing: str, taken: str, states: dict[str, str], tmp_path: Path) -> None:
    said, real = commands(missing, tmp_path, "generate")
    jails = {f["topic"].removeprefix("jail "): f for f in lines(said["doctor"]) if f["topic"].startswith("jail ")}
    assert said["doctor"]["code"] == 0
    assert {name: finding["state"] for name, finding in jails.items()} == states
    assert all(bool(finding["remedy"]) == (finding["state"] != "ok") for finding in jails.values())
    assert f"no engine answers at `unix://{tmp_path}/none.sock`" in jails["docker"]["detail"]
    assert real == [taken]
    assert said["check good"]["code"] == 0
    assert json.loads((tmp_path / "saved" / MANIFEST).read_text())["jail"] == taken
    assert said["check bad"]["code"] == 1
    assert [result["verdict"] for result in lines(said["check bad"])] == ["accepted", "rejected"]
    assert said["generate"]["code"] == 0, said["generate"]["err"]
    assert f", jail {taken}\n" in said["generate"]["err"]
    assert BANNER not in said["generate"]["err"]


def test_without_any_jail_nothing_is_executed(tmp_path: Path) -> None:
    said, real = commands("landlock,namespaces", tmp_path)
    assert real == []
    jails = {f["topic"].removeprefix("jail "): f for f in lines(said["doctor"]) if f["topic"].startswith("jail ")}
    assert said["doctor"]["code"] == 1
    assert {name: finding["state"] for name, finding in jails.items()} == dict.fromkeys(jails, "missing")
    assert set(jails) == {"bubblewrap", "lockdown", "docker"}
    assert all(finding["remedy"] for finding in jails.values())
    for name in ("check good", "check bad"):
        assert said[name]["code"] == 2
        (answer,) = lines(said[name])
        assert answer["error"]["what"] == "no jail works on this machine"
        assert all(finding["remedy"] in answer["error"]["remedy"] for finding in jails.values())
    assert not (tmp_path / "saved").exists()
    assert said["quickstart"]["code"] == 0, said["quickstart"]["err"]
    assert lines(said["quickstart"])[0]["generation"] is None
    assert said["quickstart"]["err"].count(BANNER) == 2
