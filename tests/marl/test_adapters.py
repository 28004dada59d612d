"""From a task to its environment, its layout and its probe states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.marl import layout_of, make_environment, state_source
from qredit.marl.random_policy import random_actions, random_policy_returns
from qredit.prompts import probe_states_path
from qredit.states import load_states
from qredit.task import EnvironmentSpec, FieldSpec, Task, builtin_task_names, load_task

if TYPE_CHECKING:
    from tests.marl.conftest import GameTask

TASKS = builtin_task_names()


def changed(name: str = "lbf-5x5-2p-1f", **changes: Any) -> Task:
    return load_task(name).model_copy(update=changes)


def without_environment() -> Task:
    return changed(
        environment=None,
        layout=(FieldSpec(name="speed", shape=(2,), unit="m/s", low=0, high=1, meaning="Speed of each agent."),),
        states="states.npz",
    )


# Environments


@pytest.mark.parametrize("name", TASKS)
def test_every_builtin_task_fits_its_environment(name: str) -> None:
    task = load_task(name)
    environment = make_environment(task, 2)
    assert environment.n_environments == 2
    assert (environment.n_agents, environment.time_limit) == (task.n_agents, task.time_limit)
    assert environment.n_actions == len(task.actions)
    assert layout_of(task) == environment.layout
    now = environment.reset([0, 1])
    assert now.states.shape == (2, environment.layout.size)
    assert now.observations.shape == (2, environment.n_agents, environment.observation_size)


def test_the_names_of_the_actions_are_those_of_the_simulator() -> None:
    from lbforaging.foraging.environment import Action

    in_order = tuple(action.name for action in sorted(Action, key=lambda action: int(action.value)))
    for name in TASKS:
        assert load_task(name).actions == in_order


def test_an_unknown_adapter_is_refused_with_those_that_exist() -> None:
    task = changed(environment=EnvironmentSpec(adapter="lbff", id="Foraging-5x5-2p-1f-v3"))
    with pytest.raises(UnknownNameError, match="environment adapter `lbff`") as caught:
        make_environment(task, 1)
    assert "lbf" in caught.value.suggestions


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="foraging environment"):
        layout_of(changed(environment=EnvironmentSpec(adapter="lbf", id="Foraging-99x99-v3")))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_agents": 3}, "`n_agents: 3`, it has 2"),
        ({"time_limit": 49}, "`time_limit: 49`, it has 50"),
        ({"actions": ("NONE", "LOAD")}, "2 `actions`, it has 6"),
    ],
)
def test_a_task_file_that_contradicts_its_environment_is_refused(changes: dict[str, Any], told: str) -> None:
    for ask in (layout_of, lambda task: make_environment(task, 1)):
        with pytest.raises(TaskFileError) as caught:
            ask(changed(**changes))
        assert told in caught.value.cause
        assert "Foraging-5x5-2p-1f-v3" in caught.value.cause


def test_every_contradiction_is_told_at_once() -> None:
    with pytest.raises(TaskFileError) as caught:
        make_environment(changed(n_agents=9, time_limit=9), 1)
    assert "n_agents: 9" in caught.value.cause
    assert "time_limit: 9" in caught.value.cause


def test_the_arguments_of_a_task_reach_the_environment() -> None:
    spec = EnvironmentSpec(adapter="lbf", id="Foraging-5x5-2p-1f-v3", arguments={"max_episode_steps": 12})
    assert make_environment(changed(environment=spec, time_limit=12), 1).time_limit == 12


def test_a_task_with_a_layout_of_its_own_has_that_layout_and_no_environment() -> None:
    task = without_environment()
    assert [field.name for field in layout_of(task).fields] == ["speed"]
    with pytest.raises(ConfigurationError) as caught:
        make_environment(task, 1)
    assert "load_mixer" in caught.value.remedy
    with pytest.raises(ConfigurationError):
        state_source(task).sample(1, 0)


# Probe states


@pytest.mark.parametrize("name", TASKS)
def test_the_probe_states_that_ship_are_those_of_the_random_policy(name: str) -> None:
    task = load_task(name)
    layout = layout_of(task)
    shipped = load_states(probe_states_path(name), size=layout.size)
    assert np.array_equal(shipped, state_source(task).sample(256, 0))
    for field, part in layout.slices():
        assert shipped[:, part].min() >= field.low, field.name
        assert shipped[:, part].max() <= field.high, field.name


def test_probe_states_are_a_function_of_the_seed() -> None:
    source = state_source(load_task("lbf-5x5-2p-1f"))
    first = source.sample(40, 1)
    assert first.dtype == np.float32
    assert first.shape == (40, layout_of(load_task("lbf-5x5-2p-1f")).size)
    assert np.array_equal(first, source.sample(40, 1))
    assert not np.array_equal(first, source.sample(40, 2))


def test_probe_states_show_starts_and_what_follows() -> None:
    task = load_task("lbf-5x5-2p-1f")
    states = layout_of(task).named(state_source(task).sample(256, 0))
    at_start = (states["last_action"] == -1).all(axis=-1)
    assert 0 < at_start.sum() < 128
    assert len({tuple(row) for row in states["agent_position"].reshape(256, -1).tolist()}) > 100


# The random policy


def test_random_actions_are_available_and_uniform() -> None:
    available = np.zeros((20_000, 1, 4), dtype=np.bool_)
    available[..., [0, 2, 3]] = True
    chosen = random_actions(available, np.random.default_rng(0))
    counts = np.bincount(chosen.ravel(), minlength=4)
    assert counts[1] == 0
    assert counts[[0, 2, 3]] / 20_000 == pytest.approx([1 / 3] * 3, abs=0.02)


def test_random_actions_with_a_single_choice() -> None:
    available = np.eye(4, dtype=np.bool_)[None]  # agent i may only do i
    for seed in range(20):
        assert random_actions(available, np.random.default_rng(seed)).tolist() == [[0, 1, 2, 3]]


def test_returns_of_the_random_policy_do_not_depend_on_how_many_are_asked_for(game_task: GameTask) -> None:
    task = game_task("additive", steps=3)
    returns = random_policy_returns(task, episodes=21, seed=0)
    assert returns.shape == (21,)
    assert np.array_equal(returns, random_policy_returns(task, episodes=21, seed=0))
    assert not np.array_equal(returns, random_policy_returns(task, episodes=21, seed=1))
    # Nine equally likely payoffs with mean 8 / 3, three times.
    many = random_policy_returns(task, episodes=2000, seed=0)
    assert many.mean() == pytest.approx(8, abs=0.3)
    assert many.max() <= 18


def test_the_random_policy_seldom_succeeds_on_a_small_board() -> None:
    returns = random_policy_returns(load_task("lbf-5x5-2p-1f"), episodes=40, seed=0)
    assert 0 <= returns.min() <= returns.max() <= 1 + 1e-6
    assert 0 < returns.mean() < 0.8
