"""Which artifact a training mixes with."""

from __future__ import annotations

from pathlib import Path

import pytest

from qredit.api import load_subject
from qredit.api.artifacts import BUILTIN, find_mixer
from qredit.api.training import compare
from qredit.errors import ArtifactError, ConfigurationError, UnknownNameError
from qredit.marl import TrainSettings
from qredit.prompts import recording_path
from qredit.runs import create_run
from qredit.task import load_task
from tests.cli import world

TASK = load_task("lbf-5x5-2p-1f")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An artifact in a folder of its own."""
    return world.save_credit(tmp_path / "mine", load_subject(TASK.name))


def test_by_folder(artifact: Path) -> None:
    assert find_mixer(str(artifact), TASK).path == artifact


def test_by_run(artifact: Path) -> None:
    run = create_run("generate", "x", {})
    artifact.rename(run.path / "artifact")
    assert find_mixer(str(run.path), TASK).path == run.path / "artifact"
    assert find_mixer(run.path.name, TASK).path == run.path / "artifact"


def test_builtin(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (recording_path(TASK.name).parent / "artifact").is_dir():
        assert find_mixer(BUILTIN, TASK).task == TASK.name
    shipped = tmp_path / "recordings" / TASK.name / "artifact"
    shipped.parent.mkdir(parents=True)
    artifact.rename(shipped)
    monkeypatch.setattr("qredit.artifact.BUNDLED", tmp_path)
    assert find_mixer(BUILTIN, TASK).path == shipped
    with pytest.raises(ArtifactError, match="credit for task `lbf-10x10-3p-3f-2s`: none ships with qredit yet"):
        find_mixer(BUILTIN, load_task("lbf-10x10-3p-3f-2s"))


def test_unknown_names_are_answered_with_runs_that_made_one(artifact: Path) -> None:
    create_run("generate", "failed", {})
    run = create_run("generate", "made", {})
    artifact.rename(run.path / "artifact")
    with pytest.raises(UnknownNameError) as caught:
        find_mixer("generate-mad-001", TASK)
    assert caught.value.suggestions == ("generate-made-001",)
    with pytest.raises(ArtifactError, match=r"there is no `artifact\.json`"):
        find_mixer("generate-failed-001", TASK)


def test_an_artifact_without_a_layout_fits_no_task(artifact: Path) -> None:
    text = (artifact / "artifact.json").read_text()
    (artifact / "layout.json").unlink()
    lines = [line for line in text.splitlines() if "layout.json" not in line]
    (artifact / "artifact.json").write_text("\n".join(lines).replace('",\n  }', '"\n  }'))
    with pytest.raises(ArtifactError):
        find_mixer(str(artifact), TASK)


def test_nothing_is_made_for_a_comparison_that_cannot_be(artifact: Path, own_runs_folder: Path) -> None:
    settings = TrainSettings(total_steps=10)
    with pytest.raises(UnknownNameError, match="unknown algorithm `vdm`"):
        compare(TASK.name, ["vdm"], [0], settings)
    with pytest.raises(ConfigurationError, match="it needs a credit function"):
        compare(TASK.name, ["vdn", "qllm"], [0], settings)
    assert not own_runs_folder.exists()
