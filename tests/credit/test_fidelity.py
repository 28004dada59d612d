"""Fidelity of credit: agreement by hand, intervals, placebos, and the credit of each form."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.credit import CreditGraph, parse_graph
from qredit.credit.fidelity import (
    RESAMPLES,
    SEED,
    Choice,
    compare,
    compare_actions,
    credit_of,
    dirichlet_of_entropy,
    fidelity_of,
    placebos,
)
from qredit.errors import ConfigurationError
from qredit.probes import Probes


def one(weights: list[float], truth: list[float]) -> tuple[float, float]:
    """Top-1 and tau of one state."""
    found = compare(np.array([weights]), np.array([truth]))
    return found.top1, found.tau


# Agreement, by hand


@pytest.mark.parametrize(
    ("weights", "truth", "top1", "tau"),
    [
        ([3, 2, 1], [0.6, 0.3, 0.1], 1, 1),
        ([1, 2, 3], [0.6, 0.3, 0.1], 0, -1),
        ([3, 1, 2], [0.6, 0.3, 0.1], 1, 1 / 3),
        ([1, 1, 1], [0.6, 0.3, 0.1], 1 / 3, 0),
        # Ties share the point; of three pairs one is tied: two concordant, or one of each.
        ([1, 1, 0], [0.6, 0.3, 0.1], 1 / 2, 2 / np.sqrt(2 * 3)),
        ([1, 0, 1], [0.6, 0.3, 0.1], 1 / 2, 0),
        ([0, 1, 1], [0.6, 0.3, 0.1], 0, -2 / np.sqrt(2 * 3)),
        # Two agents that matter most alike: either is right.
        ([2, 1, 0], [0.5, 0.5, 0.0], 1, 2 / np.sqrt(3 * 2)),
        # All alike: no order that could be right.
        ([2, 1, 0], [1 / 3, 1 / 3, 1 / 3], 1, 0),
        # The magnitude counts.
        ([-3, 2, 1], [0.6, 0.3, 0.1], 1, 1),
        # A difference in the last bits of float32 is a tie.
        ([1, 1 + 1e-7, 0], [0.6, 0.3, 0.1], 1 / 2, 2 / np.sqrt(2 * 3)),
        ([0, 0, 0], [0.6, 0.3, 0.1], 1 / 3, 0),
        ([5], [1], 1, 0),
    ],
)
def test_agreement_in_one_state(weights: list[float], truth: list[float], top1: float, tau: float) -> None:
    assert one(weights, truth) == pytest.approx((top1, tau))


@pytest.mark.parametrize(
    ("rewards", "returns", "top1", "tau"),
    [
        ([1, 2, 3], [4, 5, 6], 1, 1),
        # Signs count, unlike with credit: what earns least loses most.
        ([-3, -2, -1], [4, 5, 6], 1, 1),
        ([-3, 2, 1], [6, 5, 4], 0, -1 / 3),
        ([3, 2, 1], [-6, -5, -4], 0, -1),
        ([0, 0, 0], [1, 2, 3], 1 / 3, 0),
        ([0, 0, -1], [2, 2, 1], 1, 1),
    ],
)
def test_agreement_over_actions(rewards: list[float], returns: list[float], top1: float, tau: float) -> None:
    found = compare_actions([[Choice(np.array(rewards), np.array(returns), 1.0)]])
    assert [found.top1, found.tau] == pytest.approx([top1, tau])
    assert found.n_states == 1


def test_agents_count_by_how_much_they_matter() -> None:
    up, down = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    states = [[Choice(up, up, 0.75), Choice(up, down, 0.25)], [Choice(up, down, 1.0), Choice(up, up, 0.0)]]
    found = compare_actions(states)
    assert [found.top1, found.tau] == pytest.approx([0.75 / 2, (0.75 - 0.25 - 1) / 2])


def test_means_and_intervals_over_states() -> None:
    """Three states of which two agree: the bootstrap of a mean of three numbers, drawn again here."""
    weights, truth = np.array([[2.0, 1], [2, 1], [1, 2]]), np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])
    found = compare(weights, truth)
    assert found.n_states == 3
    assert (found.top1, found.tau) == pytest.approx((2 / 3, 1 / 3))
    rows = np.random.default_rng(SEED).integers(3, size=(RESAMPLES, 3))
    means = np.array([1.0, 1, -1])[rows].mean(axis=1)
    assert (found.tau_low, found.tau_high) == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))))
    assert (found.top1_low, found.top1_high) == (0, 1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Credit that is right with probability 0.7 in 40 states, 100 times: 95 % of the intervals hold 0.7."""
    rng = np.random.default_rng(0)
    truth = np.tile([0.9, 0.1], (40, 1))
    held = 0
    for _ in range(100):
        found = compare(np.where(rng.random((40, 1)) < 0.7, [2.0, 1.0], [1.0, 2.0]), truth)
        held += found.top1_low <= 0.7 <= found.top1_high
    assert 86 <= held <= 99


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_order_of_the_agents_does_not_matter(n_agents: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, truth = rng.integers(0, 3, (5, n_agents)) / 2, rng.dirichlet(np.ones(n_agents), 5)
    order = rng.permutation(n_agents)
    assert compare(weights, truth) == compare(weights[:, order], truth[:, order])


# Placebos


def test_placebos_know_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(4), 100)
    found = placebos(truth, truth)  # the credit is the truth itself
    assert (found.uniform.top1, found.uniform.tau) == (0.25, 0)
    # Three cyclic shifts of four agents: never the best one again.
    assert found.agents_permuted.top1 == 0
    assert found.agents_permuted.tau < 0
    for blind in (found.time_shuffled, found.random):
        assert blind.top1 == pytest.approx(0.25, abs=0.04)
        assert blind.tau == pytest.approx(0, abs=0.06)


