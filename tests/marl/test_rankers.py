"""Transitions to rank, rankings by rule, and errors in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl import layout_of
from qredit.marl.environments import pistonball_ranking as pistonball
from qredit.marl.environments.rooms import PLANS
from qredit.marl.environments.rooms.plan import Cell
from qredit.marl.environments.rooms.ranking import AFTER, BEFORE, UNSURE, rank
from qredit.marl.environments.rooms.world import Saved
from qredit.marl.potentials import Potentials, fit_potentials
from qredit.marl.potentials.fitting import FitSettings
from qredit.marl.potentials.heuristics import answers_with_errors, heuristic_answers, rankings_of
from qredit.marl.potentials.transitions import LANDMARKS, key_steps, sample_transitions
from qredit.task import load_task

TWO_SWITCH = load_task("two-switch")
NORTH, SOUTH, WEST, EAST = (-1, 0), (1, 0), (0, -1), (0, 1)


def now(a: Cell, b: Cell, *, facing: tuple[Cell, Cell] = (SOUTH, SOUTH), done: tuple[bool, ...]) -> Saved:
    return Saved((a, b), facing, done, arrived=False, steps=0)


# Rules


@pytest.mark.parametrize(
    ("before", "after", "ego", "expected"),
    [
        # agent 0 has the west switch, agent 1 the east one
        (now((2, 3), (2, 7), done=(False, False)), now((2, 2), (2, 7), done=(False, False)), 0, AFTER),
        (now((2, 3), (2, 7), done=(False, False)), now((2, 4), (2, 7), done=(False, False)), 0, BEFORE),
        (now((2, 3), (2, 7), done=(False, False)), now((2, 2), (2, 7), done=(False, False)), 1, UNSURE),
        (now((2, 3), (2, 7), done=(False, False)), now((2, 3), (2, 8), done=(False, False)), 1, AFTER),
        # turning towards the switch is a step, turning away one back
        (now((3, 1), (2, 7), done=(False, False)),
         now((3, 1), (2, 7), facing=(WEST, SOUTH), done=(False, False)), 0, AFTER),
        # who did it, and who did not
        (now((3, 1), (2, 7), facing=(WEST, SOUTH), done=(False, False)),
         now((3, 1), (2, 7), facing=(WEST, SOUTH), done=(True, False)), 0, AFTER),
        (now((3, 1), (2, 7), facing=(WEST, SOUTH), done=(False, False)),
         now((3, 1), (2, 7), facing=(WEST, SOUTH), done=(True, False)), 1, UNSURE),
        # after both, the nearer agent goes to the target, the other has no part
        (now((5, 5), (2, 7), done=(True, True)), now((6, 5), (2, 7), done=(True, True)), 0, AFTER),
        (now((5, 5), (2, 7), done=(True, True)), now((5, 5), (2, 6), done=(True, True)), 1, UNSURE),
    ],
)  # fmt: skip
def test_two_switch_by_hand(before: Saved, after: Saved, ego: int, expected: float) -> None:
    assert rank(PLANS["two-switch"], before, after, ego) == expected


def test_a_healer_is_not_praised_for_a_way_that_the_remover_has_opened() -> None:
    before = now((4, 6), (4, 8), facing=(SOUTH, EAST), done=(False, True, False, False, False))
    after = now((4, 6), (4, 8), facing=(SOUTH, EAST), done=(False, True, False, True, False))
    assert rank(PLANS["victim-rubble"], before, after, 0) == UNSURE
    assert rank(PLANS["victim-rubble"], before, after, 1) == AFTER


@pytest.mark.parametrize(
    ("ego", "move", "expected"),
    [(3, 4, AFTER), (3, -4, BEFORE), (2, 4, BEFORE), (1, -4, AFTER), (3, 0, UNSURE), (0, -4, UNSURE)],
)
def test_pistonball_by_hand(ego: int, move: int, expected: float) -> None:
    """The ball's middle is at 100, over piston 2, which reaches from 80 to 120."""
    heights, edges = np.full(5, 20.0), 40.0 * np.arange(5)
    then = heights + move * np.eye(5)[ego]
    assert pistonball.rank(heights, then, edges, (100.0, 101.9), ego) == expected
    assert pistonball.rank(heights, then, edges, (100.0, 102.1), ego) == BEFORE
    assert pistonball.rank(heights, then, edges, (100.0, 97.9), ego) == AFTER


def test_other_tasks_have_no_rule() -> None:
    task = load_task("lbf-5x5-2p-1f")
    with pytest.raises(ConfigurationError, match="`rooms`"):
        heuristic_answers(task, sample_transitions(task, 4, 0))


# Errors


