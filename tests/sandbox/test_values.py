"""Values of states and transitions: `value(state)` and `reward(state, actions, next_state)`, from source to graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.credit import apply_form, credit_weights, interpret, parse_graph, specialise
from qredit.credit.schema import Header
from qredit.errors import ArtifactError, JailUnavailableError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, Rejected, Verdict, open_jail, verify
from qredit.sandbox.contract.check import ContractError, ContractReport, check_contract
from qredit.sandbox.inside.jobs import run_job
from qredit.sandbox.payloads import VerifyReport, VerifyRequest
from tests.conftest import Require
from tests.credit.build import encoded
from tests.sandbox.conftest import JAILS

N, A = 2, 3
LAYOUT = StateLayout(
    (
        StateField("cell", (N,), "cells", 0.0, 4.0, "Cell of each agent.", (), (0,)),
        StateField("goal", (), "cells", 0.0, 4.0, "Cell of the goal."),
    )
)
STATES = np.array([[0, 1, 4], [3, 2, 0], [4, 4, 1], [1, 0, 2], [2, 2, 3]], dtype=np.float32)
NEAR = "import torch\ndef value(state):\n    far = (state['cell'] - state['goal'].unsqueeze(1)).abs()\n"
NEAR += "    return -far.sum(dim=1, keepdim=True)\n"
WAITING = "import torch\ndef reward(state, actions, next_state):\n"
WAITING += "    moved = (next_state['cell'] - state['cell']).abs().sum(dim=1, keepdim=True)\n"
WAITING += "    return moved - 0.5 * (actions == 0).float().sum(dim=1, keepdim=True)\n"
CELLS = torch.tensor([[0.0, 1.0, 4.0], [3.0, 2.0, 0.0]])
MOVES = torch.tensor([[0.0, 1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 4.0], [2.0, 2.0, 1.0, 0.0, 0.0, 2.0, 2.0, 1.0]])


@pytest.fixture(scope="module", params=sorted(JAILS))
def jail(request: pytest.FixtureRequest, require: Require) -> Iterator[Jail]:
    """Each jail that this machine can have."""
    try:
        opened = open_jail(request.param)
    except JailUnavailableError as error:
        require(request.param, str(error))
        raise
    with opened:
        yield opened


def judged(jail: Jail, source: str, **changes: Any) -> Verdict:
    given: dict[str, Any] = {"layout": LAYOUT, "n_agents": N, "states": STATES, "n_actions": A, "jail": jail}
    return verify(source, **(given | {"forms": ("value",)} | changes))


def value_of(line: str) -> str:
    return f"import torch\ndef value(state):\n    {line}\n"


@pytest.mark.parametrize(
    ("source", "rows", "expected"),
    [
        (NEAR, CELLS, [[-7.0], [-5.0]]),  # |0 - 4| + |1 - 4| and 3 + 2
        (WAITING, MOVES, [[3 - 0.5], [0 - 1.0]]),  # agent 0 waited; nobody moved, both waited
        (value_of("return state[:, 2:] * 2"), CELLS, [[8.0], [0.0]]),
    ],
    ids=["state", "transition", "flat"],
)
def test_a_value_by_hand(jail: Jail, source: str, rows: Tensor, expected: list[list[float]]) -> None:
    verdict = judged(jail, source)
    assert isinstance(verdict, Accepted), verdict
    assert (verdict.form, verdict.warnings, verdict.vdn_difference) == ("value", (), None)
    assert verdict.to_json()["vdn_difference"] is None
    graph = parse_graph(verdict.payload)
    assert graph.header == Header("value", "sum_to_n", "enforce", N, rows.shape[1], has_bias=False)
    assert graph.header.reads_transitions(LAYOUT.size) is (rows is MOVES)
    for run in (interpret(graph, state=rows), specialise(graph)(state=rows)):
        assert [v.tolist() for v in run] == [expected]  # neither scale nor IGM touches it


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (value_of("return state['cell']"), "value of shape [B, 2], it must be [B, 1]"),
        (value_of("return state['goal']"), "value of shape [B], it must be [B, 1]"),
        (value_of("return state[:, :1], state[:, :1]"), "returns 2 values. Return value [B, 1]"),
        (value_of("return 1.0 / state['goal'].unsqueeze(1)"), "`value` is inf in rollout state 1"),
        (value_of("return state[:, :1] - state[:, :1].mean(dim=0)"), "depends on the other states"),
        (value_of("return 5000.0 * state[:, :1]"), "The value is 15000, beyond the bound |value| <= 10000, in rollout"),
        (WAITING.replace("moved -", "1.0 / moved -"), "in the all-zero transition"),
        (WAITING.replace("0.5", "1e5"), "beyond the bound |value| <= 10000, in made-up transition"),
    ],
)
def test_what_is_no_value(jail: Jail, source: str, words: str) -> None:
    verdict = judged(jail, source)
    assert isinstance(verdict, Rejected), verdict
    assert words in verdict.message
    assert verdict.kind == "contract"


# the contract by itself


def header(state_size: int = 3) -> Header:
    return Header("value", "sum_to_n", "enforce", N, state_size, has_bias=False)


def checked(function: Callable[[Tensor], Tensor], **changes: Any) -> ContractReport:
    def run(state: Tensor, agents_q: Tensor | None) -> tuple[Tensor, ...]:
        assert agents_q is None
        return (function(state),)

    return check_contract(header(), run, layout=LAYOUT, states=torch.from_numpy(STATES), **changes)


def refusal(function: Callable[[Tensor], Tensor]) -> str:
    with pytest.raises(ContractError) as refused:
        checked(function)
    return str(refused.value)


def test_the_bound_itself_is_allowed() -> None:
    assert checked(lambda s: (s[:, :1] * 1e4).clamp(-1e4, 1e4)) == ContractReport((), None)
    above = refusal(lambda s: (s[:, :1] * 1e4).clamp(-1e4, 10_001.0))
    assert above.startswith("The value is 10001, beyond the bound |value| <= 10000, in rollout state 1 (cell=[3, 2]")
    assert "clamp" in above
    assert "The value is -20000" in refusal(lambda s: -2e4 * (s[:, :1] == 4).float())


def test_values_may_be_negative_and_ignore_agents() -> None:
    assert checked(lambda s: -s[:, 2:]).warnings == ()


def test_a_constant_is_noticed() -> None:
    assert checked(lambda s: torch.full((len(s), 1), 7.0)).warnings == (
        "The function gives the same value in all probed states.",
    )
    (warning,) = checked(lambda s: s[:, :1] * 0, rows="made-up transition").warnings
    assert warning.startswith("The function gives the same value in all probed transitions. These are made of real")


def test_the_checks_of_every_form_hold_for_values_too() -> None:
    calls = itertools.count()

    def writes(state: Tensor) -> Tensor:
        state[:, 0] = 1.0
        return state[:, :1]

    assert "changes its input `state` in place" in refusal(writes)
    assert "Two calls with the same input give a different `value`" in refusal(lambda s: s[:, :1] + next(calls))
    assert "`value` has dtype float64" in refusal(lambda s: s[:, :1].double())
    assert "`value` has shape [" in refusal(lambda s: s[:, :2])


def test_the_value_of_exchangeable_agents_stays_when_they_are_renumbered() -> None:
    assert checked(lambda s: s[:, :N].sum(dim=1, keepdim=True), exchangeable=True).warnings == ()
    assert checked(lambda s: s[:, :1]).warnings == ()
    (warning,) = checked(lambda s: s[:, :1], exchangeable=True).warnings
    assert "giving them other numbers changes the value in 60.0% of the rollout states" in warning
    assert "never on their numbers" in warning


@given(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32))
def test_any_two_values_within_the_bound_pass(low: float, high: float) -> None:
    """One in states with the first agent at cell 0, the other elsewhere; a warning if and only if they are the same."""
    assume(not isclose(abs(high - low), 1e-6, rel_tol=1e-3))  # where float32 of the check and float64 of this differ
    report = checked(lambda s: torch.where(s[:, :1] == 0, low, high))
    assert bool(report.warnings) == (abs(high - low) <= 1e-6)
    assert report.vdn_difference is None


# forged graphs, and who has no use for a value


def reported(graph: dict[str, Any], **changes: Any) -> VerifyReport:
    request: dict[str, Any] = {"forms": ("value",), "n_actions": None, **changes}
    packed = VerifyRequest(encoded(graph), STATES.tobytes(), LAYOUT, N, "sum_to_n", "enforce", **request).to_bytes()
    return VerifyReport.from_bytes(run_job("verify", packed))


def forged(form: str, state_size: int, width: int = 1) -> dict[str, Any]:
    """The first numbers of the state, under a header of one's choice."""
    head = {"form": form, "has_bias": False, "igm": "enforce", "n_agents": N, "scale": "sum_to_n"}
    nodes = [{"op": "aten.slice.Tensor", "args": ["state", 1, 0, width]}]
    return {
        "format": 1,
        "header": {**head, "state_size": state_size},
        "constants": [],
        "nodes": nodes,
        "outputs": ["n0"],
    }


