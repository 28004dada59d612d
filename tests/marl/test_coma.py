"""COMA by hand: counterfactual advantages, the critic's targets, the actor's loss, and who gets which gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.coma import COMA, CounterfactualCritic, counterfactual_advantages
from qredit.marl.losses import policy_gradient_loss
from qredit.marl.policies import drawn_actions, log_policy
from qredit.marl.streams import Stream, generator
from tests.marl.actor_critic_tables import (
    NOTHING_DONE,
    QUARTERS,
    A,
    N,
    all_parameters,
    episode,
    is_taught,
    only,
    policy_table,
    problem,
    random_episodes,
    table_of,
    team,
)

Q = [[1.0, 5.0, 2.0], [0.0, 3.0, 9.0], [4.0, -1.0, 0.0]]
TARGET = [[10.0, 50.0, 20.0], [7.0, 30.0, 90.0], [40.0, 60.0, -5.0]]


class TableCritic(nn.Module):
    """`Q_i(s, o_i, u_{-i}, a)`: row `o_i` of a table, and 100 for every action number of the other agent."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor(rows))

    def forward(self, states: Tensor, observations: Tensor, actions: Tensor) -> Tensor:
        return self.table[observations[..., 0].long()] + 100.0 * actions.flip(-1).unsqueeze(-1)


def coma(*, own: dict[str, Any] | None = None, **settings: Any) -> COMA:
    """Policies `QUARTERS`, online values `Q`, target values `TARGET`."""
    made = COMA(problem(own=own, algorithm="coma", **settings))
    made.actor = policy_table()
    made.critic, made.target_critic = TableCritic(Q), TableCritic(TARGET)  # type: ignore[assignment]
    made.make_optimisers(made.critic)
    return made


# Advantages


def test_advantages_by_hand() -> None:
    q = torch.tensor([[[1.0, 2.0, 4.0], [8.0, 0.0, -8.0]]])
    pi = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]])
    advantages = counterfactual_advantages(q, pi, torch.tensor([[2, 0]]))
    assert advantages.tolist() == [[4 - (0.5 + 0.5 + 1), 8 - (2 + 0 - 2)]]


@given(st.lists(st.floats(-10, 10, width=32), min_size=2 * A, max_size=2 * A))
def test_a_policys_mean_advantage_is_zero(numbers: list[float]) -> None:
    """The baseline changes no expected gradient."""
    q, logits = torch.tensor(numbers).double().reshape(2, 1, 1, A)
    pi = logits.softmax(dim=-1)  # [1, 1, A]
    advantages = torch.stack([counterfactual_advantages(q, pi, torch.tensor([[a]])) for a in range(A)], dim=-1)
    assert (pi * advantages).sum().item() == pytest.approx(0.0, abs=1e-9)


# The critic


def test_an_agents_value_depends_on_the_others_actions_and_not_on_its_own() -> None:
    torch.manual_seed(0)
    critic = CounterfactualCritic(problem())
    states, observations = torch.rand(1, 4), torch.rand(1, N, 1)
    first, second = (critic(states, observations, torch.tensor([[a, 1]])) for a in (0, 2))
    assert first.shape == (1, N, A)
    assert torch.equal(first[:, 0], second[:, 0]), "to the last bit"
    assert not torch.allclose(first[:, 1], second[:, 1])


@pytest.mark.parametrize("what", ["state", "observation", "number"])
def test_an_agents_value_depends_on_state_observation_and_number(what: str) -> None:
    torch.manual_seed(0)
    critic = CounterfactualCritic(problem())
    states, observations, actions = torch.rand(1, 4), torch.rand(1, 1, 1).expand(1, N, 1), torch.ones(1, N).long()
    q = critic(states, observations, actions)
    if what == "number":
        with torch.no_grad():
            critic.action.copy_(critic.action[:1].expand_as(critic.action))
        assert not torch.allclose(*critic(states, observations, actions)[0])
        with torch.no_grad():
            critic.identity.zero_()
        assert torch.allclose(*critic(states, observations, actions)[0])
    else:
        other = critic(states + (what == "state"), observations + (what == "observation"), actions)
        assert not torch.allclose(q, other)


# The targets. Observing rows 0 and 1 the agents do 2 and 0; then they observe rows 1 and 2 and do 1 and 2.


