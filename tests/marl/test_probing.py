"""Probes of rollouts: real transitions, reproducible, of random and of scripted teams."""

from __future__ import annotations

import numpy as np
import pytest

from qredit.errors import ConfigurationError
from qredit.marl import layout_of
from qredit.marl.counterfactual import credit_in
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.probing import sample_probes, sample_situations, team_actions
from qredit.marl.truth_settings import TruthSettings
from qredit.probes import load_probes
from qredit.prompts import probe_states_path
from qredit.task import builtin_task_names, load_task
from tests.marl.toy_simulator import ToySimulator

TASK = "lbf-5x5-2p-1f"
SHIPPED = [name for name in builtin_task_names() if probe_states_path(name).is_file()]


def test_probes_are_transitions_of_the_simulator() -> None:
    simulator = LevelBasedForaging("Foraging-5x5-2p-1f-v3")
    for situation in sample_situations(simulator, 50, 3):
        simulator.restore(situation.snapshot)
        assert np.array_equal(simulator.state(), situation.state)
        result = simulator.step(situation.actions.tolist())
        assert np.array_equal(simulator.state(), situation.next_state)
        assert sum(result.agent_rewards) == situation.reward


def test_probes_are_a_function_of_the_seed() -> None:
    task = load_task(TASK)
    first, again, other = sample_probes(task, 40, 1), sample_probes(task, 40, 1), sample_probes(task, 40, 2)
    size = layout_of(task).size
    for name, shape in {"states": (40, size), "actions": (40, 2), "next_states": (40, size), "rewards": (40,)}.items():
        values = getattr(first, name)
        assert values.shape == shape, name
        assert np.array_equal(values, getattr(again, name)), name
    assert not np.array_equal(first.states, other.states)
    assert first.true_credit is None


def test_probes_show_starts_rewards_and_many_places() -> None:
    task = load_task(TASK)
    probes = sample_probes(task, 256, 0)
    assert probes.rewards is not None
    states = layout_of(task).named(probes.states)
    at_start = (states["last_action"] == -1).all(axis=-1)
    assert 0 < at_start.sum() < 128
    assert (probes.rewards > 0).sum() >= 3
    assert len({tuple(row) for row in states["agent_position"].reshape(256, -1).tolist()}) > 100


def test_every_other_episode_is_the_scripted_teams() -> None:
    """The script takes action 0, a random agent one of 0 to 9: 0.7 + 0.03 of the actions, and 0.1."""
    simulator = ToySimulator(lambda joint, before: float(len(before)), n_actions=10, time_limit=40)
    situations = sample_situations(simulator, 320, 0)
    states = np.array([s.reward for s in situations])  # the step of the episode
    episode = np.cumsum(np.diff(states, prepend=0) < 0)
    zeros = np.array([(s.actions == 0).mean() for s in situations])
    assert episode.max() >= 31
    assert zeros[episode % 2 == 0].mean() == pytest.approx(0.1, abs=0.06)
    assert zeros[episode % 2 == 1].mean() == pytest.approx(0.73, abs=0.08)
    assert len(set(states.tolist())) > 30


def test_long_episodes_are_not_all_played() -> None:
    simulator = ToySimulator(lambda joint, before: 0.0, time_limit=100_000)
    assert len(sample_situations(simulator, 10, 0)) == 10
    assert len(simulator.history) <= 16 * 10


def test_explored_actions_are_available() -> None:
    simulator = ToySimulator(lambda joint, before: 0.0, available=[[True, False, True], [False, True, False]])
    rng = np.random.default_rng(0)
    taken = {tuple(team_actions(simulator, 1.0, rng)) for _ in range(50)}
    assert taken == {(0, 1), (2, 1)}


def test_agents_explore_one_by_one() -> None:
    simulator = ToySimulator(lambda joint, before: 0.0, n_actions=1000)
    rng = np.random.default_rng(0)
    explored = np.array([[a != 0 for a in team_actions(simulator, 0.3, rng)] for _ in range(2000)])
    assert explored.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.04)
    assert explored.all(axis=1).mean() == pytest.approx(0.09, abs=0.03)


def test_a_task_without_an_environment_has_no_rollouts() -> None:
    task = load_task(TASK).model_copy(update={"environment": None})
    with pytest.raises(ConfigurationError, match="no environment"):
        sample_probes(task, 1, 0)


# What ships


@pytest.mark.parametrize("name", SHIPPED)
def test_the_probes_that_ship_are_those_of_the_rollouts(name: str) -> None:
    task = load_task(name)
    layout = layout_of(task)
    shipped = load_probes(
        probe_states_path(name), size=layout.size, n_agents=task.n_agents, n_actions=len(task.actions)
    )
    sampled = sample_probes(task, 256, 0)
    assert np.array_equal(shipped.states, sampled.states)
    assert shipped.actions is not None
    assert sampled.actions is not None
    assert np.array_equal(shipped.actions, sampled.actions)
    assert shipped.true_credit is not None
    for field, part in layout.slices():
        assert shipped.states[:, part].min() >= field.low, field.name
        assert shipped.states[:, part].max() <= field.high, field.name


def test_the_true_credit_that_ships_is_measured_again() -> None:
    task = load_task(TASK)
    shipped = load_probes(probe_states_path(TASK), size=layout_of(task).size, n_agents=2)
    assert shipped.true_credit is not None
    simulator = LevelBasedForaging("Foraging-5x5-2p-1f-v3")
    situations = sample_situations(simulator, 256, 0)
    rows = np.flatnonzero(~np.isnan(shipped.true_credit).any(axis=1))
    assert len(rows) == TruthSettings().states
    for row in rows[:3].tolist():
        s = situations[row]
        credit = credit_in(simulator, s.snapshot, s.actions.tolist(), TruthSettings(), row)
        assert credit.shares == pytest.approx(shipped.true_credit[row], abs=1e-6)
