"""A comparison on other engines than this process's own: same numbers, same folders, nothing done twice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from qredit.errors import ConfigurationError, InfrastructureError, RunFolderError
from qredit.marl.comparison_run import compare, submit
from qredit.marl.contenders import Contender
from qredit.marl.engines import EngineSettings
from qredit.marl.jobs import JobProgress
from qredit.marl.settings import TrainSettings
from qredit.runs import Run, create_run
from qredit.task import EnvironmentSpec, Task

HERE = Path(__file__).parent
CONTENDERS = [
    Contender(name, dataclasses.replace(TrainSettings(total_steps=2000), algorithm=name)) for name in ("vdn", "qmix")
]
CLUSTER = EngineSettings(engine="slurm", jobs=2, engine_options="cluster=local,settle_seconds=0.5")
TASK = Task(
    name="toy",
    title="Toy",
    description="d",
    goal="g",
    reward="r",
    n_agents=2,
    actions=("a",),
    time_limit=5,
    environment=EnvironmentSpec(adapter="toy", id="Toy-v0"),
)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr("qredit.marl.comparison_run.TRAIN", "toy_work:train")
    monkeypatch.setattr("qredit.marl.comparison_run.EVALUATE_RANDOM", "toy_work:evaluate_random")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run("compare", "toy", {}, root=tmp_path / "runs")


def test_another_engine_ends_with_the_same_numbers(run: Run, tmp_path: Path) -> None:
    """Also where a training's process is killed in the middle, which this engine starts again."""
    here = compare(TASK, CONTENDERS, [0, 1], create_run("compare", "toy", {}, root=tmp_path), jobs=2)
    (run.path / "kill-at-500").touch()
    there = compare(TASK, CONTENDERS, [0, 1], run, engine=CLUSTER)
    assert there.rows == here.rows
    assert not (run.path / "kill-at-500").exists()


def test_a_sweep_goes_on_with_another_engine(run: Run) -> None:
    (run.path / "kill-at-500").touch()
    with pytest.raises(InfrastructureError, match="signal 9"):
        compare(TASK, CONTENDERS, [0], run, jobs=1)
    seen: list[JobProgress] = []
    found = compare(TASK, CONTENDERS, [0], run, engine=CLUSTER, on_progress=seen.append)
    assert found.row("vdn").mean_return == 10.0
    kept = {progress.job for progress in seen if progress.state == "kept"}
    assert "random-policy" in kept


def test_a_relative_runs_folder_reaches_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = create_run("compare", "toy", {}, root=Path("runs"))
    assert compare(TASK, CONTENDERS[:1], [0], run, engine=CLUSTER).row("vdn").mean_return == 10.0


def test_a_training_started_by_a_qredit_that_trains_otherwise_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(TASK, CONTENDERS[:1], [0], run, jobs=1)
    monkeypatch.setattr("qredit.marl.jobs.TRAINING_SCHEMA", -1)
    with pytest.raises(RunFolderError, match="the same settings lead to other numbers"):
        compare(TASK, CONTENDERS[:1], [0], run, jobs=1)


def test_a_trainings_identity_does_not_depend_on_its_comparison(run: Run, tmp_path: Path) -> None:
    other = create_run("compare", "toy", {}, root=tmp_path)
    for one in (run, other):
        compare(TASK, CONTENDERS, [0], one, jobs=1)
    hashes = [
        json.loads((one.path / name / "run.json").read_text())["job_sha256"]
        for one in (run, other)
        for name in ("vdn-seed0", "qmix-seed0")
    ]
    assert hashes[:2] == hashes[2:]
    assert len(set(hashes)) == 2


def test_only_slurm_can_be_left_alone(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="detaching from the engine `local`"):
        submit(TASK, CONTENDERS, [0], run, engine=EngineSettings())
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_what_cannot_be_had_is_told_before_anything_is_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'qredit\[wandb\]'"):
        compare(TASK, CONTENDERS, [0], run, engine=EngineSettings(wandb="project"))
    with pytest.raises(ConfigurationError, match=r"pip install 'qredit\[ray\]'"):
        compare(TASK, CONTENDERS, [0], run, engine=EngineSettings(engine="ray"))
    assert [path.name for path in run.path.iterdir()] == ["run.json"]
