"""The pure functions of the temporal-difference loss, by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.losses import chosen_values, greedy_actions, td_loss, td_targets

NUMBERS = st.floats(-100, 100, width=32)


def test_chosen_values_by_hand() -> None:
    values = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]])  # [2, N, A]
    assert chosen_values(values, torch.tensor([[2, 0], [1, 1]])).tolist() == [[3.0, 4.0], [8.0, 11.0]]


def test_the_gradient_reaches_the_chosen_action_only() -> None:
    values = torch.zeros(1, 2, 3, requires_grad=True)
    chosen_values(values, torch.tensor([[2, 0]])).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.tolist() == [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]


def test_greedy_actions_by_hand() -> None:
    values = torch.tensor([[[1.0, 9.0, 3.0], [-1.0, -5.0, -2.0]]])
    everything = torch.ones(1, 2, 3, dtype=torch.bool)
    assert greedy_actions(values, everything).tolist() == [[1, 0]]
    some = torch.tensor([[[True, False, True], [False, True, True]]])
    assert greedy_actions(values, some).tolist() == [[2, 2]]


@given(st.data())
def test_greedy_actions_are_available_and_none_available_is_better(data: st.DataObject) -> None:
    n_actions = data.draw(st.integers(1, 6))
    values = torch.tensor(data.draw(st.lists(NUMBERS, min_size=n_actions, max_size=n_actions)))
    flags = st.lists(st.booleans(), min_size=n_actions, max_size=n_actions).filter(any)
    available = torch.tensor(data.draw(flags))
    best = int(greedy_actions(values[None], available[None])[0])
    assert available[best]
    assert values[best] == values[available].max()


def test_targets_by_hand() -> None:
    rewards = torch.tensor([1.0, 2.0, -3.0])
    terminated = torch.tensor([False, True, False])
    next_q = torch.tensor([10.0, 100.0, -4.0])
    targets = td_targets(rewards, terminated, next_q, 0.5)
    assert targets.tolist() == [1 + 0.5 * 10, 2.0, -3 + 0.5 * -4]


def test_the_time_limit_is_bootstrapped_and_the_end_of_the_world_is_not() -> None:
    """A last step that is cut off is not `terminated`: only the flag differs, and so does the target."""
    reward, value = torch.tensor([1.0]), torch.tensor([8.0])
    assert td_targets(reward, torch.tensor([False]), value, 0.9).item() == pytest.approx(8.2)
    assert td_targets(reward, torch.tensor([True]), value, 0.9).item() == 1.0


def test_a_value_after_the_end_does_not_matter_even_if_it_is_infinite() -> None:
    assert td_targets(torch.tensor([1.0]), torch.tensor([True]), torch.tensor([torch.inf]), 0.9).item() == 1.0


@given(NUMBERS, NUMBERS, st.booleans())
def test_without_discount_of_the_future_the_target_is_the_reward(reward: float, value: float, over: bool) -> None:
    assert td_targets(torch.tensor([reward]), torch.tensor([over]), torch.tensor([value]), 0.0).item() == reward


def test_the_loss_by_hand() -> None:
    loss = td_loss(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0.0, 4.0, 5.0]))
    assert loss.item() == pytest.approx((1 + 4 + 0) / 3)


def test_no_gradient_goes_through_the_targets() -> None:
    q_tot = torch.tensor([3.0], requires_grad=True)
    targets = torch.tensor([1.0], requires_grad=True)
    td_loss(q_tot, targets).backward()  # type: ignore[no-untyped-call]
    assert targets.grad is None
    assert q_tot.grad is not None
    assert q_tot.grad.item() == pytest.approx(2 * (3 - 1))
