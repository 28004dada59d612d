"""Returns by hand, against a slow definition, and where they meet."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from qredit.marl.returns import lambda_returns, n_step_returns, padded_n_step_returns

GAMMA = 0.5
REWARDS = torch.tensor([[1.0, 2.0, 4.0]]).unsqueeze(-1)  # [1, 3, 1]
VALUES = torch.tensor([[10.0, 20.0, 40.0, 80.0]]).unsqueeze(-1)  # [1, 4, 1]
NEVER = torch.zeros(1, 3, dtype=torch.bool)
AT_END = torch.tensor([[False, False, True]])
ALL = torch.ones(1, 3, dtype=torch.bool)


def numbers(returns: Tensor) -> list[float]:
    return returns.flatten().tolist()


def test_lambda_zero_is_one_step() -> None:
    found = lambda_returns(REWARDS, VALUES, NEVER, ALL, gamma=GAMMA, lambda_=0.0)
    assert numbers(found) == [1 + 0.5 * 20, 2 + 0.5 * 40, 4 + 0.5 * 80]


def test_lambda_one_is_the_whole_return_with_a_bootstrap_at_the_time_limit() -> None:
    found = lambda_returns(REWARDS, VALUES, NEVER, ALL, gamma=GAMMA, lambda_=1.0)
    assert numbers(found) == [1 + 1 + 1 + 10, 2 + 2 + 20, 4 + 40]
    over = lambda_returns(REWARDS, VALUES, AT_END, ALL, gamma=GAMMA, lambda_=1.0)
    assert numbers(over) == [1 + 1 + 1, 2 + 2, 4]


def test_lambda_in_between_by_hand() -> None:
    last = 4.0  # over
    middle = 2 + 0.5 * (0.75 * 40 + 0.25 * last)
    first = 1 + 0.5 * (0.75 * 20 + 0.25 * middle)
    found = lambda_returns(REWARDS, VALUES, AT_END, ALL, gamma=GAMMA, lambda_=0.25)
    assert numbers(found) == pytest.approx([first, middle, last])


def test_n_steps_by_hand() -> None:
    two = n_step_returns(REWARDS, VALUES, NEVER, ALL, gamma=GAMMA, n=2)
    assert numbers(two) == [1 + 0.5 * 2 + 0.25 * 40, 2 + 0.5 * 4 + 0.25 * 80, 4 + 0.5 * 80]
    over = n_step_returns(REWARDS, VALUES, AT_END, ALL, gamma=GAMMA, n=2)
    assert numbers(over) == [1 + 0.5 * 2 + 0.25 * 40, 2 + 0.5 * 4, 4]


def _slow_n_step(rewards: Tensor, values: Tensor, over: bool, length: int, t: int, n: int, gamma: float) -> float:
    total, k = 0.0, 0
    while k < n and t + k < length:
        total += gamma**k * float(rewards[t + k])
        k += 1
    ends = t + k == length and over
    return total if ends else total + gamma**k * float(values[t + k])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 7), st.booleans(), st.integers(0, 2**31))
def test_both_agree_with_their_definitions_whatever_stands_in_the_padding(
    lengths: list[int], n: int, over: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    e, t, g, gamma, lambda_ = len(lengths), 6, 2, 0.9, 0.7
    rewards, values = torch.randn(e, t, g, dtype=torch.float64), torch.randn(e, t + 1, g, dtype=torch.float64)
    filled = torch.arange(t) < torch.tensor(lengths)[:, None]
    terminated = torch.zeros(e, t, dtype=torch.bool)
    for k, length in enumerate(lengths):
        terminated[k, length - 1] = over
        rewards[k, length:] = 1e6
        values[k, length + 1 :] = -1e6
    steps = n_step_returns(rewards, values, terminated, filled, gamma=gamma, n=n)
    mixed = lambda_returns(rewards, values, terminated, filled, gamma=gamma, lambda_=lambda_)
    for k, length in enumerate(lengths):
        for i in range(length):
            for agent in range(g):
                r, v = rewards[k, :, agent], values[k, :, agent]
                all_n = [_slow_n_step(r, v, over, length, i, m, gamma) for m in range(1, length - i + 1)]
                assert float(steps[k, i, agent]) == pytest.approx(all_n[min(n, len(all_n)) - 1])
                weights = [(1 - lambda_) * lambda_**m for m in range(len(all_n) - 1)] + [lambda_ ** (len(all_n) - 1)]
                expected = sum(w * one for w, one in zip(weights, all_n, strict=True))
                assert float(mixed[k, i, agent]) == pytest.approx(expected)


def test_padded_returns_by_hand() -> None:
    """The first episode is the longest and its last value counts; the second ends after one step and is padded."""
    rewards = torch.tensor([[1.0, 2.0, 4.0], [8.0, 0.0, 0.0]]).unsqueeze(-1)
    values = torch.tensor([[10.0, 20.0, 40.0, 80.0], [16.0, 32.0, 64.0, 128.0]]).unsqueeze(-1)
    filled = torch.tensor([[True, True, True], [True, False, False]])
    found = padded_n_step_returns(rewards, values, filled, gamma=GAMMA, n=2)
    assert found[0].flatten().tolist() == [1 + 1 + 10, 2 + 2 + 20, 4 + 40]
    assert found[1, 0].item() == 8.0  # two steps later nothing takes place
    one = padded_n_step_returns(rewards, values, filled, gamma=GAMMA, n=3)
    assert one[1, 0].item() == 8 + 0.125 * 128  # but within reach of the longest episode's end


@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 10_000))
def test_padded_returns_of_whole_episodes_are_n_step_returns(steps: int, n: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, steps, 1, generator=rng), torch.randn(2, steps + 1, 1, generator=rng)
    filled, over = torch.ones(2, steps, dtype=torch.bool), torch.zeros(2, steps, dtype=torch.bool)
    padded = padded_n_step_returns(rewards, values, filled, gamma=0.9, n=n)
    assert torch.allclose(padded, n_step_returns(rewards, values, over, filled, gamma=0.9, n=n), atol=1e-5)
