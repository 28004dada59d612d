"""`inspect`, `runs` and `tasks`: what a generation left, finished or not, and what strangers may have put there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.runs import create_run
from tests.agents.protocol_server import Fault, ProtocolServer, Request, protocol_server
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import SMALL

BAIT = "[bold]bait[/bold] [/nope] \x1b[31m \u202e \ud800"


def answer(request: Request) -> str:
    """The first of each round is refused once; everything that can quote the model does."""
    if world.is_evaluator(request):
        return world.choice(1, reason=f"reason {BAIT}", tips=f"tips {BAIT}")
    user = request["messages"][1]["content"]
    if "Write candidate 1 of 2" in user and "What to correct" not in user:
        return world.reply("# EVIL [bold]code[/bold]\n" + world.code(len(user)))
    return world.answer(request)


@pytest.fixture
def run(cli: Cli, my_task: Path, fake_jail: None) -> Path:
    """A finished generation with six attempts of the coder."""
    with protocol_server(answer) as server:
        done = cli("generate", my_task, "--model", "m", "--base-url", server.base_url, *SMALL, "--json")
    assert done.code == 0, done.err
    return Path(done.json()["run"])


def test_the_story(cli: Cli, run: Path) -> None:
    done = cli("inspect", run)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{run}: my-task, model m, finished"
    assert [line for line in lines if line.startswith("round ")] == ["round 1", "round 2"]
    attempts = [line for line in lines if "attempt" in line and "tokens" in line]
    assert [line.split()[0] for line in attempts] == ["1", "2", "3", "4", "5", "6"]
    assert [("rejected" in line, "accepted" in line) for line in attempts[:3]] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert sum(line.endswith("final") for line in attempts) == 1
    assert "[bold]`open`[/bold] is not allowed[2J. Remove it." in done.out
    assert done.out.count("reason [bold]bait[/bold] [/nope] ") == 2
    assert done.out.count("tips: tips [bold]bait[/bold]") == 2
    assert "800 tokens read, 160 written" in done.out
    assert not {"\x1b", "\u202e", "\ud800"} & set(done.out)


def test_by_name_and_as_data(cli: Cli, run: Path) -> None:
    data = cli("inspect", run.name, "--json").json()
    assert Path(data["run"]).samefile(run)
    assert (data["task"], data["model"], data["status"]) == ("my-task", "m", "finished")
    assert [a["number"] for a in data["attempts"]] == [1, 2, 3, 4, 5, 6]
    assert {c["tips"] for c in data["choices"]} == {f"tips {BAIT}"}
    assert data["input_tokens"] == 800


def test_code_and_difference(cli: Cli, run: Path) -> None:
    shown = cli("inspect", run, "--code", "1")
    assert shown.code == 0
    assert "# EVIL [bold]code[/bold]" in shown.out
    source = cli("inspect", run, "--code", "2", "--json").json()["text"]
    assert source.startswith("def credit(state):\n")
    differs = cli("inspect", run, "--diff", "1", "2", "--json").json()["text"].splitlines()
    assert differs[:2] == ["--- candidate 1", "+++ candidate 2"]
    assert "-# EVIL [bold]code[/bold]" in differs
    assert "--- candidate 3" in cli("inspect", run, "--diff", "3", "1").out
    assert cli("inspect", run, "--diff", "2", "2", "--json").json() == {"text": ""}


@pytest.mark.parametrize("number", ["0", "-1", "7", "99999999999999999999"])
def test_numbers_out_of_range(cli: Cli, run: Path, number: str) -> None:
    for arguments in (["--code", number], ["--diff", "1", number]):
        done = cli("inspect", run, *arguments, "--json")
        assert done.code == 2
        error = done.error()
        assert error["what"] == f"candidate {number} of run `{run}`"
        assert error["cause"] == "there are 6"


def test_wrong_numbers(cli: Cli, run: Path) -> None:
    assert cli("inspect", run, "--diff", "1").code == 2
    assert cli("inspect", run, "--code", "one").code == 2


def test_an_attempt_without_code(cli: Cli, my_task: Path, fake_jail: None) -> None:
    with protocol_server(lambda request: "I cannot.") as server:
        assert cli("generate", my_task, "--model", "m", "--base-url", server.base_url, *SMALL).code == 1
    run = cli("runs", "--json").json()["path"]
    data = cli("inspect", run, "--json").json()
    assert {a["verdict"] for a in data["attempts"]} == {"no_code"}
    assert data["chosen"] == ""
    error = cli("inspect", run, "--code", "1", "--json").error()
    assert error["cause"] == "it had no code"
    assert "all candidates failed" in cli("inspect", run).out


def test_a_run_that_has_only_begun(cli: Cli) -> None:
    run = create_run("generate", "x", {})
    done = cli("inspect", run.path)
    assert done.code == 0
    assert "0 tokens read" in done.out
    assert cli("inspect", run.path, "--json").json()["attempts"] == []
    assert cli("inspect", run.path, "--code", "1", "--json").error()["cause"] == "there are 0"


def test_an_unfinished_run(cli: Cli, my_task: Path, fake_jail: None) -> None:
    with protocol_server(answer) as server:
        server.faults = [Fault(), Fault(), *[Fault(status=401)] * 9]
        arguments = ["--base-url", server.base_url, "--max-concurrency", "1", *SMALL]
        assert cli("generate", my_task, "--model", "m", *arguments).code == 2
    run = cli("runs", "--json").json()["path"]
    data = cli("inspect", run, "--json").json()
    assert data["status"] == "failed"
    assert [a["verdict"] for a in data["attempts"]][:1] == ["rejected"]
    assert data["choices"] == []
    (note,) = data["notes"]
    assert note.startswith("stopped: ")
    assert "HTTP 401" in note


FORGED = [
    {"type": "verdict", "id": "verdict/coder/1/1/1", "round": 1, "candidate": 1, "attempt": 1, "verdict": "accepted"},
    {
        "type": "message",
        "id": "coder/1/1/1",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
        "seconds": 0,
    },
]


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "../../../secret"},
        {"sha": 5},
        {"round": "x"},
        {"round": None},
        {"line": []},
        {"warnings": 5},
        {"type": "choice"},
        {"type": "all_failed", "failures": 5},
        {"type": "duplicate"},
        {"type": "run", "task": 5},
    ],
    ids=str,
)
def test_a_forged_trace(cli: Cli, tmp_path: Path, change: dict[str, object]) -> None:
    """A run folder may come from a stranger: no traceback, and no file outside of it."""
    (tmp_path / "secret.py").write_text("the secret")
    run = create_run("generate", "x", {})
    first, second = FORGED
    lines = [json.dumps({"schema": 2, **record}) for record in ({**first, **change}, second)]
    run.trace_path.write_text("\n".join(lines) + "\n")
    for arguments in ([], ["--code", "1"]):
        done = cli("inspect", run.path, *arguments, "--json")
        assert done.code == 2
        assert done.error()["family"] == "user"
        assert "secret" not in done.out.replace("../../../secret", "")


@pytest.mark.parametrize("missing", ["type", "id", "round", "verdict"])
def test_a_trace_that_lacks_something(cli: Cli, missing: str) -> None:
    run = create_run("generate", "x", {})
    record = {"schema": 2, **FORGED[0]}
    del record[missing]
    run.trace_path.write_text(json.dumps(record) + "\n")
    error = cli("inspect", run.path, "--json").error()
    assert error["what"] == f"trace `{run.trace_path}`"


def test_a_candidate_that_is_a_link(cli: Cli, run: Path, tmp_path: Path) -> None:
    sha = cli("inspect", run, "--json").json()["attempts"][0]["sha"]
    (tmp_path / "secret").write_text("the secret")
    path = run / "candidates" / f"{sha}.py"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    done = cli("inspect", run, "--code", "1")
    assert done.code == 2
    assert "symbolic link" in done.err
    assert "the secret" not in done.out


# the other lists


def test_no_runs(cli: Cli, tmp_path: Path) -> None:
    assert "No runs in" in cli("runs").out
    assert cli("runs", "--json").out == ""
    assert not (tmp_path / "runs").exists()


def test_runs_in_order_and_elsewhere(cli: Cli, tmp_path: Path) -> None:
    for name in ("b", "a"):
        create_run("train", name, {}, root=tmp_path / "other")
    rows = cli("runs", "--root", tmp_path / "other", "--json").lines()
    assert {row["name"] for row in rows} == {"a", "b"}
    assert set(rows[0]) == {"path", "kind", "name", "status", "created"}
    assert "train-a-001" in "".join(cli("runs", "--root", "other").out.split())
    assert cli("runs").out.startswith("No runs in")


def test_runs_shows_no_markup(cli: Cli) -> None:
    run = create_run("train", "a", {})
    run.update(name="[bold]x[/bold]", status="\x1b[31mred", created=5)
    done = cli("runs")
    assert done.code == 0
    text = "".join(done.out.split())
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text


def test_tasks(cli: Cli) -> None:
    rows = cli("tasks", "--json").lines()
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert "lbf-5x5-2p-1f" in names
    assert {(row["recorded"], row["builtin"], row["taken_from"]) for row in rows if row["recorded"]} == {
        (True, True, None)
    }
    assert all(row["builtin"] for row in rows if row["taken_from"])
    text = cli("tasks").out
    assert [name for name in names if name not in text] == []
    assert ("no recording yet" in text) == any(not row["builtin"] for row in rows)


@pytest.mark.usefixtures("fake_jail")
def test_the_card_of_a_run_and_of_a_task(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    run = cli("generate", my_task, "--model", "m", "--base-url", server.base_url, *SMALL, "--json").json()["run"]
    text = (Path(run) / "artifact" / "CARD.md").read_text()
    assert cli("card", run, "--json").json()["card"] == text
    assert cli("card", run).out.strip() == text.strip()
    assert cli("card", "lbf-5x5-2p-1f").out.startswith("# Weights for `lbf-5x5-2p-1f`")
    assert cli("card", "no-such-thing", "--json").error()["what"] == "unknown artifact `no-such-thing`"


@pytest.mark.usefixtures("fake_jail")
def test_a_call_word_by_word(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    """What was asked and said, as the server saw it; and the measurements beside the code."""
    run = cli("generate", my_task, "--model", "m", "--base-url", server.base_url, *SMALL, "--json").json()["run"]
    asked = server.requests[0]["messages"]
    shown = cli("inspect", run, "--call", "coder/1/1/1", "--json").json()
    assert [text for _, text in shown["prompt"]] in [[m["content"] for m in r["messages"]] for r in server.requests]
    assert [speaker for speaker, _ in shown["prompt"]] == [m["role"] for m in asked]
    assert "```python" in shown["reply"]
    assert "reply" in cli("inspect", run, "--call", "evaluator/1/0/1").out
    missing = cli("inspect", run, "--call", "coder/9/1/1", "--json")
    assert missing.code == 2
    assert "coder/1/1/1" in missing.error()["remedy"]
    assert "measured" in cli("inspect", run, "--code", "1").out
