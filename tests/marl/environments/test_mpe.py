"""Particle worlds, compared with the official package in lockstep and with numbers worked out by hand."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import yaml

from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.families import family_text
from qredit.marl.adapters import make_simulator
from qredit.marl.environments.mpe import ParticleWorld
from qredit.marl.environments.opponents import adversary_action, prey_action
from qredit.marl.environments.particles import DIRECTIONS
from qredit.task import Task, load_task
from tests.marl.environments.particle_worlds import DOWN, EVERY, LEFT, NONE, RIGHT, UP, Arguments, made, put, scene


def official(world: str, arguments: Arguments) -> Any:
    """The package's own environment as a user makes it."""
    return importlib.import_module(f"mpe2.{world}").parallel_env(**arguments)


def named(simulator: ParticleWorld) -> dict[str, Any]:
    return dict(simulator.layout.named(simulator.state()))


# Sizes


@pytest.mark.parametrize(
    ("world", "arguments", "agents", "observation"),
    [
        ("simple_spread_v3", {}, 3, 18),
        ("simple_spread_v3", {"N": 6}, 6, 36),
        ("simple_tag_v3", {}, 3, 16),
        ("simple_adversary_v3", {}, 2, 10),
    ],
)
def test_sizes(world: str, arguments: Arguments, agents: int, observation: int) -> None:
    simulator = made(world, arguments)
    assert (simulator.n_agents, simulator.n_actions, simulator.time_limit) == (agents, 5, 25)
    assert simulator.observation_size == observation
    assert simulator.layout.size == agents * observation


def test_fields_of_the_three() -> None:
    shapes = [{f.name: f.shape for f in made(world).layout.fields} for world in ("simple_spread_v3", "simple_tag_v3")]
    assert shapes[0] == {
        "own_velocity": (3, 2),
        "own_position": (3, 2),
        "landmark_offset": (3, 3, 2),
        "other_agent_offset": (3, 2, 2),
        "message": (3, 2, 2),
    }
    assert shapes[1] == {
        "own_velocity": (3, 2),
        "own_position": (3, 2),
        "obstacle_offset": (3, 2, 2),
        "other_agent_offset": (3, 2, 2),
        "prey_offset": (3, 2),
        "prey_velocity": (3, 2),
    }
    assert {f.name: f.shape for f in made("simple_adversary_v3").layout.fields} == {
        "goal_offset": (2, 2),
        "landmark_offset": (2, 2, 2),
        "adversary_offset": (2, 2),
        "other_agent_offset": (2, 1, 2),
    }


# Against the official package


@EVERY
def test_observations_rewards_and_ends_equal_the_official_package_in_lockstep(world: str, arguments: Arguments) -> None:
    simulator, twin = made(world, arguments), official(world, arguments)
    rng = np.random.default_rng(0)
    for seed in (3, 4):
        simulator.reset(seed)
        seen, _ = twin.reset(seed=seed)
        team = _team(twin.possible_agents, world)
        for step in range(1, simulator.time_limit + 1):
            assert simulator.observations().tolist() == [seen[name].tolist() for name in team]
            assert sorted(simulator.state().tolist()) == sorted(simulator.observations().reshape(-1).tolist())
            chosen = dict(zip(team, rng.integers(0, 5, len(team)).tolist(), strict=True))
            everybody = dict.fromkeys(twin.agents, 0) | chosen | _opponent(simulator, world)
            result = simulator.step(list(chosen.values()))
            seen, rewards, terminated, truncated, _ = twin.step(everybody)
            assert result.agent_rewards == tuple(rewards[name] for name in team)
            assert not result.terminated
            assert not any(terminated.values())
            assert result.truncated == all(truncated.values()) == (step == simulator.time_limit)


def _team(names: list[str], world: str) -> list[str]:
    return [name for name in names if name.startswith("adversary") == (world == "simple_tag_v3")]


def _opponent(simulator: ParticleWorld, world: str) -> dict[str, int]:
    if world == "simple_tag_v3":
        return {"agent_0": prey_action(scene(simulator))}
    return {"adversary_0": adversary_action(scene(simulator))} if world == "simple_adversary_v3" else {}


