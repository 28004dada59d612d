"""Names that do not exist: exit 2, and the nearest ones are suggested."""

from __future__ import annotations

from pathlib import Path

import pytest

from qredit.runs import create_run
from tests.cli.conftest import Cli

TASK = "lbf-5x5-2p-1f"


@pytest.fixture(autouse=True)
def some_runs() -> None:
    """Runs that a mistyped name may have meant."""
    create_run("generate", TASK, {})
    made = create_run("generate", "other", {})
    (made.path / "artifact").mkdir()


CASES = [
    (["generate", "lbf-5x5-2p", "--model", "m"], "task", TASK),
    (["check", "f.py", "--task", "lbf-5x5"], "task", TASK),
    (["train", "lbf-5x5-2p-1ff"], "task", TASK),
    (["compare", "lfb-5x5-2p-1f"], "task", TASK),
    (["train", TASK, "--algorithm", "qmx"], "algorithm", "qmix"),
    (["compare", TASK, "--algorithms", "vdn,qlm"], "algorithm", "qllm"),
    (["train", TASK, "--algorithm", "qllm", "--mixer", "generate-othr-001"], "artifact", "generate-other-001"),
    (["train", TASK, "--algorithm", "qllm", "--mixer", "biultin"], "artifact", "builtin"),
    (["inspect", "generate-lbf-5x5-2p-1f-01"], "run", "generate-lbf-5x5-2p-1f-001"),
    (["train", TASK, "--resume", "train-1"], "run", ""),
    (["compare", TASK, "--algorithms", "vdn", "--resume", "nothing"], "run", ""),
    (["check", "f.py", "--agents", "2", "--state-dim", "4", "--jail", "lockdwn"], "jail", "lockdown"),
]


@pytest.mark.parametrize(("arguments", "kind", "meant"), CASES, ids=[" ".join(c[0]) for c in CASES])
def test_unknown_names(cli: Cli, arguments: list[str], kind: str, meant: str) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert f"error: unknown {kind} `" in done.err
    assert meant in done.err
    assert "Traceback" not in done.err
    as_data = cli(*arguments, "--json")
    assert as_data.code == 2
    error = as_data.error()
    assert error["family"] == "user"
    assert error["what"].startswith(f"unknown {kind} `")
    assert meant in error["remedy"]


def test_the_nearest_is_suggested_and_not_all(cli: Cli) -> None:
    remedy = cli("train", "lbf-8x8-2p-2f-coop-2", "--json").error()["remedy"]
    assert remedy.startswith("Did you mean `lbf-8x8-2p-2f-coop-2s`")
    near, _, forms = remedy.partition(" Names of this form exist too: ")
    assert near.count("`") == 6
    assert forms == "`lbf-ROWSxCOLUMNS-Np-Ff[-coop][-2s]`, `lbf-inert-K`."


def test_a_run_of_another_kind(cli: Cli) -> None:
    run = create_run("train", "x", {})
    for arguments in (["inspect", run.path.name], ["generate", TASK, "--model", "m", "--resume", run.path]):
        done = cli(*arguments, "--base-url", "http://127.0.0.1:9/v1") if arguments[0] == "generate" else cli(*arguments)
        assert done.code == 2
        assert "it is a `train` run" in done.err


def test_a_run_of_another_version(cli: Cli) -> None:
    run = create_run("generate", "x", {})
    text = (run.path / "run.json").read_text().replace('"schema": 1', '"schema": 99')
    (run.path / "run.json").write_text(text)
    error = cli("inspect", run.path, "--json").error()
    assert error["family"] == "user"
    assert "schema version 99, this qredit reads 1" in error["cause"]
    assert cli("runs").code == 0


@pytest.mark.parametrize("content", ["", "[]", "no json", "\x00", "{" * 100_000])
def test_a_run_folder_that_is_damaged(cli: Cli, own_runs_folder: Path, content: str) -> None:
    run = create_run("generate", "x", {})
    (run.path / "run.json").write_text(content)
    done = cli("inspect", run.path)
    assert done.code == 2
    assert "error: cannot read" in done.err
    listed = cli("runs", "--json")
    assert listed.code == 0
    (row,) = [row for row in listed.lines() if row["path"] == str(run.path)]
    assert row["status"].startswith("unreadable: ")
