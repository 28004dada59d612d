"""`train`, `compare` and `quickstart`, on very short trainings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import JailUnavailableError
from qredit.prompts import recording_path

SHORT = ("--total-steps", "300", "--evaluation-episodes", "4", "--buffer-episodes", "50")


def test_train(qredit: Callable[..., Any]) -> None:
    done = qredit("train", "lbf-5x5-2p-1f", *SHORT, "--json")
    assert done.code == 0, done.err
    assert done.json["result"]["environment_steps"] >= 300
    again = qredit("train", "lbf-5x5-2p-1f", *SHORT, "--resume", done.json["run"], "--json")
    assert again.json["result"]["final_return"] == done.json["result"]["final_return"]
    other = qredit("train", "lbf-5x5-2p-1f", *SHORT, "--seed", 1, "--resume", done.json["run"])
    assert other.code == 2


def test_settings_out_of_range(qredit: Callable[..., Any]) -> None:
    done = qredit("train", "lbf-5x5-2p-1f", "--gamma", "1.5")
    assert done.code == 2
    assert "`gamma` is 1.5" in done.err


def test_compare(qredit: Callable[..., Any], tmp_path: Path) -> None:
    arguments = ("compare", "lbf-5x5-2p-1f", "--algorithms", "vdn,qmix", "--seeds", "0,1", *SHORT)
    done = qredit(*arguments)
    assert done.code == 0, done.err
    assert all(word in done.out for word in ("vdn", "qmix", "random policy", "optimum"))
    (run,) = (tmp_path / "runs").glob("compare-*") if (tmp_path / "runs").exists() else [None]
    assert run is None or (run / "learning_curves.png").is_file()
    assert qredit("compare", "lbf-5x5-2p-1f", *SHORT).code == 2  # qllm without a credit function


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", "from qredit.cli import main; main()", "train", "lbf-5x5-2p-1f"]
    arguments += ["--total-steps", "100000", "--checkpoint-interval", "500", "--evaluation-episodes", "4"]
    environment = {"QREDIT_RUNS": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/checkpoint/*")):
        assert time.monotonic() < deadline, "no checkpoint within a minute"
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    (run,) = tmp_path.glob("train-*")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert not (run / "lock").exists()


def test_quickstart_without_a_jail(qredit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if not recording_path("lbf-5x5-2p-1f").is_file():
        pytest.skip("the task has no recorded replies yet")

    def no_jail(name: str) -> None:
        raise JailUnavailableError("no jail", cause="none works here", remedy="Use Linux.")

    monkeypatch.setattr("qredit.api.generation.open_jail", no_jail)
    monkeypatch.setattr("qredit.api.quickstart.SETTINGS", _short())
    done = qredit("quickstart", "--total-steps", "300")
    assert done.code == 0, done.err
    assert done.err.count("No jail works on this machine") == 2


@pytest.mark.usefixtures("lockdown")
def test_quickstart(qredit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if not recording_path("lbf-5x5-2p-1f").is_file():
        pytest.skip("the task has no recorded replies yet")
    monkeypatch.setattr("qredit.api.quickstart.SETTINGS", _short())
    done = qredit("quickstart", "--total-steps", "300")
    assert done.code == 0, done.err
    assert "0 of" in done.out
    assert all(word in done.out for word in ("picture", "artifact", "trace", "cost", "jail", "Try next"))


def _short() -> object:
    from qredit.marl import TrainSettings

    return TrainSettings(total_steps=300, evaluation_episodes=4, buffer_episodes=50)
