"""`compare` with real trainings on the official environment: interrupted once, it ends with the same numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from qredit.marl.comparison import Comparison
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender
from qredit.marl.jobs import JobProgress
from qredit.marl.settings import TrainSettings
from qredit.marl.tables import comparison_table
from qredit.runs import create_run, open_run
from qredit.task import load_task

SETTINGS = TrainSettings(
    total_steps=2500,
    n_environments=4,
    hidden_size=8,
    batch_episodes=4,
    updates_per_collection=1,
    evaluation_interval=1000,
    evaluation_episodes=4,
    checkpoint_interval=500,
)
CONTENDERS = [Contender(name, dataclasses.replace(SETTINGS, algorithm=name)) for name in ("vdn", "qmix")]


def numbers(comparison: Comparison) -> list[tuple[str, dict[int, float], dict[int, float]]]:
    """What must not depend on an interruption: everything but seconds."""
    return [(row.name, dict(row.return_by_seed), dict(row.area_by_seed)) for row in comparison.rows]


def test_real_trainings_interrupted_and_resumed_end_with_the_same_numbers(tmp_path: Path) -> None:
    task = load_task("lbf-5x5-2p-1f")
    undisturbed = compare(task, CONTENDERS, [0], create_run("compare", "a", {}, root=tmp_path), jobs=2)
    assert [row.name for row in undisturbed.rows] == ["random policy", "vdn", "qmix", "optimum"]
    assert 0 < undisturbed.row("random policy").mean_return < 1
    assert undisturbed.row("optimum").mean_return == 1.0
    assert undisturbed.picture.exists()
    assert len(comparison_table(undisturbed).rows) == 4

    def press_ctrl_c_half_way(progress: JobProgress) -> None:
        if progress.state == "running" and progress.job == "vdn-seed0" and progress.done > 1000:
            raise KeyboardInterrupt

    run = create_run("compare", "b", {}, root=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        compare(task, CONTENDERS, [0], run, jobs=1, on_progress=press_ctrl_c_half_way)
    training = open_run(run.path / "vdn-seed0", kind="train")
    assert training.record["status"] == "interrupted"
    assert not (training.path / "lock").exists()
    assert not (training.path / "result.json").exists()
    resumed = compare(task, CONTENDERS, [0], run, jobs=2)
    assert numbers(resumed) == numbers(undisturbed)
    assert training.record["status"] == "finished"
