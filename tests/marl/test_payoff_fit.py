"""Can a credit graph represent a matrix game? Against what a table of variances says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from qredit.credit import CreditGraph, parse_graph
from qredit.errors import UnknownNameError
from qredit.marl.environments.matrix import payoff_matrix
from qredit.marl.payoff_fit import payoff_fit

if TYPE_CHECKING:
    from tests.marl.conftest import Graphs

GAMES = ["climbing", "penalty-0", "penalty-100"]


def general(*nodes: dict[str, Any]) -> CreditGraph:
    """A graph of the general form; the last node is `Q_tot`."""
    header = {"form": "general", "scale": "sum_to_n", "igm": "relax", "n_agents": 2, "state_size": 2, "has_bias": False}
    document = {
        "format": 1,
        "header": header,
        "constants": [],
        "nodes": list(nodes),
        "outputs": [f"n{len(nodes) - 1}"],
    }
    return parse_graph(json.dumps(document).encode())


def agreement() -> CreditGraph:
    """`Q_tot = Q_0 + Q_1 - (Q_0 - Q_1)^2`: values that agree are good, which is not monotone."""
    return general(
        {"op": "aten.slice.Tensor", "args": ["agents_q", 1, 0, 1]},
        {"op": "aten.slice.Tensor", "args": ["agents_q", 1, 1, 2]},
        {"op": "aten.sub.Tensor", "args": ["n0", "n1"]},
        {"op": "aten.mul.Tensor", "args": ["n2", "n2"]},
        {"op": "aten.add.Tensor", "args": ["n0", "n1"]},
        {"op": "aten.sub.Tensor", "args": ["n4", "n3"]},
    )


def additive_share(game: str) -> float:
    """Share of the payoffs' variance that effects of rows and of columns explain (two-way analysis of variance)."""
    payoff = torch.from_numpy(payoff_matrix(game)).double()
    explained = payoff.mean(dim=1).var(correction=0) + payoff.mean(dim=0).var(correction=0)
    return float(explained / payoff.var(correction=0))


@pytest.mark.parametrize("game", GAMES)
def test_an_additive_form_reaches_the_additive_share_and_no_more(graphs: type[Graphs], game: str) -> None:
    fit = payoff_fit(graphs(2, 2).ones(), game, seed=0)
    assert fit == pytest.approx(additive_share(game), abs=1e-3)
    assert fit < 0.25


@pytest.mark.parametrize("game", GAMES)
def test_a_product_reaches_what_a_matrix_of_rank_one_can(graphs: type[Graphs], game: str) -> None:
    payoff = torch.from_numpy(payoff_matrix(game)).double()
    left_over = torch.linalg.svdvals(payoff)[1:].square().sum() / 9
    best = float(1 - left_over / payoff.var(correction=0))
    assert payoff_fit(graphs(2, 2).product(), game, seed=0) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(("game", "least"), [("climbing", 0.95), ("penalty-100", 0.9), ("penalty-0", 0.5)])
def test_a_form_that_is_not_monotone_does_much_better(game: str, least: float) -> None:
    fit = payoff_fit(agreement(), game, seed=0)
    assert fit > least
    assert fit > additive_share(game) + 0.3


def test_weights_that_depend_on_the_state_cannot_help(graphs: type[Graphs]) -> None:
    """The payoff does not depend on the state, so all that such weights do is to disturb."""
    fit = payoff_fit(graphs(2, 2).first_numbers(), "climbing", seed=0)
    assert fit < additive_share("climbing") - 0.01


def test_more_restarts_are_never_worse_and_a_seed_gives_one_result() -> None:
    one = payoff_fit(agreement(), "penalty-0", seed=3, restarts=1)
    five = payoff_fit(agreement(), "penalty-0", seed=3, restarts=5)
    assert payoff_fit(agreement(), "penalty-0", seed=3, restarts=1) == one
    assert five >= one - 1e-3


def test_values_that_blow_up_or_do_not_matter_fit_nothing() -> None:
    infinite = general(
        {"op": "aten.sum.dim_IntList", "args": ["agents_q", [1], True]},
        {"op": "aten.mul.Tensor", "args": ["n0", 1e38]},
        {"op": "aten.exp.default", "args": ["n1"]},
    )
    constant = general({"op": "aten.slice.Tensor", "args": ["state", 1, 0, 1]})
    assert payoff_fit(infinite, "climbing", seed=0) == 0
    assert payoff_fit(constant, "climbing", seed=0) == 0


def test_what_does_not_fit_is_refused(graphs: type[Graphs]) -> None:
    with pytest.raises(ValueError, match="about 3 agents"):
        payoff_fit(graphs(3, 2).ones(), "climbing", seed=0)
    with pytest.raises(ValueError, match="state must be"):
        payoff_fit(graphs(2, 5).ones(), "climbing", seed=0)
    with pytest.raises(UnknownNameError):
        payoff_fit(graphs(2, 2).ones(), "climbing-2", seed=0)
