"""Rollout states and the edge states made from them, counted and worked out by hand."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.layout import StateField, StateLayout
from qredit.sandbox.contract.probe_states import MAX_FIELDS, PER_EDGE, SHOWN, probe_states


def field(name: str, size: int, low: float, high: float, entities: tuple[str, ...] = ()) -> StateField:
    return StateField(name, (size,), "units", low, high, "What it is.", entities)


LAYOUT = StateLayout((field("level", 2, 1, 3, ("agent",)), field("food", 1, -1, 4, ("food",))))
ROLLOUT = torch.tensor([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0]])


def test_the_edge_states_by_hand() -> None:
    probe = probe_states(LAYOUT, ROLLOUT)
    assert probe.n_rollout == 2
    named = dict(zip(probe.edges, probe.states[2:].tolist(), strict=False))
    assert torch.equal(probe.states[:2], ROLLOUT)
    assert probe.states[2].tolist() == [0.0, 0.0, 0.0]
    assert probe.states[3].tolist() == [1.0, 1.0, -1.0]
    assert probe.states[4].tolist() == [3.0, 3.0, 4.0]
    assert len(probe.edges) == 3 + 4 * 2 * 2  # two fields and two entities, two bounds, two rollout states
    assert named["a rollout state with `food` at the low bound"] == [3.0, 1.0, -1.0]  # of the last such state
    assert named["a rollout state with all fields of `agent` at the high bound"] == [3.0, 3.0, 2.0]


def test_a_field_without_bounds_takes_the_values_that_were_seen() -> None:
    layout = StateLayout((field("a", 1, -math.inf, math.inf), field("b", 1, -1e9, 2), field("c", 1, 0, 1e9)))
    probe = probe_states(layout, torch.tensor([[5.0, 1.0, 7.0], [-5.0, -3.0, 9.0]]))
    assert probe.states[3].tolist() == [-5.0, -3.0, 0.0]
    assert probe.states[4].tolist() == [5.0, 2.0, 9.0]


def test_a_message_names_the_state_and_its_values_by_field() -> None:
    probe = probe_states(LAYOUT, ROLLOUT)
    assert probe.describe(1) == "rollout state 1 (level=[3, 1], food=[2])"
    assert probe.describe(2) == "the all-zero state (level=[0, 0], food=[0])"
    wide = probe_states(StateLayout((field("x", 500, 0, 1),)), torch.rand(1, 500))
    assert len(wide.describe(0)) == len("rollout state 0 ()") + SHOWN
    assert wide.describe(0).endswith("...)")


@given(st.integers(1, 40), st.integers(1, 30))
def test_their_number_is_bounded_whatever_the_layout(n_states: int, n_fields: int) -> None:
    layout = StateLayout(tuple(field(f"f{i}", 1, 0, 1, (f"e{i}",)) for i in range(n_fields)))
    probe = probe_states(layout, torch.rand(n_states, n_fields))
    assert len(probe.edges) == len(probe.states) - n_states <= 3 + 4 * MAX_FIELDS * PER_EDGE
    assert bool(torch.isfinite(probe.states).all())
    assert float(probe.states.min()) >= 0
    assert float(probe.states.max()) <= 1
