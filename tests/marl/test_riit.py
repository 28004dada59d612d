"""RIIT by hand: on-policy and off-policy targets, the actors' climb through the mixer, and its replay."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms import Problem
from qredit.marl.algorithms import riit as module
from qredit.marl.algorithms.riit import RIIT, RIITQLLM
from qredit.marl.checkpoint import Counters
from qredit.marl.mixers import Mixer, VDNMixer
from qredit.marl.streams import Stream, generator
from tests.marl.actor_critic_tables import (
    NOTHING_DONE,
    QUARTERS,
    A,
    Table,
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

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from tests.marl.conftest import Graphs

Q = [[1.0, 5.0, 2.0], [0.0, 3.0, 9.0], [4.0, -1.0, 0.0]]
TARGET = [[10.0, 50.0, 20.0], [7.0, 30.0, 90.0], [40.0, 60.0, -5.0]]
TWO_STEPS: dict[str, Any] = {"rows": [[0, 1], [1, 2], [2, 0]], "actions": [[2, 0], [1, 2]], "rewards": [1.0, 2.0]}
ONE_STEP: dict[str, Any] = {"rows": [[0, 1], [0, 0]], "actions": [[2, 0]], "rewards": [1.0], "terminated": True}


class LinearCritic(Table):
    """`Q_i(o_i, x_i) = sum_a x_i(a) q(o_i, a)`."""

    def forward(self, observations: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        row, x = observations[..., 0].long(), observations[..., 1:]
        return (self.table[row] * x).sum(dim=-1, keepdim=True), None


class Sum(RIIT):
    """RIIT whose critic is a sum."""

    def make_mixer(self, problem: Problem) -> Mixer:
        return VDNMixer()


def riit(kind: type[RIIT] = Sum, *, credit: CreditGraph | None = None, own: Any = None, **settings: Any) -> RIIT:
    """Policies `QUARTERS`, online values `Q`, target values `TARGET`."""
    made = kind(problem(credit=credit, own=own, algorithm="riit", **settings))
    made.actor, made.agent_critic = policy_table(), LinearCritic(Q)
    made.critic = nn.ModuleDict({"agents": made.agent_critic, "mixer": made.mixer})
    made.target_critic["agents"] = LinearCritic(TARGET)
    made.make_optimisers(made.critic)
    return made


# The critic's targets


@pytest.mark.parametrize(
    ("terminated", "limit_is_terminal", "last"), [(False, False, -5 + 10.0), (True, False, 0.0), (False, True, 0.0)]
)
def test_on_policy_targets_are_td_lambda_with_the_actions_taken(
    terminated: bool, limit_is_terminal: bool, last: float
) -> None:
    """The target critic gives 30 - 5 to the second joint action; at the time limit 2, 0 is all that can be drawn."""
    made = riit(own={"td_lambda": 0.75}, time_limit_is_terminal=limit_is_terminal)
    batch = only(episode(**TWO_STEPS, terminated=terminated), 2, [2, 0])
    second = 2 + 0.9 * last
    first = 1 + 0.9 * (0.25 * 25 + 0.75 * second)
    targets = made.targets(batch, team(batch)[..., :1], 0, on_policy=True)
    assert targets.tolist() == [[pytest.approx(first)], [pytest.approx(second)]]


def test_off_policy_targets_are_one_step_with_the_present_policies_next_actions() -> None:
    batch = only(only(episode(**TWO_STEPS, terminated=False), 1, [0, 1]), 2, [2, 0])
    targets = riit().targets(batch, team(batch)[..., :1], 0, on_policy=False)
    expected = [1 + 0.9 * (7 + 60), 2 + 0.9 * (-5 + 10)]
    assert targets.flatten().tolist() == pytest.approx(expected)


def test_weights_enter_the_target(graphs: type[Graphs]) -> None:
    states = [[1.0, 1.0, 0, 0], [3.0, 1.0, 0, 0], [1.0, 1.0, 0, 0]]  # the second weights are 3/2 and 1/2
    batch = only(episode(**TWO_STEPS, terminated=True, states=states), 2, [2, 0])
    made = riit(RIITQLLM, credit=graphs(2, 4).first_numbers(), own={"td_lambda": 0.0})
    targets = made.targets(batch, team(batch)[..., :1], 0, on_policy=True)
    assert targets.flatten().tolist() == pytest.approx([1 + 0.9 * (1.5 * 30 - 0.5 * 5), 2.0])


# The actor's loss


def test_the_actors_loss_by_hand() -> None:
    made = riit(own={"entropy_coefficient": 0.1})
    q_tot = (0.5 * 1 + 0.25 * 5 + 0.25 * 2) + (0.25 * 0 + 0.25 * 3 + 0.5 * 9)
    # The entropy divided by itself is 1.
    assert made.actor_loss(episode(**ONE_STEP)).item() == pytest.approx(-q_tot - 0.1)


def actor_gradient(made: RIIT, states: list[list[float]] | None = None) -> Tensor:
    made.actor_loss(episode(**ONE_STEP, states=states)).backward()  # type: ignore[no-untyped-call]
    gradient = table_of(made.actor).grad
    assert gradient is not None
    return gradient


def expected_gradient(weights: tuple[float, float]) -> Tensor:
    """`d(-w pi q)/d logit_a = -w pi_a (q_a - pi q)`, in the rows of the two agents."""
    q, pi = torch.tensor(Q[:2]), torch.tensor(QUARTERS[:2])
    rows = -torch.tensor(weights).unsqueeze(-1) * pi * (q - (pi * q).sum(dim=-1, keepdim=True))
    return torch.cat([rows, torch.zeros(1, A)])


def test_the_actor_climbs_the_teams_value() -> None:
    gradient = actor_gradient(riit(own={"entropy_coefficient": 0.0}))
    assert torch.allclose(gradient, expected_gradient((1.0, 1.0)), atol=1e-6)


def test_a_credit_functions_weights_scale_the_agents_gradients(graphs: type[Graphs]) -> None:
    made = riit(RIITQLLM, credit=graphs(2, 4).first_numbers(), own={"entropy_coefficient": 0.0})
    gradient = actor_gradient(made, states=[[3.0, 1.0, 0, 0], [0.0] * 4])
    assert torch.allclose(gradient, expected_gradient((1.5, 0.5)), atol=1e-6)


def test_the_entropys_gradient_is_divided_by_the_entropy() -> None:
    made = riit(own={"entropy_coefficient": 1.0})
    with torch.no_grad():
        table_of(made.agent_critic).zero_()
    gradient = actor_gradient(made)[0]
    pi = torch.tensor(QUARTERS[0])
    entropy = -(pi * pi.log()).sum()  # both agents have the same, so their mean's share is a half
    assert torch.allclose(gradient, 0.5 * pi * (pi.log() + entropy) / entropy, atol=1e-6)


def test_certain_policies_give_a_finite_loss() -> None:
    made, batch = riit(), only(episode(**ONE_STEP), 0, [2, 0])
    loss = made.actor_loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(-2.0)
    gradient = table_of(made.actor).grad
    assert gradient is not None
    assert not gradient.any()


def test_actions_that_are_not_available_have_no_gradient() -> None:
    made, batch = riit(own={"entropy_coefficient": 0.0}), episode(**ONE_STEP)
    batch.available_actions[0, 0, 0, 1] = False  # leaves 2/3 and 1/3, worth 1 and 2
    batch.available_actions[0, 0, 1, :2] = False
    loss = made.actor_loss(batch)
    assert loss.item() == pytest.approx(-(2 / 3 + 2 / 3 + 9))
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = table_of(made.actor).grad
    assert gradient is not None
    assert torch.allclose(gradient, torch.tensor([[2 / 9, 0, -2 / 9], [0, 0, 0], [0, 0, 0]]), atol=1e-6)


# Gradients and updates


def test_a_step_of_the_actor_leaves_no_gradient_in_the_critic() -> None:
    made, batch = riit(RIIT), episode(**ONE_STEP)
    made.actor_optimiser.descend(made.actor_loss(batch))
    assert is_taught(made.actor)
    assert not is_taught(made.critic)
    assert not is_taught(made.target_critic)


def test_an_update_moves_the_values_of_the_actions_taken_and_all_networks_by_their_share() -> None:
    made = riit(own={"off_policy": False}, target_update_tau=0.25)
    batch = episode([[0, 1], [2, 2]], [[2, 0]], [1000.0], terminated=True)
    assert made.update(batch, team(batch), dataclasses.replace(NOTHING_DONE, updates=5)).updates == 6
    online, target = table_of(made.agent_critic), table_of(made.target_critic["agents"])
    moved = torch.tensor([[0, 0, 1.0], [1.0, 0, 0], [0, 0, 0]])
    # Adam's first step has the size of the learning rate; the target is above, so values rise.
    assert torch.allclose(online, torch.tensor(Q) + 0.01 * moved, atol=1e-5)
    assert torch.allclose(target, 0.75 * torch.tensor(TARGET) + 0.25 * online)
    policies = table_of(made.actor).detach().softmax(dim=-1)
    assert (policies > torch.tensor(QUARTERS) + 1e-4).tolist() == [
        [False, True, False],  # worth 1, 5, 2
        [False, False, True],  # worth 0, 3, 9
        [False, False, False],
    ]


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("on_policy", [False, True])
def test_padding_changes_nothing_that_is_learnt(recurrent: bool, on_policy: bool) -> None:
    ends = []
    for padding, nonsense in ((0, 0.0), (3, 5.0)):
        torch.manual_seed(0)
        made = RIIT(problem(algorithm="riit", recurrent=recurrent))
        batch = random_episodes(1, padding=padding, nonsense=nonsense)
        targets = made.targets(batch, team(batch)[..., :1], 0, on_policy=on_policy)
        learned = made.update(batch, team(batch), NOTHING_DONE)
        ends.append((learned.loss, [targets, *all_parameters(made.networks)]))
    assert ends[0][0].item() == pytest.approx(ends[1][0].item(), abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ends[0][1], ends[1][1], strict=True))


# Replay


@pytest.mark.parametrize(("off_policy", "updates"), [(False, [1, 2, 3]), (True, [1, 4, 7])])
def test_off_policy_updates_begin_once_there_is_a_batch(off_policy: bool, updates: list[int]) -> None:
    own = {"off_policy": off_policy}
    made = RIIT(problem(algorithm="riit", batch_episodes=6, updates_per_collection=2, own=own))
    done, counted = NOTHING_DONE, []
    for k in range(3):  # 5, 10 and 15 episodes
        done = dataclasses.replace(done, collections=k, updates=made.learn(random_episodes(k), done).updates)
        counted.append(done.updates)
    assert counted == updates
    assert ("replay.lengths" in made.more_tensors()) == off_policy


def test_a_batch_is_learnt_in_the_units_of_the_rewards() -> None:
    """Rewards 7 and 1 are 1 and -1; the whole buffer is one batch, so both updates see the same steps."""
    made = riit(standardise_rewards=True, batch_episodes=2, n_environments=2, updates_per_collection=1)
    seen: list[Tensor] = []
    targets = made.targets

    def listen(*arguments: Any, **more: Any) -> Tensor:
        seen.append(targets(*arguments, **more).flatten().sort().values)
        return seen[-1]

    made.targets = listen  # type: ignore[method-assign]
    parts = [episode(**{**ONE_STEP, "rewards": [reward]}, padding=3) for reward in (7.0, 1.0)]
    names = parts[0].tensors()
    made.learn(type(parts[0])(**{n: torch.cat([p.tensors()[n] for p in parts]) for n in names}), NOTHING_DONE)
    assert [found.tolist() for found in seen] == [pytest.approx([-1.0, 1.0])] * 2


def test_no_two_updates_draw_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Stream, int, int]] = []

    def listen(stream: Stream, seed: int, counter: int = 0) -> np.random.Generator:
        asked.append((stream, seed, counter))
        return generator(stream, seed, counter)

    monkeypatch.setattr(module, "generator", listen)
    made, done = RIIT(problem(algorithm="riit", updates_per_collection=3)), NOTHING_DONE
    for k in range(3):
        done = dataclasses.replace(done, collections=k, updates=made.learn(random_episodes(k), done).updates)
    assert len(asked) == len(set(asked)) == 3 * (4 + 3)


def test_both_critics_know_how_far_the_training_is(graphs: type[Graphs]) -> None:
    made = riit(RIITQLLM, credit=graphs(2, 4).first_numbers(), credit_strength_end=0.0, credit_anneal_steps=100)
    made.learn(random_episodes(0), Counters(environment_steps=75))
    states, values = torch.tensor([[3.0, 1.0, 0, 0]]), torch.tensor([[8.0, 16.0]])  # weights 3/2, 1/2, a quarter of it
    for critic in (made.critic, made.target_critic):
        mixer = module.mixer_of(critic)
        assert mixer.mix(values, states, torch.zeros(1, 0)).item() == pytest.approx(8 * 1.125 + 16 * 0.875)


# Ones are VDN


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(
    "case", [{"scale": "sum_to_n"}, {"scale": "raw"}, {"placebo": "uniform"}, {"credit_strength": 0.0}], ids=str
)
def test_ones_train_exactly_like_a_sum(graphs: type[Graphs], recurrent: bool, case: dict[str, Any]) -> None:
    settings = {name: value for name, value in case.items() if name != "scale"}
    graph = graphs(2, 4).first_numbers() if settings else graphs(2, 4).ones(scale=case["scale"])
    ends = []
    for kind, credit in ((Sum, None), (RIITQLLM, graph)):
        torch.manual_seed(1)
        made = kind(problem(credit=credit, algorithm="riit", standardise_rewards=True, recurrent=recurrent, **settings))
        losses = [made.learn(random_episodes(k), Counters(collections=k, updates=9 * k)).loss.item() for k in range(3)]
        ends.append((losses, list(all_parameters(made.networks))))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="RIIT options"):
        riit(own={"td_lambda": -0.1})
