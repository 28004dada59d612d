"""Qatten's mixing module: by hand, monotone, and what its attention looks at."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import algorithm_of
from qredit.marl.mixers.qatten import QattenMixer
from qredit.marl.settings import TrainSettings

LAYOUT = StateLayout(
    (
        StateField("position", (3, 2), "cells", 0, 9, "Positions.", ("agents",), (0,)),
        StateField("food", (2,), "cells", 0, 9, "Food.", ("foods",)),
        StateField("distance", (3, 3), "cells", 0, 9, "From each agent to each.", ("agents",), (0, 1)),
    )
)
UNCUT = StateLayout((StateField("numbers", (4,), "-", 0, 1, "Numbers.", ("x",)),))
N, S = 3, LAYOUT.size


def qatten(seed: int, layout: StateLayout = LAYOUT, n_agents: int = N) -> QattenMixer:
    torch.manual_seed(seed)
    return QattenMixer(layout=layout, n_agents=n_agents, heads=2, key_size=5, hypernet_size=7)


def batch(seed: int, size: int = S, b: int = 4, t: int = 3) -> tuple[Tensor, Tensor]:
    """Agents' values `[B, T, N]` and states `[B, T, S]` inside the layout's ranges."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(b, t, N, generator=rng) * 3, torch.rand(b, t, size, generator=rng) * 9


# By hand


def by_hand() -> QattenMixer:
    """One head with keys of one number; its three hidden layers are `s_0`, `s_1` and `s_0 + s_1`."""
    layout = StateLayout((StateField("own", (2,), "-", 0, 1, "A number of each agent's.", ("agents",), (0,)),))
    mixer = QattenMixer(layout=layout, n_agents=2, heads=1, key_size=1, hypernet_size=1)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        mixer.first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        mixer.queries.weight.fill_(math.log(3) * 2)
        mixer.keys.weight.fill_(1.0)
        mixer.head_weights.weight.fill_(-4.0)
        mixer.constant.bias.fill_(10.0)
        mixer.constant.weight.fill_(2.0)
    return mixer


def test_a_team_of_two_by_hand() -> None:
    # s = (1/2, 0): the query is log 3, the keys are 1/2 and 0, so the attention is sqrt 3 : 1.
    # s = (1/2, 1): the query is log 3, the keys are 1/2 and 1, so the attention is 1 : sqrt 3, and w = |-4 * 1|.
    mixer, root = by_hand(), math.sqrt(3)
    states = torch.tensor([[[0.5, 0.0], [0.5, 1.0]]])
    expected = [[0.0, 0.0], [4 / (1 + root), 4 * root / (1 + root)]]
    assert mixer.credit(states).tolist() == [[pytest.approx(row) for row in expected]]
    agent_qs = torch.tensor([[[5.0, 7.0], [1.0, 2.0]]])
    q_tot = mixer(agent_qs, states)
    assert q_tot.shape == (1, 2, 1)
    assert q_tot.flatten().tolist() == pytest.approx([10 + 2 * 0.5, 10 + 2 * 1.5 + 4 * (1 + 2 * root) / (1 + root)])


def test_the_length_of_the_keys_divides_the_logits() -> None:
    """Four equal numbers in queries and keys: their product is four times as large, divided by 2."""
    short, long = by_hand(), by_hand()
    long.key_size = 4
    for name in ("queries", "keys"):
        weight = getattr(short, name).weight
        getattr(long, name).weight = torch.nn.Parameter(weight.repeat(4, 1) * 0.5**0.5)
    long.queries.bias = torch.nn.Parameter(torch.zeros(4))
    states = torch.rand(1, 5, 2)
    assert torch.allclose(long.credit(states), short.credit(states), atol=1e-6)


# Monotone


@given(st.integers(0, 10_000), st.sampled_from([LAYOUT, UNCUT]))
@settings(max_examples=60)
def test_qatten_is_monotonic_and_its_credit_is_the_gradient(seed: int, layout: StateLayout) -> None:
    mixer, (agent_qs, states) = qatten(seed, layout), batch(seed, layout.size)
    agent_qs.requires_grad_()
    (gradient,) = torch.autograd.grad(mixer(agent_qs, states).sum(), agent_qs)
    assert (gradient >= 0).all()
    assert torch.allclose(gradient, mixer.credit(states), atol=1e-6)


@given(st.integers(0, 10_000), st.sampled_from([LAYOUT, UNCUT]))
@settings(max_examples=40)
def test_the_attention_of_each_head_sums_to_one(seed: int, layout: StateLayout) -> None:
    mixer, (_, states) = qatten(seed, layout), batch(seed, layout.size)
    s = mixer.scale(states)
    attention = mixer.attention(s, torch.relu(mixer.first(s)).chunk(3, dim=-1)[0])
    assert attention.shape == (4, 3, N, 2)
    assert (attention > 0).all()
    assert torch.allclose(attention.sum(dim=-2), torch.ones(4, 3, 2), atol=1e-5)


# What it looks at


def test_it_depends_on_every_number_of_the_state_and_on_every_agent() -> None:
    mixer, (agent_qs, states) = qatten(1), batch(1)
    agent_qs.requires_grad_()
    states.requires_grad_()
    by_q, by_s = torch.autograd.grad(mixer(agent_qs, states).sum(), (agent_qs, states))
    assert (by_q.abs().sum(dim=(0, 1)) > 0).all()
    assert (by_s.abs().sum(dim=(0, 1)) > 0).all()
    assert not torch.allclose(by_q, mixer.credit(9 - states), atol=1e-3), "an agent's credit follows the state"


def test_an_agents_key_is_made_of_its_own_part_of_the_state() -> None:
    assert qatten(0).own.tolist() == [[0, 1, 8, 9, 10], [2, 3, 11, 12, 13], [4, 5, 14, 15, 16]]


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 0, 1]])
def test_agents_that_change_places_change_weights(order: list[int]) -> None:
    """Once the query does not look at the agents, attention follows what the state says about each of them."""
    layout = StateLayout((LAYOUT.fields[0], LAYOUT.fields[1]))
    mixer, (_, states) = qatten(3, layout), batch(3, layout.size)
    with torch.no_grad():
        mixer.first.weight[:, :6] = 0.0
    moved = mixer.credit(layout.renumbered(states, order))
    assert torch.allclose(moved, mixer.credit(states)[..., order], atol=1e-6)
    assert not torch.allclose(moved, mixer.credit(states), atol=1e-4)


def test_where_no_field_is_cut_agents_are_told_apart_by_their_number() -> None:
    mixer, (_, states) = qatten(4, UNCUT), batch(4, UNCUT.size)
    assert mixer.own.shape == (N, 0)
    weights = mixer.credit(states)
    assert weights.shape == (4, 3, N)
    assert weights.std(dim=-1).min() > 1e-4


def test_each_step_is_mixed_by_itself() -> None:
    mixer, (agent_qs, states) = qatten(2), batch(2)
    whole = mixer(agent_qs, states)
    for b, t in ((0, 0), (3, 2)):
        alone = mixer(agent_qs[b : b + 1, t : t + 1], states[b : b + 1, t : t + 1])
        assert alone.item() == pytest.approx(whole[b, t, 0].item(), abs=1e-5)


def test_it_needs_a_head() -> None:
    with pytest.raises(ConfigurationError, match="`heads` 0"):
        algorithm_of(TrainSettings(algorithm="qatten", own={"heads": 0}), has_credit=False)
