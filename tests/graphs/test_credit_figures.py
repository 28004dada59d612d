"""Figures and scenes, computed by hand on credit graphs written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from qredit.files import sha256
from qredit.graphs.kinds import Assignment
from qredit.graphs.kinds.credit_checks import fidelity_scorer
from qredit.graphs.kinds.credit_figures import credit_figures
from qredit.graphs.kinds.scenes import scene_rows, state_scenes, transition_scenes
from qredit.layout import StateField, StateLayout
from qredit.probes import Probes
from qredit.sandbox.verdict import Accepted
from qredit.subject import Subject

LAYOUT = StateLayout(
    (
        StateField("pull", (2,), "newton", 0, 5, "How hard each agent pulls."),
        StateField("height", (), "m", -1, 1, "Height of the load."),
    )
)


def assignment(states: Sequence[Sequence[float]], **more: Any) -> Assignment:
    """A subject of two agents."""
    arrays: dict[str, Any] = {name: np.array(value, dtype=np.float32) for name, value in more.items()}
    if "actions" in arrays:
        arrays["actions"] = arrays["actions"].astype(np.int64)
    probes = Probes(np.array(states, dtype=np.float32), **arrays)
    return Assignment(Subject("pulling", 2, LAYOUT, probes, n_actions=3))


def accepted(form: str, nodes: list[dict[str, Any]], outputs: list[str], *, has_bias: bool, size: int = 3) -> Accepted:
    """A verdict with a graph over two agents and a state of three numbers."""
    header = {
        "form": form,
        "has_bias": has_bias,
        "igm": "enforce",
        "n_agents": 2,
        "scale": "sum_to_n",
        "state_size": size,
    }
    graph = json.dumps({"format": 1, "header": header, "constants": [], "nodes": nodes, "outputs": outputs}).encode()
    return Accepted(graph, sha256(graph), form, (), 0.1, 0.5)


PULL = {"op": "aten.slice.Tensor", "args": ["state", 1, 0, 2]}
HEIGHT = {"op": "aten.slice.Tensor", "args": ["state", 1, 2, 3]}


def test_weights_and_bias() -> None:
    """Weights are the pulls, normalised: (1, 1) and (1.5, 0.5); the bias is the height."""
    given = assignment([[1, 1, 0.5], [3, 1, -0.25]])
    lines = credit_figures(accepted("weights", [PULL, HEIGHT], ["n0", "n1"], has_bias=True), given).splitlines()
    assert lines[:5] == [
        "weight of agent 0: mean 1.2, standard deviation 0.25, from 1.0 to 1.5",
        "weight of agent 1: mean 0.75, standard deviation 0.25, from 0.50 to 1.0",
        "differs from VDN in 50 % of the states",
        "evenness (entropy, 1 is equal credit, 0 all credit to one agent): 0.91; largest share of one agent, on "
        "average: 0.62",
        "bias: mean 0.12, from -0.25 to 0.50",
    ]
    assert lines[6:] == ["in scene 1: agent 0 1.0, agent 1 1.0", "in scene 2: agent 0 1.5, agent 1 0.50"]


def test_sensitivity_tells_which_fields_are_read() -> None:
    """Ten states, two kinds in turn; shuffling the pulls changes some credit by 0.5, shuffling the height none."""
    given = assignment([[1, 1, k] if k % 2 else [3, 1, k] for k in range(10)])
    lines = credit_figures(accepted("weights", [PULL], ["n0"], has_bias=False), given).splitlines()
    [line] = [line for line in lines if line.startswith("sensitivity")]
    order = np.random.default_rng(0).permutation(10)
    moved = np.mean([(k % 2) != (order[k] % 2) for k in range(10)])
    assert 0 < moved < 1
    assert line.endswith(f": `pull` {0.5 * moved:.2f}, `height` 0")


def test_the_general_form_is_told_by_its_gradient() -> None:
    """Q_tot = s_0 Q_0 + s_0 Q_1: the gradient is (s_0, s_0), and a common factor is no difference from VDN."""
    nodes: list[dict[str, Any]] = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 0, 1]},
        {"op": "aten.sum.dim_IntList", "args": ["agents_q", [1], True]},
        {"op": "aten.mul.Tensor", "args": ["n0", "n1"]},
    ]
    text = credit_figures(
        accepted("general", nodes, ["n2"], has_bias=False), assignment([[2, 0, 0], [4, 0, 0]])
    ).splitlines()
    assert text[:3] == [
        "|dQ_tot/dQ| of agent 0: mean 3.0, standard deviation 1.0, from 2.0 to 4.0",
        "|dQ_tot/dQ| of agent 1: mean 3.0, standard deviation 1.0, from 2.0 to 4.0",
        "differs from VDN in 0 % of the states",
    ]


def test_shares_react_to_actions() -> None:
    """The share is the action's number plus one: (1, 2) in one transition, (3, 1) in the other."""
    nodes: list[dict[str, Any]] = [
        {"op": "aten.slice.Tensor", "args": ["state", 1, 3, 5]},
        {"op": "aten.add.Tensor", "args": ["n0", 1.0]},
    ]
    states = [[0, 0, 0], [1, 1, 1]]
    given = assignment(states, actions=[[0, 1], [2, 0]], next_states=states)
    lines = credit_figures(accepted("shares", nodes, ["n1"], has_bias=False, size=8), given).splitlines()
    assert lines[0] == "share of agent 0: mean 1.1, standard deviation 0.42, from 0.67 to 1.5"
    assert "equal shares in 100 % of the states" in lines[2]
    assert "`pull` 0, `height` 0, actions " in next(line for line in lines if line.startswith("sensitivity"))


