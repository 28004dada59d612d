"""Passengers: they see and may do what others do, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import ConfigurationError
from qredit.marl.environments.inert import InertAgents
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.matrix import MatrixGame

BOARD = "Foraging-2s-8x8-2p-2f-coop-v3"


def test_sizes_and_layout() -> None:
    inner = LevelBasedForaging(BOARD)
    team = InertAgents(inner, 3)
    assert (team.n_agents, team.n_actions, team.time_limit) == (5, 6, 50)
    assert team.observation_size == inner.observation_size
    *wrapped, active = team.layout.fields
    assert [(f.name, f.shape, f.entities) for f in wrapped] == [
        (f.name, f.shape, f.entities) for f in inner.layout.fields
    ]
    assert (active.name, active.shape, active.unit, active.agent_axes) == ("active", (5,), "flag", (0,))
    assert all(f.agent_axes == () for f in wrapped)


def test_fields_about_agents_say_about_which() -> None:
    team = InertAgents(LevelBasedForaging(BOARD), 3)
    told = {f.name: f.meaning.endswith("Only about the first 2 agents.") for f in team.layout.fields}
    assert told == {
        "agent_position": True,
        "agent_level": True,
        "food_position": False,
        "food_level": False,
        "last_action": True,
        "active": False,
    }


def test_passengers_see_what_the_agents_see_in_turn() -> None:
    inner = LevelBasedForaging(BOARD)
    team = InertAgents(inner, 3)
    team.reset(4)
    seen, first = team.observations(), inner.observations()
    assert first[0].tolist() != first[1].tolist()
    assert seen.tolist() == first[[0, 1, 0, 1, 0]].tolist()
    assert team.state().tolist() == [*inner.state().tolist(), 1, 1, 0, 0, 0]
    assert team.available_actions().shape == (5, 6)


def test_rewards_of_passengers_are_zero() -> None:
    team = InertAgents(MatrixGame("climbing"), 2)
    team.reset(0)
    assert team.step([0, 0, 1, 2]).agent_rewards == (5.5, 5.5, 0.0, 0.0)
    assert team.state().tolist() == [0, 0, 1, 1, 0, 0]


@given(seed=st.integers(0, 1000), idle=st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=50))
def test_what_passengers_choose_changes_nothing(seed: int, idle: list[tuple[int, int, int]]) -> None:
    alone, team = LevelBasedForaging(BOARD), InertAgents(LevelBasedForaging(BOARD), 3)
    alone.reset(seed)
    team.reset(seed)
    rng = np.random.default_rng(seed)
    for passengers in idle:
        actions = rng.integers(0, 6, 2).tolist()
        plain, result = alone.step(actions), team.step([*actions, *passengers])
        assert result.agent_rewards == (*plain.agent_rewards, 0, 0, 0)
        assert (result.terminated, result.truncated) == (plain.terminated, plain.truncated)
        assert team.state()[:-5].tolist() == alone.state().tolist()
        if result.terminated or result.truncated:
            break


def test_scripted_passengers_choose_anything() -> None:
    team, rng = InertAgents(LevelBasedForaging(BOARD), 2), np.random.default_rng(0)
    team.reset(0)
    chosen = np.array([team.scripted_actions(rng) for _ in range(200)])
    assert chosen.shape == (200, 4)
    assert {*chosen[:, 2]} == {*chosen[:, 3]} == set(range(6))
    assert len({*chosen[:, 0]}) == 1


@pytest.mark.parametrize("count", [0, -1])
def test_no_passengers_are_refused(count: int) -> None:
    with pytest.raises(ConfigurationError, match="inert agents"):
        InertAgents(MatrixGame("climbing"), count)
