"""VMIX by hand: the mixed value and its returns, one advantage for all, and a credit function in the mixer's place."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms import Problem
from qredit.marl.algorithms.riit import RIIT
from qredit.marl.algorithms.vmix import VMIX, VMIXQLLM
from qredit.marl.checkpoint import Counters
from qredit.marl.mixers import Mixer, VDNMixer
from tests.marl.actor_critic_tables import (
    NOTHING_DONE,
    Table,
    all_parameters,
    episode,
    is_taught,
    policy_table,
    problem,
    random_episodes,
    table_of,
    team,
)

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from tests.marl.conftest import Graphs

VALUES = [[10.0], [20.0], [40.0]]
TWO_STEPS: dict[str, Any] = {"rows": [[0, 1], [1, 2], [2, 0]], "actions": [[2, 0], [1, 2]], "rewards": [1.0, 2.0]}
"""The sums of the agents' values are 30, 60 and 50."""


class Sum(VMIX):
    """VDAC-sum."""

    def make_mixer(self, problem: Problem) -> Mixer:
        return VDNMixer()


def vmix(kind: type[VMIX] = Sum, *, credit: CreditGraph | None = None, own: Any = None, **settings: Any) -> VMIX:
    """Policies `QUARTERS`, values `VALUES`."""
    made = kind(problem(credit=credit, own=own, algorithm="vmix", **settings))
    made.actor, made.agent_critic = policy_table(), Table(VALUES)
    made.critic = nn.ModuleDict({"agents": made.agent_critic, "mixer": made.mixer})
    made.make_optimisers(made.critic)
    return made


# Returns and advantages


@pytest.mark.parametrize(
    ("terminated", "limit_is_terminal", "last"), [(False, False, 50.0), (True, False, 0.0), (False, True, 0.0)]
)
def test_returns_and_advantages_by_hand(terminated: bool, limit_is_terminal: bool, last: float) -> None:
    made = vmix(own={"td_lambda": 0.75}, time_limit_is_terminal=limit_is_terminal)
    batch = episode(**TWO_STEPS, terminated=terminated)
    returns, advantages = made.estimates(batch, team(batch))
    second = 2 + 0.9 * last
    first = 1 + 0.9 * (0.25 * 60 + 0.75 * second)
    assert returns.tolist() == [[pytest.approx(first)], [pytest.approx(second)]]
    assert advantages.tolist() == [[pytest.approx(first - 30)], [pytest.approx(second - 60)]]


def test_normalised_advantages_have_mean_0_and_deviation_1() -> None:
    made = vmix(own={"normalise_advantages": True})
    batch = episode(**TWO_STEPS, terminated=True)
    assert made.estimates(batch, team(batch))[1].flatten().tolist() == pytest.approx([1.0, -1.0])


def test_weights_and_bias_enter_the_value(graphs: type[Graphs]) -> None:
    states = [[1.0, 3.0, 7.0, 0.0], [3.0, 1.0, -8.0, 0.0], [1.0, 1.0, 0.0, 0.0]]  # weights 1/2 3/2, 3/2 1/2, 1 1
    batch = episode(**TWO_STEPS, terminated=False, states=states)
    made = vmix(VMIXQLLM, credit=graphs(2, 4).first_numbers(bias_of=2))
    expected = [[5 + 30 + 7.0], [30 + 20 - 8.0], [50.0]]
    for credit in (batch.credit, made.mixer.keep(batch, 0)):
        values = made.v_tot(dataclasses.replace(batch, credit=credit), batch.rows.reached)
        assert values.tolist() == expected


def test_the_bias_is_in_the_units_of_the_rewards(graphs: type[Graphs]) -> None:
    made = vmix(VMIXQLLM, credit=graphs(2, 4).ones(bias_of=2), standardise_rewards=True)
    batch = episode(**TWO_STEPS, terminated=True, states=[[0, 0, 6.0, 0]] * 3)
    made.learn(batch, NOTHING_DONE)  # the rewards 1 and 2 have the deviation 0.5
    agents = table_of(made.agent_critic).flatten()[torch.tensor(TWO_STEPS["rows"])].sum(dim=1)
    bias = made.v_tot(batch, batch.rows.reached).flatten() - agents
    assert bias.tolist() == pytest.approx([12.0] * 3, rel=1e-4)


def test_the_strength_of_the_credit_is_annealed(graphs: type[Graphs]) -> None:
    made = vmix(
        VMIXQLLM, credit=graphs(2, 4).first_numbers(), credit_strength_end=0.0, credit_anneal_steps=100
    )  # at the end it is VDN
    batch = episode(**TWO_STEPS, terminated=True, states=[[1.0, 3.0, 0, 0]] * 3)
    for steps, expected in ((0, 35.0), (50, 32.5), (1000, 30.0)):
        made.prepare(made.mixer, Counters(environment_steps=steps))
        assert made.v_tot(batch, batch.rows.reached)[0].item() == pytest.approx(expected)


# The actor's loss


def test_the_actors_loss_by_hand() -> None:
    batch = episode([[0, 1], [0, 0]], [[2, 0]], [1.0], terminated=True)
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4)  # of both policies; both actions have the probability 1/4
    loss = vmix(own={"entropy_coefficient": 0.1}).actor_loss(batch, torch.tensor([[3.0]]))
    assert loss.item() == pytest.approx(-3 * math.log(0.25) - 0.1 * entropy, rel=1e-5)