TWO_STEPS: dict[str, Any] = {"rows": [[0, 1], [1, 2], [2, 0]], "actions": [[2, 0], [1, 2]], "rewards": [1.0, 2.0]}
NEXT = torch.tensor([30 + 200.0, -5 + 100.0])
"""The target critic's values of the second joint action."""
DRAWN = torch.tensor([-5 + 0.0, 10 + 200.0])
"""Those of the joint action 2, 0 in rows 2 and 0."""


def targets(made: COMA, *, terminated: bool = False, rewards: Tensor | None = None) -> Tensor:
    batch = only(episode(**TWO_STEPS, terminated=terminated), 2, [2, 0])
    return made.targets(batch, team(batch) if rewards is None else rewards, NOTHING_DONE)[0]


def test_one_step_targets_follow_the_action_taken_and_at_the_time_limit_one_that_is_drawn() -> None:
    expected = torch.stack([1 + 0.9 * NEXT, 2 + 0.9 * DRAWN])
    assert torch.allclose(targets(coma(own={"n_step": 1})), expected)


def test_n_step_targets_end_with_the_episode() -> None:
    expected = torch.stack([1 + 0.9 * 2 + 0.81 * DRAWN, 2 + 0.9 * DRAWN])
    for n in (2, 10):
        assert torch.allclose(targets(coma(own={"n_step": n})), expected)


def test_td_lambda_targets_mix_them() -> None:
    one, two = 1 + 0.9 * NEXT, 1 + 0.9 * 2 + 0.81 * DRAWN
    expected = torch.stack([0.25 * one + 0.75 * two, 2 + 0.9 * DRAWN])
    assert torch.allclose(targets(coma(own={"n_step": 0, "td_lambda": 0.75})), expected)


@pytest.mark.parametrize("terminated", [False, True])
def test_nothing_follows_the_end_of_the_world_nor_a_time_limit_that_counts_as_one(terminated: bool) -> None:
    made = coma(own={"n_step": 1}, time_limit_is_terminal=not terminated)
    expected = torch.stack([1 + 0.9 * NEXT, torch.tensor([2.0, 2.0])])
    assert torch.allclose(targets(made, terminated=terminated), expected)


def test_each_agent_has_targets_of_its_own_reward() -> None:
    rewards = torch.tensor([[[1.0, 10.0], [2.0, 20.0]]])
    expected = torch.tensor([[1.0, 10.0], [2.0, 20.0]]) + 0.9 * torch.stack([NEXT, DRAWN])
    assert torch.allclose(targets(coma(own={"n_step": 1}), rewards=rewards), expected)


# The actor's loss


