"""Mirroring to Weights & Biases, with a stand-in for its package: what it is told; no fault stops a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import ConfigurationError
from qredit.marl.metrics import FILE, Evaluation, MetricsLog
from qredit.marl.wandb_sink import WandbRun, WandbSink
from qredit.runs import create_run

HERE = Path(__file__).parent
RUN = WandbRun(project="credit", name="vdn-seed0", id="abc123", group="compare-001", config={"seed": 0})


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE / "fake_wandb")


def row(steps: int, value: float) -> Evaluation:
    return Evaluation(steps, 1.5, 2, 3, 0.1, float("nan") if steps == 0 else 0.5, value, 0.0)


def calls(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


def logged(folder: Path) -> list[tuple[int, float]]:
    return [(call["step"], call["data"]["greedy_return"]) for call in calls(folder) if call["call"] == "log"]


def table(folder: Path) -> list[str]:
    return (folder / FILE).read_text().splitlines()[1:]


def evaluate(folder: Path, *steps: int, stopped: bool = False) -> None:
    """What a training does, to the end or to Ctrl-C."""
    with MetricsLog(folder, [], wandb=RUN) as log:
        for step in steps:
            log.add(row(step, step / 1000))
        if stopped:
            raise KeyboardInterrupt


def test_every_evaluation_is_mirrored_at_its_step(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, [], wandb=RUN) as log:
        log.add(row(0, 0.25))
        log.add(row(500, 0.75))
    first, *_, last = calls(tmp_path)
    assert first == {
        "call": "init",
        "id": "abc123",
        "project": "credit",
        "name": "vdn-seed0",
        "group": "compare-001",
        "config": {"seed": 0},
        "resume": "allow",
    }
    assert logged(tmp_path) == [(0, 0.25), (500, 0.75)]
    assert last == {"call": "finish", "id": "abc123"}
    data = calls(tmp_path)[2]["data"]
    assert (data["seconds"], data["episodes"], data["updates"], data["epsilon"], data["loss"]) == (1.5, 2, 3, 0.1, 0.5)
    assert "sampled_return" not in data  # this algorithm has none
    assert len(table(tmp_path)) == 2
    assert "something to read" in (tmp_path / "wandb.log").read_text()


def test_a_continued_training_continues_the_run_without_gaps_and_repeats(tmp_path: Path) -> None:
    """Stopped after step 1000, continued from a checkpoint at 500; the first attempt had W&B from the start."""
    evaluate(tmp_path, 0, 500, 1000)
    with MetricsLog(tmp_path, [row(0, 0.0), row(500, 0.5)], wandb=RUN) as log:
        log.add(row(1000, 1.0))
        log.add(row(1500, 1.5))
    assert [step for step, _ in logged(tmp_path)] == [0, 500, 1000, 1500]


def test_a_training_that_gets_wandb_later_brings_what_it_has(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, [row(0, 0.0), row(500, 0.5)], wandb=RUN) as log:
        log.add(row(1000, 1.0))
    assert logged(tmp_path) == [(0, 0.0), (500, 0.5), (1000, 1.0)]


def test_without_it_nothing_is_started(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, []) as log:
        log.add(row(0, 0.0))
    assert not (tmp_path / "wandb.log").exists()
    assert not (tmp_path / "calls.jsonl").exists()


def test_a_missing_package_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigurationError, match=r"the package `wandb` is not installed. pip install 'qredit\[wandb\]'"
    ):
        MetricsLog(tmp_path, [], wandb=RUN)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_at_the_start_is_told_before_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_FAULT", "init")
    with pytest.raises(ConfigurationError, match=r"UsageError: api_key not configured.*WANDB_MODE=offline"):
        MetricsLog(tmp_path, [], wandb=RUN)


@pytest.mark.parametrize(("fault", "seen"), [("start", "does not start"), ("log", "the service is gone")])
def test_a_fault_is_told_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, seen: str
) -> None:
    monkeypatch.setenv("WANDB_FAULT", fault)
    with pytest.warns(RuntimeWarning, match="W&B misses evaluations: its process .*The training goes on") as told:
        evaluate(tmp_path, *range(0, 5000, 500))
    assert len(told) == 1
    assert len(table(tmp_path)) == 10
    assert seen in (tmp_path / "wandb.log").read_text()


def test_an_upload_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than the pipe holds."""
    monkeypatch.setenv("WANDB_FAULT", "hang")
    monkeypatch.setattr("qredit.marl.wandb_sink.FINISH_SECONDS", 0.5)
    sink = WandbSink(RUN, tmp_path, [])
    with pytest.warns(RuntimeWarning, match="it takes nothing any more") as told:
        add_many(sink)
    sink.close(hurry=False)
    assert len(told) == 1


def add_many(sink: WandbSink) -> None:
    for steps in range(1000):
        sink.add([row(steps, 1.0)])


def test_a_training_that_is_stopped_does_not_wait_for_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_FAULT", "hang")
    monkeypatch.setattr("qredit.marl.wandb_sink._HURRY_SECONDS", 0.2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, 0, stopped=True)
    assert len(table(tmp_path)) == 1


def test_a_run_is_called_after_its_folders_and_identified_by_its_content(tmp_path: Path) -> None:
    settings = {"task": {"id": "T"}, "training": {"seed": 0}}
    first = create_run("train", "toy", settings, root=tmp_path / "compare-001")
    again = create_run("train", "toy", settings, root=tmp_path / "compare-002")
    other = create_run("train", "toy", {**settings, "training": {"seed": 1}}, root=tmp_path / "compare-001")
    named = WandbRun.of(first, "credit")
    assert (named.project, named.name, named.group) == ("credit", "train-toy-001", "compare-001")
    assert named.config == settings
    assert len(named.id) == 32
    assert named.id == WandbRun.of(again, "credit").id != WandbRun.of(other, "credit").id
    first.update(job_sha256="f" * 64)
    assert WandbRun.of(first, "credit").id == "f" * 32
