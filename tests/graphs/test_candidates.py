"""The folder of candidates and the trace, with files that a stranger may have made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.errors import ArtifactError, ConfigurationError, RunFolderError
from qredit.graphs import GenerationSettings, read_trace
from qredit.graphs.candidates import Candidates, Judged
from qredit.graphs.checkpoints import is_run_state
from qredit.graphs.failures import taxonomy
from qredit.graphs.state import Outcome, start
from qredit.graphs.trace import Trace
from qredit.sandbox.verdict import Rejected
from tests.graphs.support import check, module

REJECTED = Rejected("trace", "resource", "too slow", None, 1.5)


def outcome(candidate: int, status: str, sha: str) -> Outcome:
    """An outcome of round 1."""
    return {"round": 1, "candidate": candidate, "status": status, "sha": sha, "attempts": 1, "out_of_budget": False}  # type: ignore[typeddict-item]


def test_verdicts_come_back(tmp_path: Path) -> None:
    candidates = Candidates(tmp_path)
    good, bad = candidates.keep(module("good")), candidates.keep("bad \udcff text")
    assert candidates.judged(good) is None
    candidates.keep_verdict(good, Judged(check(module("good")), "figures"))
    candidates.keep_verdict(bad, Judged(REJECTED, ""))
    again = Candidates(tmp_path)
    assert again.source(good) == module("good")
    assert again.source(bad) == "bad \udcff text"
    assert again.judged(good) == Judged(check(module("good")), "figures")
    assert again.judged(bad) == Judged(REJECTED, "")


@pytest.mark.parametrize("name", ["", "../" * 21 + "x", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_names_are_hashes(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="no SHA-256"):
        Candidates(tmp_path).source(name)


def test_a_changed_source_is_refused(tmp_path: Path) -> None:
    candidates = Candidates(tmp_path)
    sha = candidates.keep(module("good"))
    (tmp_path / f"{sha}.py").write_text("import os")
    with pytest.raises(ArtifactError, match="does not match its SHA-256"):
        candidates.source(sha)


@pytest.mark.parametrize(
    "change",
    [{"schema": 1}, {"verdict": "error"}, {"stage": "heaven"}, {"kind": "odd"}, {"line": "x"}, {"seconds": None}],
)
def test_a_damaged_verdict_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    candidates = Candidates(tmp_path)
    sha = candidates.keep("bad")
    candidates.keep_verdict(sha, Judged(REJECTED, ""))
    path = tmp_path / f"{sha}.verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match="no verdict"):
        candidates.judged(sha)


def test_the_taxonomy_counts_kinds(tmp_path: Path) -> None:
    candidates = Candidates(tmp_path)
    shas = [candidates.keep(f"bad {k}") for k in range(4)]
    broken = Rejected("contract", "contract", "nan", 3, 0.1)
    for sha, verdict in zip(shas, [REJECTED, broken, broken, check(module("x"))], strict=True):
        candidates.keep_verdict(sha, Judged(verdict, ""))
    outcomes = [outcome(k + 1, "rejected", sha) for k, sha in enumerate(shas[:3])]
    outcomes += [outcome(4, "accepted", shas[3]), outcome(5, "no_code", "")]
    assert taxonomy(outcomes, candidates) == [
        "1 x check `trace` (resource): too slow",
        "2 x check `contract`: nan",
        "1 x reply without usable code: no single complete Python block was found",
    ]


def test_a_trace_tells_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    for _ in range(2):
        trace = Trace(path)
        trace.add("kept", "kept/1", round=1)
        trace.add_error("model", "no")
        trace.close()
    assert [record["id"] for record in read_trace(path)] == ["kept/1", "error/1", "error/2"]
    path.write_text(path.read_text() + '{"schema": 3, "type": "new"}\n')
    assert len(read_trace(path)) == 3


def test_forged_states_are_not_resumed() -> None:
    good = {**start(), "outcomes": [outcome(1, "accepted", "a" * 64)]}
    assert is_run_state(good)
    changes: list[dict[str, object]] = [
        {"round": "1"},
        {"round": True},
        {"fresh": 1},
        {"outcomes": [{}]},
        {"outcomes": [outcome(1, "won", "")]},
        {"choices": [{"round": 1}]},
        {"choices": 5},
        {"more": 1},
    ]
    for change in changes:
        assert not is_run_state({**good, **change})
    assert not is_run_state([])


@pytest.mark.parametrize("name", ["candidates", "rounds", "attempts", "evaluator_attempts", "max_concurrency"])
def test_settings_have_limits(name: str) -> None:
    for value in (-1, 1000):
        with pytest.raises(ConfigurationError, match=name):
            GenerationSettings(**{name: value})  # type: ignore[arg-type]
    assert "max_concurrency" not in GenerationSettings().defining()