def test_agents_permuted_is_the_mean_over_all_cyclic_shifts() -> None:
    """Two states of three agents: the shifts of (3, 2, 1) are (1, 3, 2) and (2, 1, 3), tau -1/3 each."""
    found = placebos(np.array([[3.0, 2, 1], [3, 2, 1]]), np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]))
    assert (found.agents_permuted.top1, found.agents_permuted.tau) == pytest.approx((0, -1 / 3))
    # The credit is the same in both states, so that shuffling states changes nothing.
    assert (found.time_shuffled.top1, found.time_shuffled.tau) == pytest.approx((1, 1))


@pytest.mark.parametrize("n_states", [1, 2])
def test_placebos_of_few_states(n_states: int) -> None:
    weights = np.array([[2.0, 1], [1, 2]])[:n_states]
    found = placebos(weights, np.array([[0.9, 0.1], [0.1, 0.9]])[:n_states])
    assert found.agents_permuted.tau == -1
    # With two states each gets the credit of the other; with one it keeps its own.
    assert found.time_shuffled.tau == (1 if n_states == 1 else -1)


@given(st.floats(0.02, 50), st.integers(2, 8))
def test_the_dirichlet_is_as_concentrated_as_asked(alpha: float, n_agents: int) -> None:
    drawn = np.random.default_rng(0).dirichlet(np.full(n_agents, alpha), 4000)
    entropy = -(drawn * np.log(np.maximum(drawn, 1e-300))).sum(axis=1)
    error = 5 * entropy.std() / np.sqrt(len(entropy))
    low, high = (dirichlet_of_entropy(float(entropy.mean() + sign * error), n_agents) for sign in (-1, 1))
    assert low <= alpha * 1.001
    assert high >= alpha * 0.999


def test_entropies_at_the_ends() -> None:
    assert dirichlet_of_entropy(0.0, 4) == 1e-3
    assert dirichlet_of_entropy(float(np.log(4)), 4) == 1e6
    assert dirichlet_of_entropy(5.0, 4) == 1e6


# The credit of each form


def graph(
    form: str, nodes: list[dict[str, Any]], *, n_agents: int = 2, size: int = 2, igm: str = "enforce"
) -> CreditGraph:
    header = {
        "form": form,
        "scale": "sum_to_n",
        "igm": igm,
        "n_agents": n_agents,
        "state_size": size,
        "has_bias": False,
    }
    outputs = [f"n{len(nodes) - 1}"]
    document = {"format": 1, "header": header, "constants": [], "nodes": nodes, "outputs": outputs}
    return parse_graph(json.dumps(document).encode())


