"""Robotic warehouses, compared with the official package in lockstep and with situations made by hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
import rware  # noqa: F401 (registers the environments)
import yaml
from rware.warehouse import Action, Direction

from qredit.families import FAMILIES, family_text
from qredit.marl.adapters import make_simulator
from qredit.marl.environments.rware import Warehouse
from qredit.task import Task

WAIT, FORWARD, TURN_LEFT, TURN_RIGHT, TOGGLE = range(5)
TINY = "rware-tiny-2ag-v2"
MEMBERS = next(family.members for family in FAMILIES if family.name == "rware")


def official(environment_id: str, **arguments: Any) -> Any:
    """The package's own environment as a user makes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gymnasium.make(environment_id, disable_env_checker=True, **arguments).unwrapped


def named(simulator: Warehouse) -> dict[str, Any]:
    return {name: values.tolist() for name, values in simulator.layout.named(simulator.state()).items()}


def started(environment_id: str = TINY, seed: int = 0, arguments: Mapping[str, Any] | None = None) -> Warehouse:
    simulator = Warehouse(environment_id, arguments or {})
    simulator.reset(seed)
    return simulator


def put(simulator: Warehouse, agent: int, row: int, column: int, direction: Any) -> None:
    """Put an agent, with what it carries, somewhere."""
    robot = simulator.official.agents[agent]
    robot.x, robot.y, robot.dir = column, row, direction
    if robot.carrying_shelf:
        robot.carrying_shelf.x, robot.carrying_shelf.y = column, row
    simulator.official._recalc_grid()


def load(simulator: Warehouse, agent: int, shelf: Any) -> None:
    """Have an agent stand at a shelf and carry it."""
    robot = simulator.official.agents[agent]
    robot.x, robot.y, robot.carrying_shelf = shelf.x, shelf.y, shelf
    simulator.official._recalc_grid()


# Sizes and layout


@pytest.mark.parametrize(
    ("environment_id", "agents", "requests", "far"), [(TINY, 2, 2, 10), ("rware-small-4ag-v2", 4, 4, 19)]
)
def test_sizes_and_layout(environment_id: str, agents: int, requests: int, far: int) -> None:
    simulator = Warehouse(environment_id, {})
    assert (simulator.n_agents, simulator.n_actions, simulator.time_limit) == (agents, 5, 500)
    assert simulator.observation_size == 8 + 9 * 7
    assert {f.name: (f.shape, f.low, f.high) for f in simulator.layout.fields} == {
        "agent_position": ((agents, 2), 0, far),
        "agent_direction": ((agents, 2), -1, 1),
        "carrying": ((agents,), 0, 1),
        "carrying_requested": ((agents,), 0, 1),
        "request_position": ((requests, 2), 0, far),
        "goal_position": ((2, 2), 0, far),
        "last_action": ((agents,), -1, 4),
    }


def test_state_of_a_situation_made_by_hand() -> None:
    simulator = started()
    first, second = simulator.official.request_queue
    free = next(s for s in simulator.official.shelfs if s not in (first, second))
    load(simulator, 0, second)
    put(simulator, 0, 9, 3, Direction.LEFT)
    load(simulator, 1, free)
    put(simulator, 1, 0, 6, Direction.DOWN)
    simulator.step([TURN_LEFT, WAIT])
    assert named(simulator) == {
        "agent_position": [[9, 3], [0, 6]],
        "agent_direction": [[1, 0], [1, 0]],  # turning left, one that faces left faces down
        "carrying": [1, 1],
        "carrying_requested": [1, 0],
        "request_position": [[first.y, first.x], [9, 3]],
        "goal_position": [[10, 4], [10, 5]],
        "last_action": [TURN_LEFT, WAIT],
    }


@pytest.mark.parametrize("direction", list(Direction))
def test_forward_moves_by_the_direction_that_the_state_shows(direction: Any) -> None:
    simulator = started()
    put(simulator, 0, 5, 5, direction)
    put(simulator, 1, 0, 0, Direction.UP)
    before = named(simulator)
    simulator.step([FORWARD, WAIT])
    moved = np.array(named(simulator)["agent_position"][0]) - before["agent_position"][0]
    assert moved.tolist() == before["agent_direction"][0]
    assert np.abs(moved).sum() == 1


