"""`check`: verdicts, JSON lines, exit codes; the jail is the real one, shared."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from qredit.api.checking import CheckResult
from qredit.api.watching import files_as_saved
from qredit.artifact import load_artifact
from qredit.cli import checking
from qredit.errors import JailUnavailableError
from tests.cli import world
from tests.cli.conftest import Cli

FLAT = "def credit(global_state):\n    return global_state[:, :2].abs() + 0.1\n"
KEYS = {"file", "verdict", "stage", "kind", "message", "line", "warnings", "seconds", "graph_sha256", "figures"}


@pytest.fixture
def files(tmp_path: Path) -> None:
    """A good file, a wrong one and an evil one in the working folder."""
    (tmp_path / "good.py").write_text(world.code(2))
    (tmp_path / "wrong.py").write_text('def credit(state):\n    return state["sell"] + 1.0\n')
    (tmp_path / "evil.py").write_text("import os\nos.system('true')\n")
    (tmp_path / "flat.py").write_text(FLAT)


pytestmark = pytest.mark.usefixtures("files")


@pytest.mark.usefixtures("real_jail")
def test_accepted(cli: Cli, my_task: Path) -> None:
    done = cli("check", "good.py", "--task", my_task)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("good.py: accepted ")
    data = cli("check", "good.py", "--task", my_task, "--json").json()
    assert set(data) == KEYS
    assert (data["file"], data["verdict"], data["stage"], data["message"]) == ("good.py", "accepted", None, None)
    assert data["graph_sha256"] in done.out


@pytest.mark.usefixtures("real_jail")
def test_rejected_and_accepted_together(cli: Cli, my_task: Path) -> None:
    done = cli("check", "good.py", "wrong.py", "evil.py", "--task", my_task, "--json")
    assert done.code == 1
    good, wrong, evil = done.lines()
    assert [data["verdict"] for data in (good, wrong, evil)] == ["accepted", "rejected", "rejected"]
    assert set(wrong) == set(evil) == KEYS
    assert (wrong["stage"], wrong["line"]) == ("trace", 2)
    assert "`sell`" in wrong["message"]
    assert (evil["stage"], evil["kind"], evil["line"]) == ("gate", "forbidden", 1)
    assert evil["graph_sha256"] is None
    text = cli("check", "wrong.py", "--task", my_task)
    assert text.code == 1
    assert "rejected (trace, " in text.out
    assert ", line 2)" in text.out


@pytest.mark.usefixtures("real_jail")
def test_files_that_cannot_be_read(cli: Cli, my_task: Path, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to("good.py")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "large.py").write_bytes(b"#" * 1_000_001)
    names = ["missing.py", "link.py", "folder.py", "pipe.py", "large.py"]
    done = cli("check", *names, "good.py", "wrong.py", "--task", my_task, "--json")
    assert done.code == 2
    *unreadable, good, wrong = done.lines()
    assert [data["file"] for data in unreadable] == names
    assert {data["verdict"] for data in unreadable} == {"error"}
    assert {data["kind"] for data in unreadable} == {"user"}
    for data, words in zip(unreadable, ("No such file", "link", "regular", "regular", "1000001 bytes"), strict=True):
        assert words in data["message"]
    assert (good["verdict"], wrong["verdict"]) == ("accepted", "rejected")


@pytest.mark.usefixtures("real_jail")
def test_by_sizes_with_and_without_states(cli: Cli, tmp_path: Path) -> None:
    sizes = ("--agents", "2", "--state-dim", "4")
    assert cli("check", "flat.py", *sizes).code == 0
    np.savez_compressed(tmp_path / "s.npz", states=np.ones((3, 4), dtype=np.float32))
    assert cli("check", "flat.py", *sizes, "--states", "s.npz").code == 0
    assert cli("check", "flat.py", "--agents", "3", "--state-dim", "4").code == 1


@pytest.mark.usefixtures("real_jail")
def test_save(cli: Cli, my_task: Path, tmp_path: Path) -> None:
    assert cli("check", "good.py", "--task", my_task, "--save", "kept").code == 0
    artifact = load_artifact(tmp_path / "kept")
    assert (artifact.kind, artifact.task) == ("credit", world.TASK)
    assert artifact.files["credit.py"].decode() == world.code(2)
    assert cli("check", "wrong.py", "--task", my_task, "--save", "no").code == 1
    assert not (tmp_path / "no").exists()
    assert "an artifact holds one program" in cli("check", "a", "b", "--task", my_task, "--save", "x").err


ARGUMENTS = [
    ([], "give either --task, or --agents and --state-dim"),
    (["--agents", "2"], "give either --task"),
    (["--state-dim", "4"], "give either --task"),
    (["--states", "s.npz"], "give either --task"),
    (["--task", "lbf-5x5-2p-1f", "--agents", "2"], "give either --task"),
    (["--agents", "0", "--state-dim", "4"], "agents must be 1 to 256"),
    (["--agents", "2", "--state-dim", "1000000"], "the state 1 to 100000 numbers"),
    (["--agents", "2", "--state-dim", "4", "--states", "no.npz"], "No such file"),
    (["--task", "no.yaml"], "No such file"),
]


@pytest.mark.parametrize(("arguments", "cause"), ARGUMENTS, ids=[" ".join(a) or "none" for a, _ in ARGUMENTS])
def test_arguments_that_do_not_fit_together(cli: Cli, arguments: list[str], cause: str) -> None:
    done = cli("check", "good.py", *arguments, "--json")
    assert done.code == 2
    error = done.error()
    assert error["family"] == "user"
    assert cause in error["cause"]


def test_without_a_jail_nothing_is_executed(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_jail(name: str, image: str | None) -> None:
        raise JailUnavailableError("no jail", cause="none works here", remedy="Use Linux.")

    monkeypatch.setattr("qredit.api.checking.open_jail", no_jail)
    (tmp_path / "bomb.py").write_text(f"open({str(tmp_path / 'bang')!r}, 'w')\n{FLAT}")
    done = cli("check", "bomb.py", "--agents", "2", "--state-dim", "4", "--no-gate", "--json")
    assert done.code == 2
    assert done.error() == {
        "family": "infrastructure",
        "what": "no jail",
        "cause": "none works here",
        "remedy": "Use Linux.",
    }
    assert not (tmp_path / "bang").exists()


@pytest.mark.usefixtures("real_jail")
def test_watch_checks_again_on_each_save(
    cli: Cli, my_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor that writes in place, one that renames, and a file that is none of ours."""
    stop = threading.Event()
    monkeypatch.setattr(checking, "files_as_saved", lambda files: files_as_saved(files, stop=stop))
    seen: list[str] = []

    def edit(result: CheckResult) -> None:
        seen.append(f"{result.file} {result.verdict}")
        if len(seen) == 1:
            (tmp_path / "evil.py").write_text("import sys\n")
            (tmp_path / "wrong.py").write_text(world.code(3))
        elif len(seen) == 2:
            (tmp_path / "new").write_text("import os\n")
            (tmp_path / "new").rename(tmp_path / "wrong.py")
        else:
            stop.set()

    monkeypatch.setattr(checking, "_show", edit)
    done = cli("check", "wrong.py", "--task", my_task, "--watch")
    assert seen == ["wrong.py rejected", "wrong.py accepted", "wrong.py rejected"]
    assert done.code == 1


def test_watch_writes_no_artifact(cli: Cli, my_task: Path) -> None:
    done = cli("check", "good.py", "--task", my_task, "--watch", "--save", "kept", "--json")
    assert done.code == 2
    assert "written once" in done.error()["cause"]