def test_the_actors_loss_by_hand() -> None:
    batch = episode([[0, 1], [0, 0]], [[2, 0]], [1.0], terminated=True)
    # Row 0 has the values 1 5 2 and the policy 1/2 1/4 1/4; row 1 has 0 3 9 and 1/4 1/4 1/2. What the other does
    # adds the same to all actions: the baseline takes it away.
    advantages = [2 - (0.5 + 1.25 + 0.5), 0 - (0 + 0.75 + 4.5)]
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4)  # of both
    expected = -(advantages[0] * math.log(0.25) + advantages[1] * math.log(0.25)) / 2 - 0.1 * entropy
    assert coma(own={"entropy_coefficient": 0.1}).actor_loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_actions_that_are_not_available_have_no_probability_and_no_gradient() -> None:
    made, batch = coma(own={"entropy_coefficient": 0.0}), episode([[0, 1], [0, 0]], [[2, 0]], [1.0], terminated=True)
    batch.available_actions[0, 0, 0, 1] = False  # leaves 2/3 and 1/3
    batch.available_actions[0, 0, 1] = torch.tensor([True, False, False])  # no choice: no advantage, no gradient
    advantage = 2 - (2 / 3 * 1 + 1 / 3 * 2)
    loss = made.actor_loss(batch)
    assert loss.item() == pytest.approx(-advantage * math.log(1 / 3) / 2, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = table_of(made.actor).grad
    assert gradient is not None
    # d(-A log pi_2 / 2): pi_a A / 2 for the others, -(1 - pi_2) A / 2 for the action taken.
    expected = torch.tensor([[2 / 3, 0, -2 / 3], [0, 0, 0], [0, 0, 0]]) * advantage / 2
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_the_policy_gradient_by_hand() -> None:
    log_pi = torch.tensor(QUARTERS).log().unsqueeze(1).requires_grad_()  # [3, 1, A]
    advantages = torch.tensor([[1.0], [2.0], [-4.0]], requires_grad=True)
    loss = policy_gradient_loss(log_pi, torch.tensor([[0], [0], [2]]), advantages)
    assert loss.item() == pytest.approx(-(math.log(0.5) + 2 * math.log(0.25) - 4 * math.log(0.25)) / 3)
    loss.backward()  # type: ignore[no-untyped-call]
    assert advantages.grad is None


# Gradients and updates


def test_the_actors_loss_teaches_the_actor_alone() -> None:
    made = coma()
    made.actor_loss(episode(**TWO_STEPS, terminated=True)).backward()  # type: ignore[no-untyped-call]
    assert is_taught(made.actor)
    assert not is_taught(made.critic)
    assert not is_taught(made.target_critic)


def test_an_update_moves_the_values_of_the_actions_taken_and_the_policies_where_they_were() -> None:
    made = coma(own={"critic_updates": 1, "n_step": 1}, target_update_tau=0.25)
    batch = episode([[0, 1], [2, 2]], [[2, 0]], [1000.0], terminated=True)
    learned = made.update(batch, team(batch), NOTHING_DONE)
    assert learned.updates == 1
    critic, target = table_of(made.critic), table_of(made.target_critic)
    moved = torch.tensor([[0, 0, 1.0], [1.0, 0, 0], [0, 0, 0]])
    # Adam's first step has the size of the learning rate; the targets are above, so values rise.
    assert torch.allclose(critic, torch.tensor(Q) + 0.01 * moved, atol=1e-5)
    assert torch.allclose(target, 0.75 * torch.tensor(TARGET) + 0.25 * critic)
    policies = table_of(made.actor).detach().softmax(dim=-1)
    assert torch.equal((policies - torch.tensor(QUARTERS)).abs().amax(dim=-1) > 1e-4, torch.tensor([True, True, False]))


def test_the_target_critic_waits_for_its_interval() -> None:
    made = coma(own={"critic_updates": 3}, target_update_interval=5, target_update_tau=1.0)
    batch = episode(**TWO_STEPS, terminated=True)
    made.update(batch, team(batch), NOTHING_DONE)
    assert table_of(made.target_critic).tolist() == TARGET
    learned = made.update(batch, team(batch), dataclasses.replace(NOTHING_DONE, updates=3))
    assert learned.updates == 6
    assert table_of(made.target_critic).tolist() != TARGET


@pytest.mark.parametrize("recurrent", [False, True])
def test_padding_changes_nothing_that_is_learnt(recurrent: bool) -> None:
    ends = []
    for padding, nonsense in ((0, 0.0), (3, 5.0)):
        torch.manual_seed(0)
        made = COMA(problem(algorithm="coma", recurrent=recurrent))
        batch = random_episodes(1, padding=padding, nonsense=nonsense)
        learned = made.update(batch, team(batch), NOTHING_DONE)
        ends.append((learned.loss, list(all_parameters(made.networks))))
    assert ends[0][0].item() == pytest.approx(ends[1][0].item(), abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ends[0][1], ends[1][1], strict=True))


# Drawn actions


def test_drawn_actions_have_the_policys_frequencies() -> None:
    log_pi = log_policy(torch.tensor([2.0, 1.0, 1.0]).log(), torch.tensor([True, False, True]))
    drawn = drawn_actions(log_pi.expand(3000, 1, A), generator(Stream.NEXT_ACTIONS, 0))
    counts = drawn.flatten().bincount(minlength=A) / 3000
    assert counts[1] == 0
    assert counts[0].item() == pytest.approx(2 / 3, abs=0.04)  # more than four standard deviations


@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=A, max_size=A).filter(any))
def test_drawn_actions_are_available_and_the_same_for_the_same_numbers(seed: int, flags: list[bool]) -> None:
    log_pi = log_policy(torch.zeros(4, N, A), torch.tensor(flags))
    first, second = (drawn_actions(log_pi, generator(Stream.NEXT_ACTIONS, seed, 7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.tensor(flags)[first].all()


@pytest.mark.parametrize("own", [{"n_step": -1}, {"td_lambda": 1.5}, {"critic_updates": 0}])
def test_options_that_make_no_sense_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="COMA options"):
        coma(own=own)
