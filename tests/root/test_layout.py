"""The layout of the state: offsets, names, JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import TaskFileError
from qredit.layout import StateField, StateLayout


def field(name: str, *shape: int, low: float = 0, high: float = 1) -> StateField:
    return StateField(name, shape, unit="cells", low=low, high=high, meaning="A thing.", entities=("agents",))


TEAM = StateLayout((field("agent_position", 2, 2), field("step"), field("food_level", 3)))

layouts = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
        st.lists(st.integers(1, 4), max_size=3),
        st.floats(-10, 0),
        st.floats(0, 10) | st.just(math.inf),
        st.text(max_size=20),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row[0],
).map(
    lambda rows: StateLayout(
        tuple(
            StateField(
                n, tuple(s), unit=m, low=a, high=b, meaning=m, entities=(m,), agent_axes=tuple(range(len(s)))[:1]
            )
            for n, s, a, b, m in rows
        )
    )
)


def test_offsets_by_hand() -> None:
    assert TEAM.size == 8
    assert [(f.name, part.start, part.stop) for f, part in TEAM.slices()] == [
        ("agent_position", 0, 4),
        ("step", 4, 5),
        ("food_level", 5, 8),
    ]


def agents_field(name: str, shape: tuple[int, ...], *axes: int) -> StateField:
    return StateField(name, shape, unit="cells", low=0, high=1, meaning="A thing.", agent_axes=axes)


PAIRS = StateLayout(
    (
        agents_field("agent_position", (3, 2), 0),
        field("food", 2),
        agents_field("distance", (3, 3), 0, 1),
        agents_field("seen_by", (2, 3), 1),
    )
)


def test_renumbered_by_hand() -> None:
    """Agent 0 is now who was agent 2, agent 1 who was agent 0, agent 2 who was agent 1."""
    moved = PAIRS.named(PAIRS.renumbered(np.arange(2 * PAIRS.size).reshape(2, -1), [2, 0, 1]))
    assert {name: array[0].tolist() for name, array in moved.items()} == {
        "agent_position": [[4, 5], [0, 1], [2, 3]],
        "food": [6, 7],
        "distance": [[16, 14, 15], [10, 8, 9], [13, 11, 12]],
        "seen_by": [[19, 17, 18], [22, 20, 21]],
    }
    assert moved["agent_position"][1].tolist() == [[27, 28], [23, 24], [25, 26]]


@given(st.permutations(range(3)))
def test_renumbering_back_gives_the_state_again(order: list[int]) -> None:
    states = torch.arange(4.0 * PAIRS.size).reshape(2, 2, -1)
    back = [order.index(agent) for agent in range(3)]
    assert torch.equal(PAIRS.renumbered(PAIRS.renumbered(states, order), back), states)


OFFSETS = StateLayout(
    (
        StateField("position", (4, 2), "m", -1, 1, "Where each agent is.", agent_axes=(0,)),
        StateField("offset", (4, 3, 2), "m", -2, 2, "Others minus itself.", agent_axes=(0,), others_axis=1),
        StateField("heard", (2, 4, 3), "signal", 0, 1, "By channel.", agent_axes=(1,), others_axis=2),
    )
)


def seen(positions: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[float]:
    """The state of agents at these positions: each sees the others in their order, without itself."""
    others = [[j for j in range(4) if j != i] for i in range(4)]
    offsets = [[positions[j] - positions[i] for j in others[i]] for i in range(4)]
    heard = [[[c * positions[i, 0] + positions[j, 1] for j in others[i]] for i in range(4)] for c in (1, 2)]
    return [*positions.flat, *np.array(offsets).flat, *np.array(heard).flat]


def test_a_typical_magnitude_is_kept_beside_the_bounds() -> None:
    plain = StateField("offset", (2,), "m", -20, 20, "Far at most.")
    near = dataclasses.replace(plain, typical=1.0)
    layout = StateLayout((near, dataclasses.replace(plain, name="other")))
    assert [f.typical for f in StateLayout.from_json(layout.to_json()).fields] == [1.0, None]
    assert plain == near
    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(TaskFileError, match="`typical`"):
            dataclasses.replace(plain, typical=value)


@given(st.permutations(range(4)))
def test_what_each_sees_of_the_others_is_renumbered(order: list[int]) -> None:
    """Renumbering the state is the same as renumbering the agents and looking again."""
    positions = np.random.default_rng(3).normal(size=(4, 2))
    moved = OFFSETS.renumbered(np.array(seen(positions)), order)
    assert moved.tolist() == seen(positions[order])
    assert StateLayout.from_json(OFFSETS.to_json()).fields[2].others_axis == 2


@pytest.mark.parametrize(("axes", "others"), [((), 1), ((0,), 0), ((0,), 2), ((0,), 3), ((0,), -2)])
def test_an_axis_of_others_that_is_none_is_refused(axes: tuple[int, ...], others: int) -> None:
    with pytest.raises(TaskFileError, match="has no axis of the others"):
        StateField("offset", (4, 3, 2), "m", -2, 2, "Others.", agent_axes=axes, others_axis=others)


def test_a_renumbering_of_other_agents_is_refused() -> None:
    with pytest.raises(ValueError, match="axis 0 of `agent_position` has 3 entries, there are 2 agents"):
        PAIRS.renumbered(np.zeros(PAIRS.size), [1, 0])


@pytest.mark.parametrize(("shape", "axes"), [((), (0,)), ((3,), (1,)), ((3, 2), (0, 0)), ((3,), (-1,))])
def test_agent_axes_that_are_not_there_are_refused(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    with pytest.raises(TaskFileError, match="has no such axes"):
        agents_field("agent_position", shape, *axes)


def test_named_by_hand() -> None:
    named = TEAM.named(np.arange(16.0).reshape(2, 8))
    expected = {
        "agent_position": [[[0, 1], [2, 3]], [[8, 9], [10, 11]]],
        "step": [4, 12],
        "food_level": [[5, 6, 7], [13, 14, 15]],
    }
    assert {name: array.tolist() for name, array in named.items()} == expected


def test_named_gives_views_of_a_tensor() -> None:
    state = torch.zeros(3, 8)
    TEAM.named(state)["food_level"][1, 2] = 7
    assert state[1, 7] == 7


@pytest.mark.parametrize("size", [7, 9])
def test_a_state_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"the state has {size} numbers, the layout 8"):
        TEAM.named(np.zeros((1, size)))


@given(layouts, st.lists(st.integers(1, 3), max_size=2))
def test_names_partition_the_state(layout: StateLayout, lead: list[int]) -> None:
    state = np.arange(math.prod(lead) * layout.size, dtype=np.float64).reshape(*lead, layout.size)
    named = layout.named(state)
    assert [named[f.name].shape for f in layout.fields] == [(*lead, *f.shape) for f in layout.fields]
    flat = np.concatenate([named[f.name].reshape(*lead, f.size) for f in layout.fields], axis=-1)
    assert np.array_equal(flat, state)


@given(layouts)
def test_json_reads_back(layout: StateLayout) -> None:
    assert StateLayout.from_json(layout.to_json()) == layout


@pytest.mark.parametrize("name", ["", "Agent", "1st", "a-b", "a b", "a" * 41, "ä", "a\n", "_a"])
def test_a_field_needs_an_identifier(name: str) -> None:
    with pytest.raises(TaskFileError, match="lower-case identifier"):
        field(name)


@pytest.mark.parametrize("shape", [(0,), (2, -1), (100_001,), (1000, 1000)])
def test_a_field_needs_a_sensible_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(TaskFileError, match="at least 1"):
        field("a", *shape)


@pytest.mark.parametrize(("low", "high"), [(1, 0), (math.nan, 1), (0, math.nan)])
def test_a_range_must_be_one(low: float, high: float) -> None:
    with pytest.raises(TaskFileError, match="values from"):
        field("a", low=low, high=high)


def test_names_are_unique() -> None:
    with pytest.raises(TaskFileError, match="`a` stands there twice"):
        StateLayout((field("a"), field("b"), field("a")))


def test_an_empty_layout_is_refused() -> None:
    with pytest.raises(TaskFileError, match="no fields"):
        StateLayout(())


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
junk = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
KEYS = ("name", "shape", "unit", "low", "high", "meaning")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), junk) | junk, max_size=3))
def test_malformed_json_is_a_task_file_error(data: list[Any]) -> None:
    try:
        layout = StateLayout.from_json(data)
    except TaskFileError:
        return
    assert layout.size >= 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", [2.5]), ("shape", "22"), ("shape", [float("inf")]), ("shape", 3), ("low", 10**400), ("high", "x")],
)
def test_numbers_are_not_guessed(key: str, value: object) -> None:
    data = TEAM.to_json()
    data[0][key] = value
    with pytest.raises(TaskFileError, match="malformed field"):
        StateLayout.from_json(data)


@given(st.sampled_from(KEYS), junk)
def test_one_malformed_entry_is_a_task_file_error(key: str, value: object) -> None:
    good = TEAM.to_json()
    good[0][key] = value
    try:
        StateLayout.from_json(good)
    except TaskFileError:
        return
