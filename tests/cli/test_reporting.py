"""`report`: finished comparisons in, tables and files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qredit.agents.messages import Identity, Message, Position, Reply
from qredit.api.reporting import calls_of
from qredit.artifact import CREDIT_GRAPH, load_artifact, save_artifact
from qredit.cli.reporting import parse_returns
from qredit.errors import ConfigurationError
from qredit.graphs.trace import Trace
from qredit.runs import Run, create_run
from tests.cli.conftest import Cli
from tests.marl.finished_folders import write_comparison

LBF = {"vdn": [0.4, 0.6, 0.5], "qllm": [0.8, 1.0, 0.9], "ippo": [0.5, 0.5, 0.5]}
SPREAD = {"vdn": [-60.0, -70.0, -65.0], "qllm": [-75.0, -90.0, -81.0]}
HOSTILE = "def credit(state): ...\n\\end{QreditText}\n\\input{secret}\n"
CALLS = [
    Position("coder", 1, 1, 1),
    Position("coder", 1, 1, 2),
    Position("coder", 1, 2, 1),
    Position("evaluator", 1, 0, 1),
    Position("coder", 2, 1, 1),
    Position("coder", 3, 1, 1),
]


@pytest.fixture
def generation() -> Path:
    """A generation with one call and an artifact, in the runs folder."""
    run = create_run("generate", "lbf", {})
    trace = Trace(run.trace_path)
    asked = [Message("system", "You write code."), Message("user", "Write a credit function.")]
    reply = Reply(HOSTILE, model="m")
    for position in CALLS:
        trace.add_message(position, Identity("replay", "m", {}), asked, reply, parent=None)
    trace.close()
    save_artifact(run.path / "artifact", manifest={"kind": "credit", "task": "lbf"}, files={CREDIT_GRAPH: b"{}"})
    return run.path


@pytest.fixture
def lbf(generation: Path) -> Path:
    mixers = {"qllm": str(load_artifact(generation).manifest["files"][CREDIT_GRAPH])}
    return write_comparison(Path("runs") / "compare-lbf-001", LBF, task="lbf", optimum=1.0, mixers=mixers)


@pytest.fixture
def spread() -> Path:
    return write_comparison(Path("runs") / "compare-spread-001", SPREAD, task="spread", random_return=-95.0)


def test_two_tasks(cli: Cli, lbf: Path, spread: Path) -> None:
    done = cli("report", lbf.name, spread, "--threshold", "lbf=0.85")
    assert done.code == 0, done.err
    for words in ("lbf: 1,000 environment steps", "2 tasks together", "Verdicts", "IQM", "better", "worse", "Left out"):
        assert words in done.out
    assert "- Reach 0.85: seeds with an evaluation of at least this return" in done.out
    (run,) = Path("runs").glob("report-*")
    assert str(run / "report.md") in done.out
    assert {path.name for path in run.iterdir()} == {
        "run.json",
        "report.json",
        "report.csv",
        "report.md",
        "profiles.png",
    }
    assert (run / "profiles.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert "| qllm | final return | better" in (run / "report.md").read_text()


def test_json_is_what_the_folder_holds(cli: Cli, lbf: Path, spread: Path) -> None:
    data = cli("report", lbf, spread, "--reference", "spread=-50", "--json").json()
    assert data["report"] == json.loads((Path(data["run"]) / "report.json").read_text())
    assert [(scale["reference"], scale["source"]) for scale in data["report"]["scales"]] == [
        (1.0, "the task's optimum"),
        (-50.0, "as given"),
    ]
    assert data["paper"] == []


def test_a_paper_finds_the_run_that_made_the_credit(cli: Cli, lbf: Path, generation: Path) -> None:
    done = cli("report", lbf, "--paper", "paper", "--json")
    assert done.code == 0, done.err
    names = [Path(path).name for path in done.json()["paper"]]
    assert names == ["table.tex", "curves.pdf", "settings.tex", "references.bib", "prompts.tex", "README.md"]
    text = Path("paper/prompts.tex").read_text()
    assert "You write code." in text
    assert "Write a credit function." in text
    assert text.count(r"\begin{QreditTextx}") == text.count(r"\end{QreditTextx}") == 1
    assert "qredit " in Path("paper/README.md").read_text()


def test_the_appendix_has_one_call_of_each_form(generation: Path) -> None:
    titles = [call.title for call in calls_of(Run(generation))]
    assert titles == ["coder/1/1/1", "coder/1/1/2", "evaluator/1/0/1", "coder/2/1/1"]


def test_a_paper_without_a_known_generation_has_no_appendix_unless_one_is_named(
    cli: Cli, spread: Path, generation: Path
) -> None:
    assert cli("report", spread, "--paper", "a").code == 0
    assert not Path("a/prompts.tex").exists()
    assert cli("report", spread, "--paper", "b", "--run", generation.name).code == 0
    assert "You write code." in Path("b/prompts.tex").read_text()


def test_a_damaged_trace_is_told_before_anything_is_written(cli: Cli, lbf: Path, generation: Path) -> None:
    (generation / "trace.jsonl").write_text('{"schema": 2, "type": "message", "id": "coder/1/1/1"}\n')
    done = cli("report", lbf, "--paper", "paper", "--json")
    assert done.code == 2
    assert "malformed" in done.error()["cause"]
    assert not Path("paper").exists()
    assert not list(Path("runs").glob("report-*"))


REFUSED: list[tuple[list[str], str]] = [
    (["nothing"], "no run has this name"),
    (["{generation}"], "it is a `generate` run"),
    (["{lbf}", "{lbf}"], "two of them are of task `lbf`"),
    (["{lbf}", "--reference", "lbf=-1"], "not above the random policy"),
    (["{lbf}", "--reference", "0.5"], "it is no return"),
    (["{lbf}", "--threshold", "spread=1"], "the comparisons are of lbf"),
    (["{lbf}", "--paper", "p", "--run", "nothing"], "no run has this name"),
    (["{lbf}", "--paper", "p", "--run", "{lbf}"], "it is a `compare` run"),
]


@pytest.mark.parametrize(("arguments", "cause"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_what_makes_no_report(cli: Cli, lbf: Path, generation: Path, arguments: list[str], cause: str) -> None:
    done = cli("report", *(a.format(lbf=lbf, generation=generation) for a in arguments), "--json")
    assert done.code == 2
    assert cause in done.error()["cause"]
    assert not list(Path("runs").glob("report-*"))


def test_an_unfinished_comparison(cli: Cli, lbf: Path) -> None:
    (lbf / "comparison.json").unlink()
    done = cli("report", lbf, "--json")
    assert done.code == 2
    assert done.error()["family"] == "user"


@pytest.mark.parametrize(
    ("texts", "task_needed", "found"),
    [
        ([], True, {}),
        (["a=1", "b=-2.5"], True, {"a": 1.0, "b": -2.5}),
        (["0.4"], False, {"": 0.4}),
        (["0.4", "a=1e2"], False, {"": 0.4, "a": 100.0}),
    ],
)
def test_returns(texts: list[str], task_needed: bool, found: dict[str, Any]) -> None:
    assert parse_returns("--x", texts, task_needed=task_needed) == found


@pytest.mark.parametrize(
    ("texts", "task_needed"),
    [(["1"], True), (["=1"], False), (["a=b"], True), (["a=1", "a=2"], True), (["1", "2"], False), (["a=nan"], True)],
)
def test_no_returns(texts: list[str], task_needed: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"--x `.*`: it is no return"):
        parse_returns("--x", texts, task_needed=task_needed)
