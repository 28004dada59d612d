"""The examples of the guides are real: the kind of `docs/generation.md`, and what `docs/plug-in.md` plugs in."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest

from qredit.api import load_subject
from qredit.graphs.kinds import Assignment, Kind
from qredit.marl.adapters import make_simulator
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.sandbox import Accepted, Jail, Rejected
from tests.docs.test_readme import marked_blocks, run_blocks

REWARD_ONLY = """
import torch


def reward(state, actions, next_state):
    return (state["food_level"].sum(dim=1, keepdim=True) > next_state["food_level"].sum(dim=1, keepdim=True)).float()
"""


def written(guide: Path, name: str, folder: Path) -> ModuleType:
    """A file that a guide shows, as a module."""
    [code] = [block.code for block in marked_blocks(guide.read_text()) if block.file == name]
    (folder / name).write_text(code)
    spec = importlib.util.spec_from_file_location(Path(name).stem, folder / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_a_kind(repository: Path, tmp_path: Path, lockdown_jail: Jail) -> None:
    """A reward for food that vanishes is the true reward of a board with one food."""
    [block] = marked_blocks((repository / "docs" / "generation.md").read_text())
    assert block.file is not None
    kind = written(repository / "docs" / "generation.md", block.file, tmp_path).REWARD
    assert isinstance(kind, Kind)
    assignment = Assignment(load_subject("lbf-5x5-2p-1f"))
    scorer = kind.scorer(assignment)
    assert scorer is not None
    accepted = kind.check(REWARD_ONLY, assignment, lockdown_jail)
    other = kind.check("def credit(state):\n    return state\n", assignment, lockdown_jail)
    assert isinstance(accepted, Accepted)
    assert isinstance(other, Rejected)
    assert kind.measure(accepted, assignment).startswith("reward from 0.00 to")
    assert scorer(accepted).value == pytest.approx(1.0, abs=0.05)


def test_the_plug_in_guide_runs(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchrl", reason="TorchRL is not installed: pip install qredit[torchrl]")
    run_blocks(marked_blocks((repository / "docs" / "plug-in.md").read_text()), tmp_path)


@pytest.mark.parametrize("name", ["Foraging-5x5-2p-1f-v3", "Foraging-2s-10x10-3p-3f-v3"])
def test_the_state_of_foraging_in_the_plug_in_guide(repository: Path, tmp_path: Path, name: str) -> None:
    """The wrapper around the official environment gives the simulator's state, step by step, eaten food included."""
    ours = LevelBasedForaging(name)
    wrapper: Any = written(repository / "docs" / "plug-in.md", "credit_state.py", tmp_path).CreditState
    theirs = wrapper(gymnasium.make(name, disable_env_checker=True))
    rng, eaten = np.random.default_rng(0), 0
    for seed in range(8):
        for player in theirs.unwrapped.players:
            player.position = None  # as the simulator: only the seed counts
        theirs.reset(seed=seed)
        ours.reset(seed)
        over = False
        while not over:
            assert theirs.state().dtype == np.float32
            assert theirs.state().tolist() == ours.state().tolist()
            assert theirs.state_size == ours.layout.size
            actions = ours.scripted_actions(rng)
            theirs.step(actions)
            result = ours.step(actions)
            eaten += sum(result.agent_rewards) > 0
            over = result.terminated or result.truncated
        assert theirs.state().tolist() == ours.state().tolist()
    assert eaten > 0


@pytest.mark.parametrize("name", ["mpe-spread-3", "mpe-tag", "mpe-adversary"])
def test_the_state_of_particle_worlds_in_the_plug_in_guide(repository: Path, tmp_path: Path, name: str) -> None:
    """Field by field out of the observations, and not just their concatenation."""
    module = written(repository / "docs" / "plug-in.md", "particle_state.py", tmp_path)
    task = load_subject(name).task
    assert task is not None
    simulator = make_simulator(task)
    simulator.reset(0)
    simulator.step([1] * simulator.n_agents)
    widths = [math.prod(field.shape[1:]) for field in simulator.layout.fields]
    assert name != "mpe-spread-3" or widths == [2, 2, 6, 4, 4]
    observations = simulator.observations()
    assert module.credit_state(list(observations), widths).tolist() == simulator.state().tolist()
    assert observations.ravel().tolist() != simulator.state().tolist()
