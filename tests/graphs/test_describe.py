"""Figures about a candidate, computed by hand on credit graphs written by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from qredit.files import sha256
from qredit.graphs import describe_credit
from qredit.sandbox.verdict import Accepted


def accepted(form: str, nodes: list[dict[str, Any]], outputs: list[str], *, has_bias: bool) -> Accepted:
    """A verdict with a graph over two agents and a state of three numbers."""
    header = {
        "form": form,
        "has_bias": has_bias,
        "igm": "enforce",
        "n_agents": 2,
        "scale": "sum_to_n",
        "state_size": 3,
    }
    graph = json.dumps({"format": 1, "header": header, "constants": [], "nodes": nodes, "outputs": outputs}).encode()
    return Accepted(graph, sha256(graph), form, (), 0.1, 0.5)


def test_weights_and_bias() -> None:
    """Weights are the first two numbers of the state, the bias is the third."""
    nodes = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 0, 2]},
        {"op": "aten.slice.Tensor", "args": ["state", 1, 2, 3]},
    ]
    states = np.array([[1, 1, 0.5], [3, 1, -0.25]], dtype=np.float32)  # normalised: (1, 1) and (1.5, 0.5)
    text = describe_credit(states)(accepted("weights", nodes, ["n0", "n1"], has_bias=True))
    assert text.splitlines() == [
        "weight of agent 0: mean 1.2, from 1.0 to 1.5, standard deviation 0.25",
        "weight of agent 1: mean 0.75, from 0.50 to 1.0, standard deviation 0.25",
        "differs from VDN in 50 % of the states",
        "evenness (entropy, 1 is VDN, 0 all credit to one agent): 0.91; largest share of one agent, on average: 0.62",
        "bias: mean 0.12, from -0.25 to 0.50",
    ]


def test_the_general_form_is_described_by_its_gradient() -> None:
    """Q_tot = s_0 Q_0 + s_0 Q_1: the gradient is (s_0, s_0), and a common factor is no difference from VDN."""
    nodes: list[dict[str, Any]] = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 0, 1]},
        {"op": "aten.sum.dim_IntList", "args": ["agents_q", [1], True]},
        {"op": "aten.mul.Tensor", "args": ["n0", "n1"]},
    ]
    states = np.array([[2, 0, 0], [4, 0, 0]], dtype=np.float32)
    text = describe_credit(states)(accepted("general", nodes, ["n2"], has_bias=False))
    assert text.splitlines() == [
        "dQ_tot/dQ of agent 0: mean 3.0, from 2.0 to 4.0, standard deviation 1.0",
        "dQ_tot/dQ of agent 1: mean 3.0, from 2.0 to 4.0, standard deviation 1.0",
        "differs from VDN in 0 % of the states",
        "evenness (entropy, 1 is VDN, 0 all credit to one agent): 1.0; largest share of one agent, on average: 0.50",
    ]