STATES = np.array([[1, 3], [0, 5], [2, 2]], dtype=np.float32)
ACTIONS = np.array([[0, 1], [1, 0], [1, 1]])
FIRST = [{"op": "aten.slice.Tensor", "args": ["state", 1, 0, 2]}]


def test_weights_come_after_the_form() -> None:
    assert credit_of(graph("weights", FIRST), Probes(STATES)).tolist() == [[0.5, 1.5], [0, 2], [1, 1]]
    signed = Probes(np.array([[-1, 3]], dtype=np.float32))
    assert credit_of(graph("weights", FIRST), signed).tolist() == [[0, 2]]
    assert credit_of(graph("weights", FIRST, igm="relax"), signed).tolist() == [[-0.5, 1.5]]


def test_shares_read_transitions() -> None:
    """The share is what each agent chose: column 2 and 3 of state, actions, next state."""
    chosen = graph("shares", [{"op": "aten.slice.Tensor", "args": ["state", 1, 2, 4]}], size=6)
    probes = Probes(STATES, ACTIONS, STATES)
    assert credit_of(chosen, probes).tolist() == [[0, 2], [2, 0], [1, 1]]
    with pytest.raises(ConfigurationError, match="it reads transitions"):
        credit_of(chosen, Probes(STATES))
    with pytest.raises(ConfigurationError, match="it reads transitions"):
        credit_of(chosen, Probes(STATES, ACTIONS))


def test_the_general_form_gives_gradients_without_sign() -> None:
    """`Q_tot = s_0 Q_0 - s_1 Q_1`: gradients `s_0` and `-s_1`, whatever Q is."""
    nodes: list[dict[str, Any]] = [
        {"op": "aten.mul.Tensor", "args": ["agents_q", "state"]},
        {"op": "aten.slice.Tensor", "args": ["n0", 1, 0, 1]},
        {"op": "aten.slice.Tensor", "args": ["n0", 1, 1, 2]},
        {"op": "aten.sub.Tensor", "args": ["n1", "n2"]},
    ]
    found = credit_of(graph("general", nodes, igm="relax"), Probes(STATES))
    assert found == pytest.approx(STATES)
    assert not found.requires_grad


def test_the_general_form_is_read_around_zero_too() -> None:
    """`Q_tot = Q_0 Q_1` has gradient 0 at Q = 0: there the credit is `E |Q_1|`, `E |Q_0|`, about 0.8 for N(0, 1)."""
    product = graph("general", [{"op": "aten.prod.dim_int", "args": ["agents_q", 1, True]}])
    found = credit_of(product, Probes(np.zeros((500, 2), dtype=np.float32)))
    # Eight draws of nine points.
    assert found.mean().item() == pytest.approx(np.sqrt(2 / np.pi) * 8 / 9, abs=0.03)
    assert torch.equal(found, credit_of(product, Probes(np.zeros((500, 2), dtype=np.float32))))


def test_a_value_that_no_agent_moves_has_no_credit() -> None:
    constant = graph("general", [{"op": "aten.slice.Tensor", "args": ["state", 1, 0, 1]}])
    assert credit_of(constant, Probes(STATES)).tolist() == [[0, 0]] * 3


# Fidelity of a graph


def test_only_states_with_a_known_truth_count() -> None:
    truth = np.array([[0.2, 0.8], [np.nan, np.nan], [0.5, 0.5]], dtype=np.float32)
    found = fidelity_of(graph("weights", FIRST), Probes(STATES, true_credit=truth))
    assert found is not None
    assert (found.n_states, found.top1, found.tau) == (2, 1, 0.5)


def test_without_truth_there_is_no_fidelity() -> None:
    weights = graph("weights", FIRST)
    assert fidelity_of(weights, Probes(STATES)) is None
    assert fidelity_of(weights, Probes(STATES, true_credit=np.full((3, 2), np.nan, dtype=np.float32))) is None
