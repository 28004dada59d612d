"""Compiled matrix games."""

from __future__ import annotations

import numpy as np
import pytest

from qredit.marl.environments.matrix import MatrixGame
from qredit.marl.kernels import matrix
from tests.marl.kernels.mutants import mutant
from tests.marl.kernels.parity import STEPS, ParityError, lockstep


@pytest.mark.parametrize("game", ["climbing", "penalty-0", "penalty-75"])
def test_games_in_lockstep(game: str) -> None:
    simulator = MatrixGame(game)
    counts = lockstep(simulator, matrix.CompiledMatrixGame(simulator, 3), steps=STEPS, seed=0)
    print(game, dict(counts))
    assert counts["truncation"] == STEPS // 25


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("payoff[actions[b, 0], actions[b, 1]]", "payoff[actions[b, 1], actions[b, 0]]"),
        ("steps[b] >= time_limit", "steps[b] > time_limit"),
        ("reward / N_AGENTS", "reward"),
        ("shown.states[b, i] = actions[b, i]", "shown.states[b, i] = actions[b, 0]"),
    ],
)
def test_a_mistake_in_the_kernel_is_noticed(old: str, new: str) -> None:
    simulator = MatrixGame("climbing")
    simulator.payoff = np.arange(9, dtype=np.float32).reshape(3, 3)  # the games are symmetric
    with mutant(matrix, old, new) as wrong, pytest.raises(ParityError):
        lockstep(simulator, wrong.CompiledMatrixGame(simulator, 1), steps=100, seed=0)
