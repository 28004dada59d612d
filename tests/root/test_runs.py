"""Run folders: numbering, status, versions, and one writer at a time."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import qredit
from qredit.errors import ArtifactError, ConfigurationError, RunFolderError, StorageError, UnknownNameError
from qredit.runs import Run, create_run, list_runs, open_run

HOLD = """
import sys
from pathlib import Path
from qredit.runs import Run
with Run(Path(sys.argv[1])).writing():
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run() -> Run:
    return create_run("train", "LBF 5x5!", {"seed": 1})


def write_lock(run: Run, **content: Any) -> None:
    (run.path / "lock").write_text(json.dumps({"host": socket.gethostname(), **content}))


def test_a_new_run_tells_what_it_is(run: Run, own_runs_folder: Path) -> None:
    assert run.path == own_runs_folder / "train-lbf-5x5-001"
    record = run.record
    created = record.pop("created")
    assert len(created) == len("2026-11-21T00:00:00Z")
    assert record == {
        "schema": 1,
        "qredit": qredit.__version__,
        "kind": "train",
        "name": "LBF 5x5!",
        "status": "running",
        "settings": {"seed": 1},
    }


def test_numbers_count_up(run: Run) -> None:
    assert [create_run("train", "lbf-5x5", {}).path.name for _ in range(2)] == [
        "train-lbf-5x5-002",
        "train-lbf-5x5-003",
    ]


def test_runs_live_in_the_working_folder_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("QREDIT_RUNS")
    monkeypatch.chdir(tmp_path)
    assert create_run("train", "x", {}).path == Path("runs/train-x-001")


def test_a_run_opens_by_path_and_by_name(run: Run) -> None:
    assert open_run(run.path) == open_run(run.path.name) == run
    assert open_run(run.path.name, kind="train") == run


def test_an_unknown_run_suggests_the_nearest(run: Run) -> None:
    with pytest.raises(UnknownNameError) as caught:
        open_run("train-lbf-5x5-010")
    assert caught.value.suggestions == (run.path.name,)


def test_another_kind_is_refused(run: Run) -> None:
    with pytest.raises(RunFolderError, match="it is a `train` run"):
        open_run(run.path, kind="generate")


def test_another_version_is_refused(run: Run) -> None:
    run.update(schema=2, qredit="9.9.9")
    with pytest.raises(RunFolderError, match=r"schema version 2, this qredit reads 1.*Use qredit 9\.9\.9"):
        open_run(run.path)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_run_is_refused(content: str, run: Run) -> None:
    (run.path / "run.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"run\.json"):
        open_run(run.path)


def test_a_damaged_run_does_not_hide_the_others(run: Run) -> None:
    other = create_run("train", "other", {})
    (other.path / "run.json").write_text("{")
    assert {r.path for r in list_runs()} == {run.path, other.path}


def test_list_is_oldest_first(run: Run) -> None:
    older = create_run("train", "z", {})
    older.update(created="2020-01-01T00:00:00Z")
    assert list_runs() == [older, run]
    assert list_runs(Path("nowhere")) == []


# status


def test_writing_sets_the_status(run: Run) -> None:
    with run.writing():
        assert run.record["status"] == "running"
        assert (run.path / "lock").exists()
    assert run.record["status"] == "finished"
    assert not (run.path / "lock").exists()


def test_a_failure_is_noted_and_forgotten_by_the_next_attempt(run: Run) -> None:
    error = ConfigurationError("x", cause="y \udc80", remedy="z")
    with pytest.raises(ConfigurationError), run.writing():
        raise error
    assert (run.record["status"], run.record["error"]) == ("failed", str(error))
    with run.writing():
        pass
    assert run.record["status"] == "finished"
    assert "error" not in run.record


def test_ctrl_c_is_noted(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt), run.writing():
        raise KeyboardInterrupt
    assert run.record["status"] == "interrupted"
    assert not (run.path / "lock").exists()


@pytest.mark.parametrize("first", [KeyboardInterrupt(), ConfigurationError("x", cause="y", remedy="z")])
def test_a_full_disk_does_not_hide_why_a_run_ended(
    first: BaseException, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def end() -> None:
        monkeypatch.setattr(os, "fsync", full)
        raise first

    with pytest.raises(type(first)), run.writing():
        end()
    assert run.record["status"] == "running"
    assert not (run.path / "lock").exists()


def test_a_full_disk_at_the_start_leaves_no_lock(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(StorageError, match="No space left"), run.writing():
        pytest.fail("it has no lock")
    assert not (run.path / "lock").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        create_run("train", "x", {}, root=tmp_path / "file")


# one writer at a time


def test_two_writers_are_refused(run: Run) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(RunFolderError, match=f"process {holder.pid} on"), run.writing():
            pytest.fail("two writers")
        assert (run.path / "lock").exists()
        holder.communicate()
    assert run.record["status"] == "finished"


def test_the_lock_of_a_killed_process_is_taken_over(run: Run) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        holder.kill()
    assert (run.path / "lock").exists()
    with run.writing():
        assert json.loads((run.path / "lock").read_text())["pid"] == os.getpid()
    assert sorted(p.name for p in run.path.iterdir()) == ["run.json"]


def test_a_recycled_pid_is_not_taken_for_the_old_process(run: Run, require: Callable[[str, str | None], None]) -> None:
    require("proc", None if Path("/proc/self/stat").exists() else "no /proc: start times are unknown")
    write_lock(run, pid=os.getpid(), started="1")
    with run.writing():
        pass


def test_the_same_process_does_not_write_twice_at_once(run: Run) -> None:
    with run.writing(), pytest.raises(RunFolderError, match=f"process {os.getpid()}"), run.writing():
        pytest.fail("two writers")


def test_a_process_on_another_host_is_taken_to_be_alive(run: Run) -> None:
    write_lock(run, host="elsewhere", pid=1, started="1")
    with pytest.raises(RunFolderError, match="process 1 on elsewhere"), run.writing():
        pytest.fail("two writers")


@pytest.mark.parametrize("pid", [-1, 0, 2**70, "7", None])
def test_a_lock_that_names_no_process_is_respected(pid: object, run: Run) -> None:
    write_lock(run, pid=pid, started=None)
    with pytest.raises(RunFolderError, match="is writing to it"), run.writing():
        pytest.fail("two writers")


def test_an_empty_lock_is_one_that_is_just_being_made(run: Run) -> None:
    """Between making and filling its lock a writer must not lose it to another."""
    (run.path / "lock").touch()
    with pytest.raises(RunFolderError, match=r"another process.*delete `.*lock`"), run.writing():
        pytest.fail("two writers")


def test_only_one_takes_over(run: Run) -> None:
    """Many processes find the lock of a dead one at the same time: exactly one gets in while it holds on."""
    write_lock(run, pid=2**22 + 1, started="1")
    attempts = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, run.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    entered = []
    for attempt in attempts:
        assert attempt.stdout is not None
        entered.append(attempt.stdout.readline() == "holding\n")
    for attempt in attempts:
        attempt.communicate()
    assert entered.count(True) == 1
