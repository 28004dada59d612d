"""The scripted team of level-based foraging, on boards by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.lbf_script import Board, meeting_points, scripted_foraging

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)


def actions(board: Board, seed: int = 0) -> list[int]:
    return scripted_foraging(board, np.random.default_rng(seed))


def test_a_strong_agent_takes_the_nearest_food_and_the_other_one_takes_the_next() -> None:
    board = Board(9, 9, agents=((0, 0, 2), (8, 8, 2)), foods=((2, 1, 2), (6, 6, 1)))
    assert meeting_points(board) == [(2, 1), (6, 6)]


def test_agents_that_are_too_weak_alone_meet() -> None:
    board = Board(9, 9, agents=((0, 0, 1), (8, 8, 1)), foods=((2, 1, 2), (6, 6, 2)))
    assert meeting_points(board) in ([(2, 1), (2, 1)], [(6, 6), (6, 6)])


def test_an_agent_that_can_eat_nothing_alone_helps() -> None:
    board = Board(9, 9, agents=((0, 0, 2), (8, 8, 1)), foods=((2, 1, 2), (6, 6, 2)))
    assert meeting_points(board) == [(2, 1), (2, 1)]


def test_nobody_goes_for_what_all_together_cannot_eat() -> None:
    board = Board(9, 9, agents=((0, 0, 1), (8, 8, 1)), foods=((2, 1, 3),))
    assert meeting_points(board) == [None, None]
    assert actions(board) == [NONE, NONE]


def test_who_stands_beside_the_food_loads_and_the_others_come() -> None:
    board = Board(5, 5, agents=((2, 1, 1), (4, 2, 1)), foods=((2, 2, 2),))
    assert actions(board) == [LOAD, NORTH]


def test_the_way_leads_around_food_and_agents() -> None:
    #  . A .      agent 0 (A) wants to stand beside F; straight south stands food g, west of it agent 1
    #  a g .
    #  . . F
    board = Board(4, 4, agents=((0, 1, 2), (1, 0, 1)), foods=((1, 1, 9), (2, 2, 2)))
    assert actions(board)[0] == EAST


def test_two_agents_never_choose_the_same_cell() -> None:
    board = Board(5, 5, agents=((2, 0, 1), (4, 2, 1), (0, 2, 1)), foods=((2, 2, 3),))
    assert actions(board) == [EAST, NORTH, SOUTH]


@given(seed=st.integers(0, 10_000))
def test_it_eats_everything_on_boards_of_the_package(seed: int) -> None:
    simulator = LevelBasedForaging("Foraging-6x8-4p-3f-v3")
    rng = np.random.default_rng(seed)
    simulator.reset(seed)
    result = simulator.step(simulator.scripted_actions(rng))
    total = sum(result.agent_rewards)
    while not (result.terminated or result.truncated):
        result = simulator.step(simulator.scripted_actions(rng))
        total += sum(result.agent_rewards)
    assert result.terminated
    assert abs(total - 1) < 1e-6
