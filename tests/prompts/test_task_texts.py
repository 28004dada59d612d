"""The task texts against the simulators that they describe."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from qredit.families import FAMILIES, family_text
from qredit.marl.environments.lbf_official import make_official
from qredit.marl.environments.matrix import payoff_matrix
from qredit.task import Task, load_task

MEMBERS = {family.name: family.members for family in FAMILIES}
OTHER_BOARDS = (
    "lbf-5x5-2p-1f-coop",
    "lbf-6x6-3p-1f",
    "lbf-9x7-3p-2f-coop-2s",
    "lbf-12x12-5p-4f",
    "lbf-10x14-4p-1f-coop",
    "lbf-5x5-2p-3f",
    "lbf-7x7-6p-4f-2s",
)
BOARDS = (*MEMBERS["lbf"], *MEMBERS["lbf-inert"], *OTHER_BOARDS)


def task_of(name: str) -> Task:
    """The task of a name that fits a family."""
    return Task.model_validate(yaml.safe_load(str(family_text(name))))


@pytest.mark.parametrize("name", BOARDS)
def test_the_text_about_foraging_is_true(name: str) -> None:
    task = task_of(name)
    assert task.environment is not None
    simulator = make_official(task.environment.id, task.environment.arguments)
    rows, columns = simulator.field.shape
    assert f"{rows} x {columns} cells" in task.description
    assert len(simulator.players) + task.environment.inert_agents == task.n_agents
    assert simulator._max_episode_steps == task.time_limit
    assert simulator._normalize_reward
    assert simulator.penalty == 0
    actions = {action.value: action.name for action in type(simulator.action_set[0])}
    assert task.actions == tuple(actions[number] for number in sorted(actions))
    sees_all = simulator.sight >= max(rows, columns)
    assert sees_all == ("observes the whole board" in task.description)
    assert sees_all or f"at most {simulator.sight} rows" in task.description


@pytest.mark.parametrize("name", BOARDS)
def test_the_text_about_foods_is_true(name: str) -> None:
    task = task_of(name)
    assert task.environment is not None
    simulator = make_official(task.environment.id, task.environment.arguments)
    met = [_start(simulator, seed) for seed in range(60)]
    assert all(set(levels) <= {1, 2} for levels, _ in met)
    lowest_three = [(sum(sorted(levels)[:3]), foods.values()) for levels, foods in met]
    assert all(1 <= level <= most for most, found in lowest_three for level in found)
    needs_most = all(level == most for most, found in lowest_three for level in found)
    assert needs_most == ("drawn at random between 1 and" not in task.description)
    if not needs_most:
        assert min(level for _, found in lowest_three for level in found) == 1
        assert any(level == most for most, found in lowest_three for level in found)
    assert ("three lowest levels" in task.description) == (len(simulator.players) > 3)

    rows, columns = simulator.field.shape
    board = [(r, c) for r in range(rows) for c in range(columns)]
    for _, foods in met:
        assert all(0 < r < rows - 1 and 0 < c < columns - 1 for r, c in foods)
        assert all(sum(abs(r - fr) + abs(c - fc) == 1 for fr, fc in foods) <= 1 for r, c in board)
    if any(len(foods) < simulator.max_num_food for _, foods in met):
        assert "the episode has fewer" in task.description


def _start(simulator: Any, seed: int) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Levels of the agents, and the foods by cell, at the start of an episode."""
    for player in simulator.players:
        player.position = None
    simulator._make_gym_obs = tuple  # its bounds have rows and columns exchanged, which matters on boards not square
    simulator.reset(seed=seed)
    rows, columns = simulator.field.shape
    foods = {(r, c): int(simulator.field[r, c]) for r in range(rows) for c in range(columns) if simulator.field[r, c]}
    return [int(player.level) for player in simulator.players], foods


def test_some_boards_tell_that_foods_may_be_missing_and_roomy_ones_do_not() -> None:
    told = {name: "the episode has fewer" in task_of(name).description for name in BOARDS}
    assert [name for name in told if told[name]] == ["lbf-5x5-2p-3f", "lbf-7x7-6p-4f-2s"]


def test_agents_can_share_a_cell_in_the_one_way_that_the_text_tells() -> None:
    name = "lbf-7x7-3p-1f"
    assert "both stand in that cell" in task_of(name).description
    assert "both stand in that cell" not in task_of("lbf-7x7-2p-1f").description
    task = task_of(name)
    assert task.environment is not None
    simulator = make_official(task.environment.id, {})
    simulator.reset(seed=0)
    simulator.field[:] = 0
    simulator.field[5, 5] = 1
    for player, cell in zip(simulator.players, [(0, 0), (0, 1), (0, 3)], strict=True):
        player.position = cell
    simulator._gen_valid_moves()
    east, west = 4, 3
    simulator.step([east, east, west])  # the first follows the second, who meets the third
    assert [player.position for player in simulator.players] == [(0, 1), (0, 1), (0, 3)]


@pytest.mark.parametrize("name", ["matrix-climbing", *MEMBERS["matrix-penalty"]])
def test_the_text_about_a_matrix_game_is_true(name: str) -> None:
    task = load_task(name) if name == "matrix-climbing" else task_of(name)
    assert task.environment is not None
    payoff = payoff_matrix(task.environment.id)
    rows = re.findall(r"([ABC]): \(([-\d]+), ([-\d]+), ([-\d]+)\)", task.description)
    assert [row[0] for row in rows] == list(task.actions)
    assert [[float(number) for number in row[1:]] for row in rows] == payoff.tolist()
    assert task.optimum == task.time_limit * payoff.max()
    assert f"in every step, {payoff.max():g}" in task.goal
    assert task.exchangeable_agents == (payoff == payoff.T).all()
    assert task.kind == "general"


@pytest.mark.parametrize("name", [*MEMBERS["lbf-inert"], *MEMBERS["spread-inert"]])
def test_passengers_are_told_where_there_are_any(name: str) -> None:
    task = task_of(name)
    assert task.environment is not None
    count = task.environment.inert_agents
    assert f"-{count}" in name
    assert ("passengers" in task.description) == ("active agent" in task.description) == (count > 0)
    assert task.exchangeable_agents == (count == 0)
    if count:
        first = task.n_agents - count - 1
        assert f"Agents 0 to {first} are the active agents" in task.description