@EVERY
def test_each_number_of_the_state_is_what_its_field_says(world: str, arguments: Arguments) -> None:
    simulator = made(world, arguments)
    simulator.reset(8)
    rng = np.random.default_rng(2)
    for _ in range(4):
        simulator.step(rng.integers(0, 5, simulator.n_agents).tolist())
    now, n = scene(simulator), simulator.n_agents
    at = now.positions[:, None]
    others = np.array([[j for j in range(n) if j != i] for i in range(n)], dtype=int)
    expected: dict[str, Any] = {
        "own_velocity": now.velocities,
        "own_position": now.positions,
        "landmark_offset": now.landmarks - at,
        "obstacle_offset": now.landmarks - at,
        "other_agent_offset": now.positions[others] - at,
        "message": np.zeros((n, n - 1, 2)),
    }
    if now.opponent_position is not None:
        expected["prey_offset"] = expected["adversary_offset"] = now.opponent_position - now.positions
        expected["prey_velocity"] = np.array([now.opponent_velocity] * n)
    if now.goal is not None:
        expected["goal_offset"] = now.landmarks[now.goal] - now.positions
    for name, values in named(simulator).items():
        assert values == pytest.approx(expected[name], abs=1e-6), name


# The rules that the task texts tell


def test_an_action_shows_in_the_velocity_at_once_and_in_the_position_one_step_later() -> None:
    simulator = made("simple_spread_v3")
    put(simulator, {"agent_0": (0.0, 0.0)})
    for action, velocity, position in [
        (RIGHT, (0.5, 0.0), (0.0, 0.0)),
        (UP, (0.375, 0.5), (0.05, 0.0)),
        (NONE, (0.28125, 0.375), (0.0875, 0.05)),
        (LEFT, (-0.2890625, 0.28125), (0.115625, 0.0875)),
        (DOWN, (-0.216796875, -0.2890625), (0.08671875, 0.115625)),
    ]:
        simulator.step([action, NONE, NONE])
        state = named(simulator)
        assert state["own_velocity"][0] == pytest.approx(velocity)
        assert state["own_position"][0] == pytest.approx(position)


def test_overlapping_agents_push_each_other_apart_by_ten_times_the_overlap() -> None:
    simulator = made("simple_spread_v3")
    put(simulator, {"agent_0": (0.0, 0.0), "agent_1": (0.2, 0.0)})
    simulator.step([NONE] * 3)
    assert named(simulator)["own_velocity"].tolist() == [
        pytest.approx([-1.0, 0.0], abs=1e-5),
        pytest.approx([1.0, 0.0], abs=1e-5),
        [0.0, 0.0],
    ]


def test_reward_of_spread() -> None:
    """Landmarks at distances 0.3, 0.4 and 1 of the nearest agent; one pair in contact."""
    simulator = made("simple_spread_v3")
    put(
        simulator,
        {
            "agent_0": (0.0, 0.0),
            "agent_1": (0.0, -0.2),
            "agent_2": (5.0, 0.0),
            "landmark 0": (0.3, 0.0),
            "landmark 1": (0.0, 0.4),
            "landmark 2": (5.0, 1.0),
        },
    )
    rewards = simulator.step([NONE] * 3).agent_rewards
    assert rewards == pytest.approx((-0.85 - 0.5, -0.85 - 0.5, -0.85))
    assert sum(rewards) == pytest.approx(-1.5 * 1.7 - 1)


def test_every_predator_gets_ten_for_each_that_touches_the_prey() -> None:
    simulator = made("simple_tag_v3")
    put(
        simulator,
        {"agent_0": (0.0, 0.0), "adversary_0": (0.12, 0.0), "adversary_1": (0.0, -0.12), "adversary_2": (0.13, 0.13)},
    )
    assert simulator.step([NONE] * 3).agent_rewards == (20.0, 20.0, 20.0)


def test_reward_of_the_good_agents() -> None:
    simulator = made("simple_adversary_v3")
    simulator.reset(0)
    goal = simulator.official.world.agents[0].goal_a.name
    put(simulator, {goal: (0.0, 0.0), "adversary_0": (3.0, 4.0), "agent_0": (0.0, 2.0), "agent_1": (-0.5, 0.0)})
    assert simulator.step([NONE, NONE]).agent_rewards == pytest.approx((4.5, 4.5))