def test_actions_that_are_not_available_have_no_gradient() -> None:
    batch = episode([[0, 1], [0, 0]], [[2, 0]], [1.0], terminated=True)
    batch.available_actions[0, 0, 0, 1] = False  # leaves 2/3 and 1/3
    batch.available_actions[0, 0, 1] = torch.tensor([True, False, False])
    made = vmix(own={"entropy_coefficient": 0.0})
    made.actor_loss(batch, torch.tensor([[3.0]])).backward()  # type: ignore[no-untyped-call]
    gradient = table_of(made.actor).grad
    assert gradient is not None
    expected = torch.tensor([[2 / 3, 0, -2 / 3], [0, 0, 0], [0, 0, 0]]) * 3 / 2
    assert torch.allclose(gradient, expected, atol=1e-6)


# Gradients and updates


def test_each_loss_teaches_its_own_network() -> None:
    made, batch = vmix(VMIX), episode(**TWO_STEPS, terminated=True)
    _, advantages = made.estimates(batch, team(batch))
    made.actor_loss(batch, advantages).backward()  # type: ignore[no-untyped-call]
    assert is_taught(made.actor)
    assert not is_taught(made.critic)
    made.actor_optimiser.zero_grad()
    made.v_tot(batch, batch.rows.before).sum().backward()  # type: ignore[no-untyped-call]
    assert not is_taught(made.actor)
    assert is_taught(made.agent_critic)
    assert is_taught(made.mixer)


def test_an_update_moves_values_towards_the_returns_and_makes_good_actions_likelier() -> None:
    made = vmix(own={"critic_updates": 1, "td_lambda": 1.0})
    batch = episode([[0, 1], [2, 2]], [[2, 0]], [1000.0], terminated=True)
    assert made.update(batch, team(batch), dataclasses.replace(NOTHING_DONE, updates=5)).updates == 6
    # Adam's first step has the size of the learning rate; the return is above, so values rise.
    assert table_of(made.agent_critic).flatten().tolist() == pytest.approx([10.01, 20.01, 40.0])
    policies = table_of(made.actor).softmax(dim=-1)
    assert policies[0, 2] > 0.25
    assert policies[1, 0] > 0.25


@pytest.mark.parametrize("recurrent", [False, True])
def test_padding_changes_nothing_that_is_learnt(recurrent: bool) -> None:
    ends = []
    for padding, nonsense in ((0, 0.0), (3, 5.0)):
        torch.manual_seed(0)
        made = VMIX(problem(algorithm="vmix", recurrent=recurrent))
        batch = random_episodes(1, padding=padding, nonsense=nonsense)
        learned = made.update(batch, team(batch), NOTHING_DONE)
        ends.append((learned.loss, list(all_parameters(made.networks))))
    assert ends[0][0].item() == pytest.approx(ends[1][0].item(), abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ends[0][1], ends[1][1], strict=True))


@pytest.mark.parametrize("kind", [VMIX, RIIT])
@given(st.integers(0, 1000), st.floats(0, 10, width=32), st.integers(0, 1))
def test_the_teams_value_never_falls_with_an_agents(
    kind: type[VMIX | RIIT], seed: int, more: float, agent: int
) -> None:
    torch.manual_seed(seed)
    mixer = kind(problem()).mixer
    values, states, credit = torch.randn(6, 2), torch.rand(6, 4), torch.zeros(6, 0)
    raised = values.clone()
    raised[:, agent] += more
    assert (mixer.mix(raised, states, credit) >= mixer.mix(values, states, credit) - 1e-5).all()


# Ones are VDN


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(
    "case", [{"scale": "sum_to_n"}, {"scale": "raw"}, {"placebo": "uniform"}, {"credit_strength": 0.0}], ids=str
)
def test_ones_train_exactly_like_a_sum(graphs: type[Graphs], recurrent: bool, case: dict[str, Any]) -> None:
    settings = {name: value for name, value in case.items() if name != "scale"}
    graph = graphs(2, 4).first_numbers() if settings else graphs(2, 4).ones(scale=case["scale"])
    ends = []
    for kind, credit in ((Sum, None), (VMIXQLLM, graph)):
        torch.manual_seed(1)
        made = kind(problem(credit=credit, algorithm="vmix", standardise_rewards=True, recurrent=recurrent, **settings))
        losses = [made.learn(random_episodes(k), Counters(collections=k)).loss.item() for k in range(3)]
        ends.append((losses, list(all_parameters(made.networks))))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


def test_the_share_of_states_in_which_the_credit_is_not_vdns(graphs: type[Graphs]) -> None:
    made = vmix(VMIXQLLM, credit=graphs(2, 4).first_numbers())
    assert made.vdn_difference() is None
    made.learn(episode(**TWO_STEPS, terminated=True, states=[[1, 1, 0, 0], [3, 1, 0, 0], [5, 1, 0, 0]]), NOTHING_DONE)
    assert made.vdn_difference() == 0.5  # nobody acted in the last one
    assert vmix(VMIX).vdn_difference() is None


@pytest.mark.parametrize("own", [{"td_lambda": -0.1}, {"critic_updates": 0}])
def test_options_that_make_no_sense_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="VMIX options"):
        vmix(own=own)
