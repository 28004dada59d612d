"""`qredit.marl.choosing`: from scores to actions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.choosing import epsilon_greedy, greedy, sampled
from qredit.marl.random_policy import random_actions


@given(
    seed=st.integers(0, 2**32 - 1),
    epsilon=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6)),
)
def test_epsilon_greedy_is_a_coin_per_agent_then_random_or_best(
    seed: int, epsilon: float, shape: tuple[int, int, int]
) -> None:
    """Step by step with the random numbers in this order, although many steps' are drawn at once."""
    made = np.random.default_rng(seed)
    choose, rng, again = epsilon_greedy(epsilon), np.random.default_rng(seed), np.random.default_rng(seed)
    for _ in range(40):
        scores = made.integers(-2, 3, shape).astype(np.float32)  # ties: the first is best
        available = made.random(shape) < 0.6
        available[..., 0] |= ~available.any(axis=-1)
        found = choose(scores, available, rng)
        explores = again.random(shape[:2]) < epsilon
        expected = np.where(explores, random_actions(available, again), greedy(scores, available))
        assert found.tolist() == expected.tolist()


def test_exploration_takes_every_available_action_as_often() -> None:
    available = np.ones((1000, 2, 4), dtype=bool)
    available[:, 1, 2] = False
    chosen = epsilon_greedy(1.0)(np.zeros(available.shape, dtype=np.float32), available, np.random.default_rng(0))
    assert np.bincount(chosen[:, 0]) == pytest.approx([250] * 4, abs=60)
    assert np.bincount(chosen[:, 1]) == pytest.approx([333, 333, 0, 333], abs=70)


def test_sampled_actions_follow_the_softmax_over_available_actions() -> None:
    scores = np.tile(np.log(np.array([1, 2, 5, 100], dtype=np.float32)), (4000, 1, 1))
    available = np.ones(scores.shape, dtype=bool)
    available[..., 3] = False
    chosen = sampled(scores, available, np.random.default_rng(0))
    assert np.bincount(chosen[:, 0], minlength=4) / 4000 == pytest.approx([1 / 8, 2 / 8, 5 / 8, 0], abs=0.03)