@pytest.mark.parametrize("name", ["mpe-spread-3", "mpe-spread-6", "mpe-spread-4", "mpe-tag", "mpe-adversary"])
def test_the_tasks_fit_their_simulators(name: str) -> None:
    """Numbers of agents and actions and the limit are compared in `make_simulator`."""
    text = family_text(name)
    task = Task.model_validate(yaml.safe_load(text)) if text else load_task(name)
    simulator: Any = make_simulator(task)
    assert task.actions == ("NONE", "LEFT", "RIGHT", "DOWN", "UP")
    assert DIRECTIONS.tolist() == [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]
    if text:
        assert f"taken {task.n_agents / 2:g} times" in " ".join(task.reward.split())
        assert {agent.size for agent in simulator.official.world.agents} == {0.15}
    assert task.exchangeable_agents


# Snapshots


def test_a_snapshot_brings_its_goal_into_a_world_with_the_other_one() -> None:
    simulator, other = made("simple_adversary_v3"), made("simple_adversary_v3")
    simulator.reset(0)
    other.reset(next(seed for seed in range(1, 50) if _goal_after(other, seed) != simulator._goal()))
    other.restore(simulator.save())
    landmark = other.official.world.landmarks[simulator._goal()]
    assert all(agent.goal_a is landmark for agent in other.official.world.agents)
    assert other.state().tolist() == simulator.state().tolist()


def _goal_after(simulator: ParticleWorld, seed: int) -> int | None:
    simulator.reset(seed)
    return simulator._goal()


@EVERY
def test_a_world_that_was_never_reset_goes_on_from_a_snapshot(world: str, arguments: Arguments) -> None:
    simulator = made(world, arguments)
    simulator.reset(4)
    simulator.step([RIGHT] * simulator.n_agents)
    snapshot = simulator.save()
    fresh = made(world, arguments)
    fresh.restore(snapshot)
    actions = [UP] * simulator.n_agents
    assert fresh.step(actions) == simulator.step(actions)
    assert fresh.state().tolist() == simulator.state().tolist()


def test_a_snapshot_is_a_copy() -> None:
    simulator = made("simple_tag_v3")
    simulator.reset(2)
    snapshot, before = simulator.save(), simulator.state().tolist()
    for _ in range(2):
        for _ in range(6):
            simulator.step([RIGHT, UP, LEFT])
        assert simulator.state().tolist() != before
        simulator.restore(snapshot)
        assert simulator.state().tolist() == before


# Mistakes


def test_an_unknown_world_suggests_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="simple_spread_v3"):
        made("simple_spread_v2")


@pytest.mark.parametrize(
    ("world", "arguments", "part"),
    [
        ("simple_spread_v3", {"terminate_on_success": True}, "takes no such argument"),
        ("simple_spread_v3", {"continuous_actions": True}, "takes no such argument"),
        ("simple_spread_v3", {"num_agent_neighbors": 1}, "takes no such argument"),
        ("simple_tag_v3", {"num_good": 2}, "takes no such argument"),
        ("simple_spread_v3", {"N": 0}, "whole number from 1 to 256"),
        ("simple_spread_v3", {"N": 10**9}, "whole number from 1 to 256"),
        ("simple_spread_v3", {"N": 3.0}, "whole number from 1 to 256"),
        ("simple_spread_v3", {"N": True}, "whole number from 1 to 256"),
        ("simple_spread_v3", {"local_ratio": 1.5}, "must be a number from 0.0 to 1.0"),
        ("simple_spread_v3", {"local_ratio": "half"}, "must be a number from 0.0 to 1.0"),
        ("simple_adversary_v3", {"max_cycles": 0}, "whole number from 1"),
    ],
)
def test_arguments_that_cannot_be_used(world: str, arguments: Arguments, part: str) -> None:
    with pytest.raises(ConfigurationError, match=part):
        made(world, arguments)


def test_a_world_whose_state_would_be_too_large_is_refused() -> None:
    with pytest.raises(TaskFileError, match="100000"):
        made("simple_spread_v3", {"N": 256})