@pytest.mark.parametrize("name", [*MEMBERS, "rware-medium-3ag", "rware-large-5ag"])
def test_the_text_is_true(name: str) -> None:
    task = Task.model_validate(yaml.safe_load(str(family_text(name))))
    simulator: Any = make_simulator(task)
    simulator.reset(1)
    world = simulator.official
    rows, columns = world.grid_size
    assert f"{rows} rows and {columns} columns" in task.description
    assert f" {len(world.shelfs)} shelves stand" in task.description.replace("\n", " ")
    assert world.request_queue_size == task.n_agents
    assert f"{task.n_agents} requests" in task.title
    assert sorted(world.goals) == [(columns // 2 - 1, rows - 1), (columns // 2, rows - 1)]
    assert all(world.highways[y, x] for x, y in world.goals)
    # Blocks of 8 rows and 2 columns; the one in front of the goals is left out.
    shelves = {(shelf.y, shelf.x) for shelf in world.shelfs}
    blocks = {(row // 9, column // 3) for row, column in shelves}
    assert len(shelves) == 16 * len(blocks)
    assert blocks == {(r, c) for r in range(rows // 9) for c in range(columns // 3)} - {(rows // 9 - 1, columns // 6)}
    assert task.actions == ("WAIT", "FORWARD", "TURN_LEFT", "TURN_RIGHT", "TOGGLE_LOAD")
    assert [action.name for action in Action] == ["NOOP", "FORWARD", "LEFT", "RIGHT", "TOGGLE_LOAD"]


# Against the official package


LOCKSTEP: list[tuple[str, Mapping[str, Any]]] = [
    (TINY, {}),
    ("rware-tiny-4ag-v2", {}),
    ("rware-small-4ag-easy-v2", {"sensor_range": 3}),
    (TINY, {"normalised_coordinates": True, "max_steps": 120}),
]


@pytest.mark.parametrize(("environment_id", "arguments"), LOCKSTEP)
def test_everything_shown_equals_the_official_package_in_lockstep(
    environment_id: str, arguments: Mapping[str, Any]
) -> None:
    """With actions of the scripted team, so that shelves are carried and delivered, and some at random."""
    simulator, twin = Warehouse(environment_id, arguments), official(environment_id, **arguments)
    rng = np.random.default_rng(0)
    for seed in (4, 5):
        simulator.reset(seed)
        seen, _ = twin.reset(seed=seed)
        last, delivered = [-1] * simulator.n_agents, 0.0
        for step in range(1, min(simulator.time_limit, 150) + 1):
            assert np.array_equal(simulator.observations(), np.stack(seen))
            assert named(simulator) == _expected(twin, last)
            last = simulator.scripted_actions(rng)
            last = [int(rng.integers(5)) if rng.random() < 0.1 else action for action in last]
            result = simulator.step(last)
            seen, rewards, done, _, _ = twin.step(last)
            delivered += sum(rewards)
            assert result.agent_rewards == tuple(rewards)
            assert (result.terminated, result.truncated) == (False, done) == (False, step == simulator.time_limit)
        assert delivered


def _expected(twin: Any, last_actions: list[int]) -> dict[str, Any]:
    ahead = {Direction.UP: [-1, 0], Direction.DOWN: [1, 0], Direction.LEFT: [0, -1], Direction.RIGHT: [0, 1]}
    carried = [agent.carrying_shelf for agent in twin.agents]
    return {
        "agent_position": [[agent.y, agent.x] for agent in twin.agents],
        "agent_direction": [ahead[agent.dir] for agent in twin.agents],
        "carrying": [int(shelf is not None) for shelf in carried],
        "carrying_requested": [int(shelf in twin.request_queue) for shelf in carried],
        "request_position": [[shelf.y, shelf.x] for shelf in twin.request_queue],
        "goal_position": [[y, x] for x, y in twin.goals],
        "last_action": last_actions,
    }


# Deliveries


def deliverable(simulator: Warehouse) -> Any:
    """Agent 0 carries a requested shelf and faces the goal in front of it; agent 1 stands far away."""
    shelf = simulator.official.request_queue[1]
    load(simulator, 0, shelf)
    put(simulator, 0, 9, 4, Direction.DOWN)
    put(simulator, 1, 0, 0, Direction.UP)
    return shelf


def test_a_delivery_rewards_the_carrier_and_another_shelf_takes_over_the_slot() -> None:
    simulator = started()
    shelf = deliverable(simulator)
    before = named(simulator)["request_position"]
    result = simulator.step([FORWARD, WAIT])
    assert result.agent_rewards == (1.0, 0.0)
    after = named(simulator)
    assert after["agent_position"][0] == [10, 4]
    assert after["request_position"][0] == before[0]
    assert after["request_position"][1] != [10, 4]
    assert (after["carrying"], after["carrying_requested"]) == ([1, 0], [0, 0])
    assert shelf not in simulator.official.request_queue
    assert simulator.step([WAIT, WAIT]).agent_rewards == (0.0, 0.0)


def test_a_shelf_that_nobody_requested_earns_nothing_on_a_goal() -> None:
    simulator = started()
    free = next(s for s in simulator.official.shelfs if s not in simulator.official.request_queue)
    load(simulator, 0, free)
    put(simulator, 0, 9, 4, Direction.DOWN)
    assert simulator.step([FORWARD, WAIT]).agent_rewards == (0.0, 0.0)


def test_who_carries_a_shelf_cannot_go_under_another_and_cannot_put_it_down_in_an_aisle() -> None:
    simulator = started()
    load(simulator, 0, next(shelf for shelf in simulator.official.shelfs if (shelf.y, shelf.x) != (1, 1)))
    put(simulator, 0, 0, 1, Direction.DOWN)
    simulator.step([FORWARD, WAIT])
    assert named(simulator)["agent_position"][0] == [0, 1]
    put(simulator, 0, 0, 1, Direction.DOWN)
    simulator.step([TOGGLE, WAIT])
    assert named(simulator)["carrying"][0] == 1
    put(simulator, 1, 0, 2, Direction.DOWN)
    simulator.step([WAIT, FORWARD])
    assert named(simulator)["agent_position"][1] == [1, 2]  # without a shelf there is room below one


def test_two_agents_cannot_change_places_and_one_may_follow_the_other() -> None:
    simulator = started()
    put(simulator, 0, 10, 2, Direction.RIGHT)
    put(simulator, 1, 10, 3, Direction.LEFT)
    simulator.step([FORWARD, FORWARD])
    assert named(simulator)["agent_position"] == [[10, 2], [10, 3]]
    put(simulator, 1, 10, 3, Direction.RIGHT)
    simulator.step([FORWARD, FORWARD])
    assert named(simulator)["agent_position"] == [[10, 3], [10, 4]]
    simulator.step([FORWARD, WAIT])
    assert named(simulator)["agent_position"] == [[10, 3], [10, 4]]


# Snapshots


@pytest.mark.parametrize("reward", ["individual", "global", "two_stage"])
def test_a_snapshot_in_the_middle_of_the_work_leads_to_the_same_future(reward: str) -> None:
    """Also in a warehouse that was never reset; shelves are carried, requested and drawn after it."""
    arguments = {"reward_type": reward}
    simulator, fresh = started(seed=3, arguments=arguments), Warehouse(TINY, arguments)
    rng = np.random.default_rng(0)
    carrying = False
    while not carrying or named(simulator)["carrying"] != [1, 1]:
        result = simulator.step(simulator.scripted_actions(rng))
        carrying |= sum(result.agent_rewards) > 0
    snapshot = simulator.save()
    futures = []
    for again in (simulator, fresh, simulator):
        again.restore(snapshot)
        rng = np.random.default_rng(1)
        told = []
        for _ in range(150):
            result = again.step(again.scripted_actions(rng))
            told.append([again.state().tolist(), again.observations().tolist(), result])
        futures.append(told)
    assert futures[0] == futures[1] == futures[2]
    assert sum(sum(result.agent_rewards) for *_, result in futures[0]) >= 3


# The scripted team


@pytest.mark.parametrize(
    ("environment_id", "least"), [(TINY, 18), ("rware-tiny-4ag-v2", 35), ("rware-small-4ag-v2", 25)]
)
def test_the_scripted_team_delivers(environment_id: str, least: int) -> None:
    """A random team delivers nothing in most episodes; of 30 on tiny-2ag this one's worst had 25."""
    simulator, rng = Warehouse(environment_id, {}), np.random.default_rng(0)
    for seed in (3, 8):  # without the straying of the agents two loaded ones gave way to each other for ever here
        simulator.reset(seed)
        delivered = sum(sum(simulator.step(simulator.scripted_actions(rng)).agent_rewards) for _ in range(500))
        assert delivered >= least