def test_errors_are_as_frequent_as_asked_for() -> None:
    right = torch.tensor([1.0, 0.0, 0.5]).repeat(2000)
    answers = answers_with_errors(right, accuracy=0.8, queries=2, seed=0)
    assert answers.shape == (6000, 2)
    decided = right != 0.5
    assert (answers[decided] == right[decided].unsqueeze(1)).double().mean().item() == pytest.approx(0.8, abs=0.01)
    assert answers[~decided].mean().item() == pytest.approx(0.5, abs=0.02)
    assert set(answers.flatten().tolist()) == {0.0, 1.0}
    assert not torch.equal(answers[:, 0], answers[:, 1])
    assert torch.equal(answers_with_errors(right, accuracy=1.0, queries=2, seed=0), right.unsqueeze(1).expand(-1, 2))


# Transitions


def test_a_quarter_are_landmarks_and_egos_take_turns() -> None:
    found = sample_transitions(TWO_SWITCH, 200, 3)
    assert found.egos.bincount().tolist() == [100, 100]
    flags = layout_of(TWO_SWITCH).named(found.states)["switch_on"]
    then = layout_of(TWO_SWITCH).named(found.next_states)
    arrived = (then["agent_position"] == torch.tensor([9.0, 5.0])).all(dim=-1).any(dim=-1)
    landmarks = (flags != then["switch_on"]).any(dim=-1) | arrived
    assert landmarks.sum() >= round(LANDMARKS * 200)
    assert (found.gains != 0).sum() < landmarks.sum()  # some are their teammate's
    again, other = sample_transitions(TWO_SWITCH, 200, 3), sample_transitions(TWO_SWITCH, 200, 4)
    assert torch.equal(found.states, again.states)
    assert not torch.equal(found.states, other.states)


def test_other_transitions_are_about_the_ego_and_no_situation_comes_often() -> None:
    found, layout = sample_transitions(TWO_SWITCH, 400, 0), layout_of(TWO_SWITCH)
    before, after = layout.named(found.states), layout.named(found.next_states)
    world = (before["switch_on"] != after["switch_on"]).any(dim=-1)
    over = (after["agent_position"] == torch.tensor([9.0, 5.0])).all(dim=-1).any(dim=-1)
    rows, others = torch.arange(400), ~(world | over)
    still = layout.unchanged(found.states, found.next_states)[rows, found.egos]
    assert not still[others].any()
    own = torch.cat([before[name][rows, found.egos] for name in ("agent_position", "agent_facing")], dim=1)
    situations = torch.cat([own, before["switch_on"]], dim=1)[others]
    for ego in range(2):
        mine = situations[found.egos[others] == ego].tolist()
        assert max(mine.count(one) for one in mine) <= 2


def test_the_ego_of_a_landmark_may_be_who_earned_it() -> None:
    found = sample_transitions(TWO_SWITCH, 100, 5, of_earners=True)
    assert (found.gains == 1).sum() >= 25
    answers = heuristic_answers(TWO_SWITCH, found)
    assert (answers[found.gains == 1] == 1).double().mean() > 0.9  # arrivals by who was farther are not its duty


def test_too_many_transitions_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="only 200000 steps"):
        sample_transitions(TWO_SWITCH, 200_001, 0)


def test_key_steps_say_what_changed_in_the_world_once_each() -> None:
    layout = StateLayout(
        (
            StateField("place", (2,), "cells", 0, 9, "Of each agent.", ("agents",), (0,)),
            StateField("door", (2,), "flag", 0, 1, "Whether it is open."),
        )
    )
    states = np.array([[1, 2, 0, 0], [5, 6, 0, 0], [3, 4, 0, 0], [1, 2, 1, 0]], dtype=np.float32)
    after = np.array([[1, 3, 1, 0], [5, 7, 1, 0], [3, 5, 0, 0], [1, 2, 1, 1]], dtype=np.float32)
    assert key_steps(layout, states, after, np.array([1.0, 1.0, 2.0, 3.0])) == (
        "team reward 1.00: `door` [0, 0] -> [1, 0]",
        "team reward 2.00: `place` [3, 4] -> [3, 5]",
        "team reward 3.00: `door` [1, 0] -> [1, 1]",
    )


def test_potentials_follow_the_rule_on_transitions_that_they_never_saw() -> None:
    given = sample_transitions(TWO_SWITCH, 800, 0)
    torch.manual_seed(0)
    potentials = Potentials(layout_of(TWO_SWITCH), [[0, 1]])
    fit = fit_potentials(potentials, rankings_of(given, heuristic_answers(TWO_SWITCH, given)), FitSettings())
    assert fit.validation_accuracy is not None
    assert fit.validation_accuracy > 0.75


def test_a_reward_that_all_share_alike_says_nothing_about_anyone() -> None:
    found = sample_transitions(load_task("pistonball"), 40, 0, of_earners=True)
    assert not found.gains.any()  # the ball at the wall is worth the same to every piston
