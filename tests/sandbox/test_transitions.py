"""Real transitions in place of made-up ones: packed, checked, carried into the jail, and told apart in warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout, pack_transitions
from qredit.sandbox import Accepted, Jail, Rejected, Verdict, verify

N, A = 2, 3
LAYOUT = StateLayout(
    (
        StateField("cell", (N,), "cells", 0.0, 4.0, "Cell of each agent.", (), (0,)),
        StateField("goal", (), "cells", 0.0, 4.0, "Cell of the goal."),
    )
)
STATES = np.array([[2, 1, 1], [1, 2, 3], [3, 3, 3], [1, 1, 2]], dtype=np.float32)
AFTER = np.array([[3, 1, 2], [2, 2, 3], [3, 2, 3], [1, 2, 2]], dtype=np.float32)
ACTIONS = np.array([[2, 0], [1, 0], [0, 1], [0, 2]])
REAL = pack_transitions(STATES, ACTIONS, AFTER)
CAVEAT = "These are made of real states, but are no steps of a rollout"
EVENT = """
    came = (state["cell"][:, :1] == 2) & (next_state["cell"][:, :1] == 3)
    moved = (state["goal"] == 1) & (next_state["goal"] == 2)
    event = (came & moved.unsqueeze(1)).float()
"""
"""Agent 0 came and the goal moved: only in the first real transition."""
SHARE = f"def share(state, actions, next_state):{EVENT}    return 1 + event * (actions > 0).float()\n"
REWARD = f"def reward(state, actions, next_state):{EVENT}    return -1e6 * event\n"
EQUAL = "def share(state, actions, next_state):\n    return state['cell'] * 0 + 1\n"


@pytest.fixture(scope="module")
def jail(lockdown_jail: Jail) -> Jail:
    return lockdown_jail


def judged(jail: Any, source: str, **changes: Any) -> Verdict:
    given: dict[str, Any] = {"layout": LAYOUT, "n_agents": N, "states": STATES, "n_actions": A, "jail": jail}
    return verify(source, **(given | changes))


def accepted(jail: Jail, source: str, **changes: Any) -> Accepted:
    verdict = judged(jail, source, **changes)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def test_an_event_of_real_transitions_is_seen_in_them_alone(jail: Jail) -> None:
    made_up = accepted(jail, SHARE)
    assert made_up.vdn_difference == 0.0
    (warning,) = made_up.warnings
    assert warning.startswith(f"The function gives the same shares in all probed transitions. {CAVEAT}")
    real = accepted(jail, SHARE, transitions=REAL)
    assert (real.vdn_difference, real.warnings) == (0.25, ())
    assert real.payload == made_up.payload


def test_of_real_transitions_nothing_is_said_to_be_made_up(jail: Jail) -> None:
    (constant,) = accepted(jail, EQUAL, transitions=REAL).warnings
    assert constant == "The function gives the same shares in all probed transitions."
    many = np.concatenate([REAL[:1], np.repeat(REAL[1:2], 39, axis=0)])
    (rare,) = accepted(jail, SHARE, transitions=many).warnings
    assert rare == "The shares differ from equal ones in only 2.5% of the probed transitions."


def test_a_reward_is_checked_on_them_too(jail: Jail) -> None:
    (warning,) = accepted(jail, REWARD, forms=("value",)).warnings
    assert warning.startswith(f"The function gives the same value in all probed transitions. {CAVEAT}")
    verdict = judged(jail, REWARD, forms=("value",), transitions=REAL)
    assert isinstance(verdict, Rejected)
    assert "The value is -1e+06, beyond the bound |value| <= 10000, in rollout transition 0 (cell=" in verdict.message


def test_functions_of_states_are_left_alone_by_them(jail: Jail) -> None:
    source = "def credit(state):\n    return state['cell'] + 0.1\n"
    plain, given = accepted(jail, source), accepted(jail, source, transitions=REAL)
    assert (plain.payload, plain.warnings, plain.vdn_difference) == (given.payload, given.warnings, 0.5)
    assert isinstance(judged(jail, source, n_actions=None, transitions=REAL), Accepted)


@pytest.mark.parametrize(
    ("transitions", "cause"),
    [
        (REAL[:, :-1], "the layout needs [M, 8]"),
        (STATES, "the layout needs [M, 8]"),
        (REAL[:0], "with M from 1 to 4096"),
        (np.zeros((4097, 8), np.float32), "with M from 1 to 4096"),
        (np.full((2, 8), np.nan, np.float32), "not finite"),
        (REAL + np.eye(8, dtype=np.float32)[3], "no whole number from 0 to 2"),
        (REAL + np.eye(8, dtype=np.float32)[4] / 2, "no whole number from 0 to 2"),
        (REAL - np.eye(8, dtype=np.float32)[4], "no whole number from 0 to 2"),
    ],
)
def test_transitions_that_cannot_be_are_not_the_candidates_fault(transitions: Any, cause: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        judged(None, SHARE, transitions=transitions)
    assert cause in refused.value.cause


# packing


def test_a_transition_by_hand() -> None:
    assert REAL.dtype == np.float32
    assert REAL[0].tolist() == [2, 1, 1, 2, 0, 3, 1, 2]


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_each_part_stands_where_the_layout_says(rows: int, n_agents: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    layout = StateLayout(
        (StateField("cell", (n_agents,), "cells", 0, 9, "Cell."), StateField("t", (), "s", 0, 9, "T."))
    )
    states, after = generator.random((2, rows, layout.size), dtype=np.float32)
    actions = generator.integers(0, A, (rows, n_agents))
    packed = pack_transitions(states, actions, after)
    named = layout.transition(n_agents, A).named(packed)
    assert np.array_equal(named["cell"], states[:, :n_agents])
    assert np.array_equal(named["chosen_action"], actions)
    assert np.array_equal(named["next_t"], after[:, -1])


@pytest.mark.parametrize(
    ("states", "actions", "after"),
    [
        (STATES, ACTIONS[:3], AFTER),
        (STATES, ACTIONS, AFTER[:3]),
        (STATES, ACTIONS, AFTER[:, :2]),
        (STATES, ACTIONS[:, 0], AFTER),
        (STATES[0], ACTIONS, AFTER[0]),
    ],
)
def test_parts_that_do_not_fit_are_refused(states: Any, actions: Any, after: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"they must be \[M, S\], \[M, N\] and \[M, S\]"):
        pack_transitions(states, actions, after)