TRUTH = [[0.9, 0.1], [np.nan, np.nan], [0.5, 0.5], [0.2, 0.8], [0.95, 0.05], [0.6, 0.4]]


def test_scenes_are_where_the_truth_is_least_even() -> None:
    """Row 4 is the least even, for agent 0; row 3 the least even for agent 1; then row 0. Row 1 is not known."""
    given = assignment([[k, 1, 0.5] for k in range(6)], true_credit=TRUTH)
    assert scene_rows(given.subject.probes) == [4, 3, 0]
    assert state_scenes(given).splitlines() == [
        "The same in all situations: height: 0.50",
        "Scene 1",
        "  pull: [4, 1]",
        "  measured truth, each agent's part in the variance of the return: agent 0 0.95, agent 1 0.050",
        "Scene 2",
        "  pull: [3, 1]",
        "  measured truth, each agent's part in the variance of the return: agent 0 0.20, agent 1 0.80",
        "Scene 3",
        "  pull: [0, 1]",
        "  measured truth, each agent's part in the variance of the return: agent 0 0.90, agent 1 0.10",
    ]


def test_scenes_of_transitions() -> None:
    given = assignment(
        [[1, 1, 0], [2, 1, 0]], actions=[[0, 2], [1, 1]], next_states=[[1, 1, 1], [2, 1, 0]], rewards=[0.5, 0]
    )
    assert transition_scenes(given).splitlines() == [
        "Scene 1",
        "  pull: [1, 1]",
        "  height: 0",
        "  actions: [0, 2]",
        "  reward of the team: 0.50",
        "  afterwards, where different:",
        "    height: 1",
        "Scene 2",
        "  pull: [2, 1]",
        "  height: 0",
        "  actions: [1, 1]",
        "  reward of the team: 0",
        "  afterwards, nothing is different",
    ]


def test_the_score_is_agreement_with_the_truth() -> None:
    """Weights are the pulls. Agent 0 pulls harder in three of the five known states; the truth agrees in four of them,
    and where it sees no difference (0.5, 0.5) nothing can be ranked."""
    states = [[3, 1, 0], [1, 1, 0], [2, 1, 0], [1, 2, 0], [1, 2, 0], [3, 1, 0]]
    given = assignment(states, true_credit=TRUTH)
    scorer = fidelity_scorer(given)
    assert scorer is not None
    score = scorer(accepted("weights", [PULL], ["n0"], has_bias=False))
    # tau by state: 1 (row 0), 0 (row 2: no order in the truth), 1 (row 3), -1 (row 4), 1 (row 5)
    assert score.value == pytest.approx(2 / 5)
    assert score.text.startswith("score: 0.40 (Kendall's tau with the measured truth, mean of 5 states, 95 % interval ")
    assert fidelity_scorer(assignment(states)) is None
