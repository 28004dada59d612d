"""Which functions are wanted: by form, by the number of actions, and what a module with another one is told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.credit import interpret, parse_graph
from qredit.credit.schema import Form
from qredit.errors import ConfigurationError, TaskFileError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import verify
from qredit.sandbox.functions import FUNCTIONS, default_forms, wanted_functions
from qredit.sandbox.tracing.failure import TraceFailure
from qredit.sandbox.tracing.trace import trace_source

N, A = 2, 3
LAYOUT = StateLayout((StateField("cell", (N,), "cells", 0.0, 4.0, "Cell of each agent."),))
SOURCES = {
    "credit": "def credit(state):\n    return state['cell']\n",
    "tfcaf": "def tfcaf(agents_q, state):\n    return (agents_q * state['cell']).sum(dim=1, keepdim=True)\n",
    "share": "def share(state, actions, next_state):\n    return state['cell'] + actions.float()\n",
    "value": "def value(state):\n    return state['cell'][:, :1]\n",
    "reward": "def reward(state, actions, next_state):\n    return next_state['cell'][:, :1] - state['cell'][:, :1]\n",
}
"""A good function of each name."""


def form_of(source: str, forms: Collection[str] | None = None, n_actions: int | None = A) -> Form:
    """The form of the graph."""
    data = trace_source(source, LAYOUT, N, scale="sum_to_n", igm="enforce", n_actions=n_actions, forms=forms)
    return parse_graph(data).header.form


def refusal(source: str, forms: Collection[str] | None = None, n_actions: int | None = A) -> str:
    with pytest.raises(TraceFailure) as refused:
        form_of(source, forms, n_actions)
    assert refused.value.kind == "contract"
    return refused.value.message


@pytest.mark.parametrize("name", SOURCES)
def test_a_function_becomes_the_form_of_its_name(name: str) -> None:
    (form,) = (f.form for f in FUNCTIONS if f.name == name)
    assert form_of(SOURCES[name], (form,)) == form


@pytest.mark.parametrize(
    ("name", "forms", "n_actions", "message"),
    [
        ("share", ("weights",), A,
         "one function `credit(state)`; it defines `share(state, actions, next_state)`, which is not wanted here."),
        ("credit", ("general",), A,
         "one function `tfcaf(agents_q, state)`; it defines `credit(state)`, which is not wanted here."),
        ("credit", ("shares",), A,
         "one function `share(state, actions, next_state)`; it defines `credit(state)`, which is not wanted here."),
        ("tfcaf", ("value",), A, "one function `value(state)` or `reward(state, actions, next_state)`; it defines"),
        ("reward", ("value",), None, "one function `value(state)`; it defines `reward(state, actions, next_state)`"),
        ("value", None, A,
         "`credit(state)`, `tfcaf(agents_q, state)` or `share(state, actions, next_state)`; it defines `value(state)`"),
        ("share", None, None, "`credit(state)` or `tfcaf(agents_q, state)`; it defines `share(state, actions,"),
    ],
)  # fmt: skip
def test_another_function_is_told_which_one_is_wanted(
    name: str, forms: tuple[str, ...] | None, n_actions: int | None, message: str
) -> None:
    assert message in refusal(SOURCES[name], forms, n_actions)


def test_a_module_without_any_is_told_as_well() -> None:
    assert refusal("def f(state):\n    return state\n", ("value",)).endswith("next_state)`; there is none.")


@pytest.mark.parametrize(
    ("names", "forms", "form"),
    [
        (("credit", "value"), ("value",), "value"),  # only what is wanted counts
        (("credit", "tfcaf"), ("general",), "general"),
        (("credit", "tfcaf"), ("weights",), "weights"),
        (("share", "reward"), ("shares",), "shares"),
        (("credit", "share"), None, "weights"),  # both are wanted, but `share` is also what a helper is called
        (("tfcaf", "value", "reward"), ("general", "value"), "general"),
        (("credit", "value"), None, "weights"),
    ],
)
def test_other_functions_beside_the_wanted_one_are_helpers(
    names: tuple[str, ...], forms: tuple[str, ...] | None, form: Form
) -> None:
    for order in (names, names[::-1]):
        assert form_of("".join(SOURCES[name] for name in order), forms) == form


@pytest.mark.parametrize(
    ("names", "forms"),
    [(("credit", "tfcaf"), None), (("value", "reward"), ("value",)), (("share", "value"), ("shares", "value"))],
)
def test_several_wanted_ones_are_refused_by_name(names: tuple[str, ...], forms: tuple[str, ...] | None) -> None:
    told = refusal("".join(SOURCES[name] for name in names), forms)
    assert f"there are several: {', '.join(names)}. Give helper functions other names." in told


def test_the_state_of_the_general_form_has_names_or_is_flat() -> None:
    for state in ("state['cell']", "state[:, :2]"):
        source = SOURCES["tfcaf"].replace("state['cell']", state)
        graph = parse_graph(trace_source(source, LAYOUT, N, scale="raw", igm="enforce", forms=("general",)))
        (q_tot,) = interpret(graph, state=torch.tensor([[3.0, 4.0]]), agents_q=torch.tensor([[1.0, 2.0]]))
        assert q_tot.tolist() == [[11.0]]
    with pytest.raises(TraceFailure, match=r"there is no `cel`. The fields of the state are `cell` \[B, 2\]"):
        form_of(SOURCES["tfcaf"].replace("'cell'", "'cel'"), ("general",))


@given(st.sets(st.sampled_from(get_args(Form))), st.sampled_from([None, A]))
def test_wanted_functions_have_a_wanted_form_and_what_they_read(forms: set[str], n_actions: int | None) -> None:
    wanted = wanted_functions(forms, n_actions)
    assert {f.form for f in wanted} == forms - (set() if n_actions else {"shares"})
    assert n_actions is not None or not any("actions" in f.arguments for f in wanted)
    assert set(default_forms(n_actions)) <= {f.form for f in wanted_functions(get_args(Form), n_actions)}


@pytest.mark.parametrize(
    ("forms", "n_actions", "what", "remedy"),
    [
        ((), A, "no form", "Name at least one"),
        (("weights", "sums"), A, "form `sums`", "Name at least one"),
        ("value", A, "form `a`", "as a list"),
        (("shares",), None, "form `shares` without the number of actions", "Give `n_actions`"),
        (("value", "shares"), None, "form `shares` without the number of actions", "leave this form out"),
    ],
)
def test_forms_that_cannot_be_are_the_callers_mistake(
    forms: Any, n_actions: int | None, what: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        asked(forms=forms, n_actions=n_actions)
    assert refused.value.what == what
    assert remedy in refused.value.remedy


def test_a_layout_without_transitions_is_told_before_anything_runs() -> None:
    taken = StateLayout((StateField("chosen_action", (N,), "-", 0, 1, "Taken."),))
    with pytest.raises(TaskFileError, match="`chosen_action` stands there twice"):
        asked(layout=taken, forms=("shares",))


def asked(**changes: Any) -> None:
    """An order that must not reach a jail."""
    given: dict[str, Any] = {"layout": LAYOUT, "n_agents": N, "n_actions": A, "jail": None}
    verify(SOURCES["credit"], **({"states": np.zeros((3, 2), np.float32)} | given | changes))
