"""The real executable in a process of its own: closed pipes, encodings, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import qredit
from qredit.runs import create_run
from tests.cli.world import executable

SETTINGS = ("--total-steps", "8000", "--evaluation-episodes", "4", "--checkpoint-interval", "400", "--hidden-size", "8")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def call(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `qredit` and wait."""
    return subprocess.run(
        [*executable(), *arguments],
        env={**os.environ, **ONE_THREAD, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def test_version_and_exit_codes() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"qredit {qredit.__version__}\n", "")
    assert call("--help").returncode == 0
    assert call("train", "lbf-5x5-2p-1").returncode == 2
    assert call("no-such-command").returncode == 2


@pytest.mark.parametrize("arguments", [["tasks"], ["tasks", "--json"], ["--help"], ["runs"], ["runs", "--json"]])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_pipe_ends_quietly(arguments: list[str], closed: str) -> None:
    """The reader has gone before the first word, as in `qredit tasks | head -1` at its worst."""
    create_run("train", "a", {})
    reader, writer = os.pipe()
    os.close(reader)
    other = "stderr" if closed == "stdout" else "stdout"
    with subprocess.Popen(
        [*executable(), *arguments],
        stdout=writer if closed == "stdout" else subprocess.PIPE,
        stderr=writer if closed == "stderr" else subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writer)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    if other == "stderr":
        assert "Traceback" not in err
        assert "Broken" not in err
    else:
        assert "Traceback" not in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_output_that_lacks_characters(tmp_path: Path, encoding: str) -> None:
    """Model text may hold anything; a poor terminal shows codes in place of it."""
    run = create_run("generate", "x", {})
    record = {"schema": 2, "type": "choice", "id": "choice/1", "round": 1, "chosen": "a" * 64}
    run.trace_path.write_text(json.dumps({**record, "reason": "è 世界 \ud800 \u202e", "tips": "t"}) + "\n")
    for arguments in (["inspect", str(run.path)], ["inspect", str(run.path), "--json"]):
        done = subprocess.run(
            [*executable(), *arguments],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode(encoding)
        if "--json" in arguments:
            assert json.loads(text)["choices"][0]["reason"] == "è 世界 \ud800 \u202e"
        else:
            assert ("世界" in text) == (encoding == "utf-8")


def test_ctrl_c_and_resume() -> None:
    """130, a folder in order, and the resumed training ends as if nothing had happened."""
    process = subprocess.Popen(
        [*executable(), "train", "lbf-5x5-2p-1f", *SETTINGS],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    runs = Path(os.environ["QREDIT_RUNS"])
    try:
        deadline = time.monotonic() + 120
        while not list(runs.glob("*/checkpoint/*")):
            assert time.monotonic() < deadline, "no checkpoint"
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert out == ""
    assert "interrupted: what was done is kept" in err
    assert "Traceback" not in err
    (run,) = runs.iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert not (run / "lock").exists()
    assert not (run / "result.json").exists()
    assert not list(run.glob(".*"))

    resumed = call("train", "lbf-5x5-2p-1f", *SETTINGS, "--resume", run.name, "--json")
    assert resumed.returncode == 0, resumed.stderr
    undisturbed = call("train", "lbf-5x5-2p-1f", *SETTINGS, "--json")
    results = [json.loads(done.stdout)["result"] for done in (resumed, undisturbed)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
