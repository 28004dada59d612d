"""IPPO and MAPPO: the clipped loss by hand, who sees what, and whose reward teaches."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

import pytest
import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import Problem
from qredit.marl.algorithms.ippo import IPPO, PPOOptions
from qredit.marl.algorithms.mappo import MAPPO
from qredit.marl.checkpoint import Counters
from qredit.marl.losses import ppo_loss
from qredit.marl.policies import entropy, log_policy
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from tests.marl.conftest import Graphs

N, A, S, T = 2, 3, 4, 4
OBSERVATION = 3
SETTINGS = TrainSettings(algorithm="ippo", hidden_size=8, standardise_rewards=False, learning_rate=1e-2)


class Sizes:
    """Nothing but the sizes of an environment."""

    layout = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
    n_agents, n_actions, observation_size, time_limit = N, A, OBSERVATION, T


def problem(settings: TrainSettings = SETTINGS, credit: CreditGraph | None = None) -> Problem:
    torch.manual_seed(0)
    return Problem(Sizes(), settings, torch.device("cpu"), credit)


def batch(seed: int = 0, lengths: tuple[int, ...] = (4, 2, 3)) -> Episodes:
    rng = torch.Generator().manual_seed(seed)
    e = len(lengths)
    filled = torch.arange(T) < torch.tensor(lengths)[:, None]
    return Episodes(
        observations=torch.randn(e, T + 1, N, OBSERVATION, generator=rng),
        states=torch.rand(e, T + 1, S, generator=rng),
        available_actions=torch.ones(e, T + 1, N, A, dtype=torch.bool),
        actions=torch.randint(0, A, (e, T, N), generator=rng),
        rewards=torch.randn(e, T, generator=rng) * filled,
        agent_rewards=torch.randn(e, T, N, generator=rng) * filled.unsqueeze(-1),
        terminated=torch.zeros(e, T, dtype=torch.bool),
        filled=filled,
        credit=torch.zeros(e, T + 1, 0),
    )


def parameters(made: IPPO) -> list[Tensor]:
    return [p.detach().clone() for network in made.networks.values() for p in network.parameters()]


# Pure functions


def test_a_policy_knows_available_actions_only() -> None:
    log_pi = log_policy(torch.tensor([[1.0, 7.0, 1.0]]), torch.tensor([[True, False, True]]))
    assert log_pi.exp().tolist() == [[0.5, 0.0, 0.5]]
    assert entropy(log_pi).tolist() == pytest.approx([math.log(2)])


def test_the_gradient_of_the_entropy_is_finite_where_actions_are_not_available() -> None:
    logits = torch.tensor([[1.0, 7.0, 2.0]], requires_grad=True)
    entropy(log_policy(logits, torch.tensor([[True, False, True]]))).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 1] == 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "gain"),
    [(1.0, 2.0, 2.0), (1.5, 2.0, 1.2 * 2), (0.5, 2.0, 0.5 * 2), (1.5, -2.0, 1.5 * -2), (0.5, -2.0, 0.8 * -2)],
)
def test_the_clipped_surrogate_by_hand(ratio: float, advantage: float, gain: float) -> None:
    log_pi = torch.tensor([[math.log(ratio)]])
    loss = ppo_loss(log_pi, torch.zeros(1, 1), torch.tensor([[advantage]]), 0.2)
    assert loss.item() == pytest.approx(-gain)


# Updates


@pytest.mark.parametrize("kind", [IPPO, MAPPO])
@pytest.mark.parametrize("recurrent", [False, True])
def test_padding_does_not_matter(kind: type[IPPO], recurrent: bool) -> None:
    ends = []
    for nonsense in (0.0, 1e3):
        made = kind(problem(dataclasses.replace(SETTINGS, recurrent=recurrent)))
        episodes = batch()
        episodes.observations[~episodes.reached] = nonsense
        episodes.states[~episodes.reached] = nonsense
        episodes.actions[~episodes.filled] = int(nonsense) % A
        made.learn(episodes, Counters())
        ends.append(parameters(made))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*ends, strict=True))


def test_an_action_that_paid_becomes_more_likely() -> None:
    made = IPPO(problem(dataclasses.replace(SETTINGS, own={"normalise_advantages": False, "entropy_coefficient": 0.0})))
    episodes = batch(lengths=(1, 1, 1))
    episodes.rewards[:, 0] = 5.0
    episodes.terminated[:, 0] = True
    before = made._log_probabilities(episodes)[0].detach()
    made.learn(episodes, Counters())
    assert (made._log_probabilities(episodes)[0] > before).all()


@pytest.mark.parametrize("kind", [IPPO, MAPPO])
def test_whose_critic_sees_what(kind: type[IPPO]) -> None:
    made, episodes = kind(problem()), batch()
    inputs = made.critic_inputs(episodes)
    expected = (3, T + 1, N, OBSERVATION if kind is IPPO else S)
    assert inputs.shape == expected
    if kind is MAPPO:
        assert torch.equal(inputs[:, :, 0], inputs[:, :, 1])


@pytest.mark.parametrize("own", [{"gae_lambda": 1.0}, {"n_step": T}])
def test_what_follows_the_time_limit_is_worth_what_the_target_critic_says(own: dict[str, float]) -> None:
    made = MAPPO(problem(dataclasses.replace(SETTINGS, own=own, gamma=0.5)))
    for parameter in made.target_critic.parameters():
        parameter.data.zero_()
    made.target_critic.head.bias.data.fill_(16.0)
    episodes = batch(lengths=(4, 2, 3))
    episodes.terminated[1, 1] = True
    returns, _ = made._estimates(episodes, torch.ones(3, T, N) * episodes.filled.unsqueeze(-1))
    one = [[2.875, 3.75, 5.5, 9.0], [1.5, 1.0], [3.75, 5.5, 9.0]]
    assert returns[..., 0][episodes.filled].tolist() == pytest.approx([g for episode in one for g in episode])


def test_the_target_critic_follows_slowly() -> None:
    made = IPPO(problem(dataclasses.replace(SETTINGS, own={"epochs": 1}, target_update_tau=0.25)))
    before = [p.clone() for p in made.target_critic.parameters()]
    made.learn(batch(), Counters())
    now = zip(made.target_critic.parameters(), before, made.critic.parameters(), strict=True)
    assert all(torch.allclose(target, 0.75 * old + 0.25 * online, atol=1e-7) for target, old, online in now)


def test_every_pass_counts_and_options_are_checked() -> None:
    made = IPPO(problem(dataclasses.replace(SETTINGS, own={"epochs": 3, "minibatches": 2})))
    assert made.learn(batch(), Counters(updates=5)).updates == 5 + 6
    with pytest.raises(ConfigurationError, match="above 0"):
        PPOOptions(clip=0.0)
    with pytest.raises(ConfigurationError, match="option `epochs` of `ippo`"):
        IPPO(problem(dataclasses.replace(SETTINGS, own={"epochs": 2.5})))


# Whose reward teaches


def test_shares_of_one_train_like_the_teams_reward(graphs: type[Graphs]) -> None:
    ends = []
    for rewards in ("team", "shares"):
        graph = graphs(N, 2 * S + N).ones(form="shares") if rewards == "shares" else None
        settings = dataclasses.replace(SETTINGS, rewards=rewards, standardise_rewards=True)
        made = IPPO(problem(settings, graph))
        made.learn(batch(), Counters())
        ends.append(parameters(made))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_shares_are_asked_for_what_happened(graphs: type[Graphs]) -> None:
    """The shares are the first two numbers of the state, brought to the sum `N`."""
    graph = graphs(N, 2 * S + N).first_numbers(form="shares")
    made = IPPO(problem(dataclasses.replace(SETTINGS, rewards="shares"), graph))
    episodes = batch()
    found = made._agent_rewards(episodes)
    first = episodes.states[:, :-1, :N]
    expected = N * first / first.sum(dim=-1, keepdim=True) * episodes.rewards.unsqueeze(-1)
    assert torch.allclose(found[episodes.filled], expected[episodes.filled])
    assert not found[~episodes.filled].any()


@pytest.mark.parametrize("rewards", ["team", "individual"])
def test_individual_rewards_have_the_scale_of_the_teams(rewards: Literal["team", "individual"]) -> None:
    made = IPPO(problem(dataclasses.replace(SETTINGS, rewards=rewards)))
    episodes = batch()
    team = dataclasses.replace(episodes, rewards=episodes.agent_rewards.sum(dim=-1))
    assert torch.allclose(made._agent_rewards(team).mean(dim=-1), team.rewards, atol=1e-6)
