"""From a task to its environment, and its layout."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.families import family_text
from qredit.marl import layout_of, make_environment, sample_probes
from qredit.marl.adapters import make_simulator
from qredit.marl.mixers import StateScale
from qredit.marl.random_policy import random_actions, random_policy_returns
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


@pytest.mark.parametrize("name", TASKS)
def test_networks_see_the_state_in_good_units(name: str) -> None:
    """Bounds far beyond what happens would squeeze all that happens into one point; MADDPG learned nothing so."""
    environment = make_environment(load_task(name), 8)
    scale, rng, seen = StateScale(environment.layout, typical=True), np.random.default_rng(0), []
    for first in range(3):
        now = environment.reset(range(8 * first, 8 * first + 8))
        while not now.ended.all():
            seen.append(scale(torch.from_numpy(now.states.copy())))
            now = environment.step(random_actions(now.available_actions, rng))
    states = torch.cat(seen)
    assert states.abs().max() < 10
    for field, part in environment.layout.slices():
        deviation = states[:, part].std(dim=0).max()
        assert deviation == 0 or deviation > 0.05, field.name


@settings(max_examples=20)
@given(
    rows=st.integers(5, 30),
    columns=st.integers(5, 30),
    agents=st.integers(2, 8),
    foods=st.integers(1, 9),
    data=st.data(),
)
def test_any_board_that_a_name_can_tell_fits_its_environment(
    rows: int, columns: int, agents: int, foods: int, data: st.DataObject
) -> None:
    options = data.draw(st.sampled_from(["", "-coop", "-2s", "-coop-2s"]))
    name = f"lbf-{rows}x{columns}-{agents}p-{foods}f{options}"
    task = Task.model_validate(yaml.safe_load(str(family_text(name))))
    simulator = make_simulator(task)
    simulator.reset(0)
    assert simulator.n_agents == agents
    assert simulator.layout.named(simulator.state())["food_position"].shape == (foods, 2)
    assert {f.name: f.high for f in simulator.layout.fields}["agent_position"] == max(rows, columns) - 1


def test_a_board_without_room_is_refused_although_its_name_fits() -> None:
    task = Task.model_validate(yaml.safe_load(str(family_text("lbf-3x3-4p-1f"))))
    with pytest.raises(ConfigurationError, match="Take a larger board"):
        layout_of(task)


def test_inert_agents_join_the_team() -> None:
    spec = EnvironmentSpec(adapter="lbf", id="Foraging-5x5-2p-1f-v3", inert_agents=3)
    task = changed(environment=spec, n_agents=5)
    assert layout_of(task).fields[-1].name == "active"
    now = make_environment(task, 2).reset([0, 1])
    assert now.observations.shape[:2] == (2, 5)
    assert now.states[:, -5:].tolist() == [[1, 1, 0, 0, 0]] * 2
    with pytest.raises(TaskFileError, match="`n_agents: 2`, it has 5"):
        make_simulator(changed(environment=spec))


def test_a_task_without_inert_agents_gets_no_field_for_them() -> None:
    assert "active" not in {field.name for field in layout_of(changed()).fields}


def test_an_adapter_loads_its_packages_when_it_is_used() -> None:
    code = (
        "import sys\n"
        "import qredit.marl.adapters, qredit.marl.environments.batch, qredit.marl.environments.lbf\n"
        "print(sorted({'gymnasium', 'lbforaging', 'mpe2', 'pettingzoo', 'pygame', 'rware'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


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
        sample_probes(task, 1, 0)


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
