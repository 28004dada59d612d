"""Matrix games against their published payoffs."""

from __future__ import annotations

import numpy as np
import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.matrix import MatrixGame, payoff_matrix

GAMES = ["climbing", "penalty-0", "penalty-25", "penalty-50", "penalty-75", "penalty-100"]


def test_the_payoffs() -> None:
    assert payoff_matrix("climbing").tolist() == [[11, -30, 0], [-30, 7, 0], [0, 6, 5]]
    assert payoff_matrix("penalty-0").tolist() == [[0, 0, 10], [0, 2, 0], [10, 0, 0]]
    assert payoff_matrix("penalty-100").tolist() == [[-100, 0, 10], [0, 2, 0], [10, 0, -100]]


@pytest.mark.parametrize("game", GAMES)
def test_the_sum_of_the_rewards_is_the_payoff_of_the_pair(game: str) -> None:
    simulator, payoff = MatrixGame(game), payoff_matrix(game)
    simulator.reset(0)
    for row in range(3):
        for column in range(3):
            result = simulator.step([row, column])
            assert result.agent_rewards == (payoff[row, column] / 2, payoff[row, column] / 2)
            assert simulator.state().tolist() == [row, column]


def test_an_episode() -> None:
    simulator = MatrixGame("climbing")
    simulator.reset(5)
    assert simulator.state().tolist() == [-1, -1]
    assert simulator.observations().tolist() == [[1, 0], [0, 1]]
    results = [simulator.step([2, 1]) for _ in range(25)]
    assert [result.truncated for result in results] == [False] * 24 + [True]
    assert not any(result.terminated for result in results)
    assert sum(sum(result.agent_rewards) for result in results) == 25 * 6
    simulator.reset(5)
    assert simulator.state().tolist() == [-1, -1]
    assert not simulator.step([0, 0]).truncated


@pytest.mark.parametrize(("game", "best"), [("climbing", {(0, 0)}), ("penalty-50", {(0, 2), (2, 0)})])
def test_the_scripted_team_plays_a_best_pair_half_of_the_time_and_else_any(
    game: str, best: set[tuple[int, int]]
) -> None:
    simulator, rng = MatrixGame(game), np.random.default_rng(0)
    simulator.reset(0)
    pairs = [(a, b) for a, b in (simulator.scripted_actions(rng) for _ in range(4000))]
    assert len(set(pairs)) == 9
    # One half of the steps, and of the other half the share of the best among nine pairs.
    for pair in best:
        assert pairs.count(pair) / 4000 == pytest.approx(0.5 / len(best) + 0.5 / 9, abs=0.03)


@pytest.mark.parametrize(
    "game", ["climbing-2", "penalty", "penalty--25", "penalty-025", "penalty-1000", "penalty-٢", ""]
)
def test_an_unknown_game_is_refused(game: str) -> None:
    with pytest.raises(UnknownNameError, match="matrix game"):
        MatrixGame(game)


def test_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"takes no arguments\. Remove the `arguments`"):
        MatrixGame("climbing", {"steps": 3})
