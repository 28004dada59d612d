"""What the three guides add is real: it registers, trains, learns and resumes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from qredit.marl import TrainSettings, train
from qredit.marl.algorithms import algorithm_names
from qredit.marl.training import TrainResult
from qredit.runs import create_run
from qredit.task import load_task
from tests.docs.test_readme import marked_blocks

SETTINGS = TrainSettings(
    total_steps=4000,
    hidden_size=32,
    batch_episodes=32,
    learning_rate=5e-3,
    epsilon_anneal_steps=2000,
    evaluation_interval=2000,
    evaluation_episodes=20,
    checkpoint_interval=1000,
)
Register = Callable[[str, str, object], None]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests share two cores with others."""
    torch.set_num_threads(1)


@pytest.fixture
def guide(repository: Path, tmp_path: Path) -> Callable[[str], ModuleType]:
    """Writes a guide's files into a folder of their own, and imports the module among them."""

    def write(name: str) -> ModuleType:
        blocks = marked_blocks((repository / "docs" / name).read_text())
        files = [block.file for block in blocks if block.file]
        for block in blocks:
            assert block.file is not None
            (tmp_path / block.file).write_text(block.code)
        [python] = [Path(file) for file in files if file.endswith(".py")]
        spec = importlib.util.spec_from_file_location(python.stem, tmp_path / python)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[python.stem] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return write


@dataclass(frozen=True)
class Entry:
    """An entry point of an installed package."""

    name: str
    thing: object
    value = "guide:thing"

    def load(self) -> object:
        return self.thing


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Registers an object under an entry point group, as an installed package does."""
    entries: dict[str, list[Entry]] = {}
    installed = importlib.metadata.entry_points

    def entry_points(**asked: str) -> Iterable[Any]:
        ours = entries.get(asked.get("group", ""))
        return installed(**asked) if ours is None else ours

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    def add(group: str, name: str, thing: object) -> None:
        entries.setdefault(group, []).append(Entry(name, thing))

    return add


def trained(tmp_path: Path, task: str, algorithm: str, **own: object) -> TrainResult:
    settings = TrainSettings(**{**vars(SETTINGS), "algorithm": algorithm, "own": own})
    return train(load_task(task), settings, create_run("train", "guide", {}, root=tmp_path / "runs"))


def test_the_mixer_of_the_guide(guide: Callable[[str], ModuleType], register: Register, tmp_path: Path) -> None:
    module = guide("add-a-mixer.md")
    register("qredit.algorithms", "shared-mix", module.SharedMix)
    assert "shared-mix" in algorithm_names()
    assert trained(tmp_path, "lbf-5x5-2p-1f", "shared-mix", width=8).algorithm == "shared-mix"


def test_the_environment_and_the_algorithm_of_the_guides(
    guide: Callable[[str], ModuleType], register: Register, tmp_path: Path
) -> None:
    algorithm = guide("add-an-algorithm.md").Reinforce
    meeting = guide("add-an-environment.md")
    register("qredit.environments", "meeting", meeting.make_meeting)
    task = str(tmp_path / "meeting.yaml")
    register("qredit.algorithms", "reinforce", algorithm)
    assert trained(tmp_path, task, "vdn").final_return == 1.0, "they always meet"
    policy = trained(tmp_path, task, "reinforce")
    assert policy.final_sampled_return is not None
    assert policy.final_sampled_return > 0.9