def test_a_graph_written_by_hand_is_a_value() -> None:
    assert reported(forged("value", 3)) == VerifyReport("", "", "", "value", (), None)
    assert reported(forged("value", 8), n_actions=A).stage == ""


@pytest.mark.parametrize(
    ("graph", "asked", "words"),
    [
        (forged("value", 8), {}, "state_size = 8, but 3 was asked for"),
        (forged("value", 5), {"n_actions": A}, "state_size = 5, but 3 was asked for"),
        (forged("value", 3), {"forms": ("weights", "general")}, "form = value, but weights or general was asked for"),
        (forged("shares", 3, 2), {"forms": ("weights",)}, "form = shares, but weights was asked for"),
        (forged("shares", 3, 2), {"forms": ("shares",), "n_actions": A}, "state_size = 3, but 8 was asked for"),
        (forged("general", 3), {}, "form = general, but value was asked for"),
        (forged("value", 3, 2), {}, "output 0"),
    ],
)
def test_a_forged_header_is_refused(graph: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    report = reported(graph, **asked)
    assert (report.stage, report.kind, report.vdn_difference) == ("graph", "graph", None)
    assert words in report.message


def test_who_needs_weights_says_so(tmp_path: Path) -> None:
    from qredit.marl.mixers import load_mixer

    graph = parse_graph(encoded(forged("value", 3)))
    raw = interpret(graph, state=CELLS)
    with pytest.raises(ValueError, match="the form `value` is one number per state or transition; it has no Q_tot"):
        apply_form(graph.header, raw, torch.ones(2, N))
    with pytest.raises(ValueError, match="it has no weights"):
        credit_weights(graph.header, raw)
    files = {CREDIT_GRAPH: graph.to_bytes()}
    save_artifact(tmp_path / "a", manifest={"kind": "credit", "task": "x"}, files=files)
    with pytest.raises(ArtifactError, match="it values states or transitions; a mixer needs weights"):
        load_mixer(tmp_path / "a")
