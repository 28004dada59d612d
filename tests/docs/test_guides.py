"""The example kind of `docs/generation.md` is real: it checks, measures and scores a program."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from qredit.api import load_subject
from qredit.graphs.kinds import Assignment, Kind
from qredit.sandbox import Accepted, Rejected, open_jail
from tests.docs.test_readme import marked_blocks

REWARD_ONLY = """
import torch


def reward(state, actions, next_state):
    return (state["food_level"].sum(dim=1, keepdim=True) > next_state["food_level"].sum(dim=1, keepdim=True)).float()
"""


def test_the_example_of_a_kind(repository: Path, tmp_path: Path) -> None:
    """A reward for food that vanishes is the true reward of a board with one food."""
    [block] = marked_blocks((repository / "docs" / "generation.md").read_text())
    assert block.file is not None
    (tmp_path / block.file).write_text(block.code)
    spec = importlib.util.spec_from_file_location("reward_kind", tmp_path / block.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind = module.REWARD
    assert isinstance(kind, Kind)
    assignment = Assignment(load_subject("lbf-5x5-2p-1f"))
    scorer = kind.scorer(assignment)
    assert scorer is not None
    with open_jail("lockdown") as jail:
        accepted = kind.check(REWARD_ONLY, assignment, jail)
        other = kind.check("def credit(state):\n    return state\n", assignment, jail)
    assert isinstance(accepted, Accepted)
    assert isinstance(other, Rejected)
    assert kind.measure(accepted, assignment).startswith("reward from 0.00 to")
    assert scorer(accepted).value == pytest.approx(1.0, abs=0.05)
