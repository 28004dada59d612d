"""Worlds of rooms: walking, operating, rewards and ends by hand; who should do what; what the state holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.rooms import PLANS, Rooms
from qredit.marl.environments.rooms.duties import Duty, duties, next_action
from qredit.marl.environments.rooms.plan import START, WALL, Cell
from qredit.marl.environments.rooms.ways import UNREACHABLE, actions_to_enter, actions_to_operate
from qredit.marl.environments.rooms.world import ACT, EAST, NORTH, SOUTH, STAY, WEST, Saved
from qredit.marl.environments.simulator import StepResult

N_ROW, S_ROW, W_ROW, E_ROW = (-1, 0), (1, 0), (0, -1), (0, 1)


def at(
    name: str,
    a: Cell,
    b: Cell,
    *,
    facing: tuple[Cell, Cell] = (S_ROW, S_ROW),
    done: tuple[int, ...] = (),
    steps: int = 0,
) -> Rooms:
    """A world with its agents on two cells; `done` names things by their numbers."""
    rooms = Rooms(name)
    flags = tuple(k in done for k in range(len(rooms.plan.things)))
    rooms.restore(Saved((a, b), facing, flags, arrived=False, steps=steps))
    return rooms


def result(rooms: Rooms, a: int, b: int) -> tuple[Saved, StepResult]:
    found = rooms.step([a, b])
    return rooms.save(), found


# Walking


@pytest.mark.parametrize(
    ("a", "b", "actions", "expected"),
    [
        ((2, 2), (5, 5), (NORTH, EAST), ((1, 2), (5, 6))),
        ((1, 2), (5, 5), (NORTH, STAY), ((1, 2), (5, 5))),  # a wall
        ((5, 5), (1, 1), (SOUTH, STAY), ((5, 5), (1, 1))),  # the shut door
        ((2, 2), (2, 3), (EAST, STAY), ((2, 2), (2, 3))),  # an agent that stays
        ((2, 2), (2, 3), (EAST, EAST), ((2, 2), (2, 4))),  # an agent that goes at the same time
        ((2, 2), (2, 3), (EAST, WEST), ((2, 2), (2, 3))),  # no changing of places
        ((2, 2), (2, 4), (EAST, WEST), ((2, 2), (2, 4))),  # both want the same cell
        ((3, 1), (5, 5), (WEST, STAY), ((3, 1), (5, 5))),  # a switch
    ],
)
def test_walking(a: Cell, b: Cell, actions: tuple[int, int], expected: tuple[Cell, Cell]) -> None:
    now, _ = result(at("two-switch", a, b), *actions)
    assert now.positions == expected


def test_who_walks_turns_even_when_the_way_is_shut() -> None:
    now, _ = result(at("two-switch", (1, 2), (2, 5)), NORTH, STAY)
    assert now.facing == (N_ROW, S_ROW)
    now, _ = result(at("two-switch", (1, 2), (2, 5), facing=(W_ROW, E_ROW)), ACT, STAY)
    assert now.facing == (W_ROW, E_ROW)


# Two-Switch


def test_a_switch_is_worth_one_to_both_and_credited_to_who_did_it() -> None:
    now, found = result(at("two-switch", (3, 1), (2, 5), facing=(W_ROW, S_ROW)), ACT, STAY)
    assert now.done == (True, False)
    assert found.agent_rewards == pytest.approx((2 - 0.02, -0.02))
    assert sum(found.agent_rewards) == pytest.approx(2 * (1 - 0.02))
    assert (found.terminated, found.truncated) == (False, False)


@pytest.mark.parametrize(("cell", "facing"), [((3, 1), N_ROW), ((2, 1), W_ROW), ((3, 2), W_ROW)])
def test_a_switch_wants_to_be_faced_from_beside_it(cell: Cell, facing: Cell) -> None:
    now, found = result(at("two-switch", cell, (5, 5), facing=(facing, S_ROW)), ACT, STAY)
    assert now.done == (False, False)
    assert sum(found.agent_rewards) == pytest.approx(-0.04)


def test_a_switch_stays_on_and_pays_once() -> None:
    now, found = result(at("two-switch", (3, 1), (5, 5), facing=(W_ROW, S_ROW), done=(0,)), ACT, STAY)
    assert now.done == (True, False)
    assert sum(found.agent_rewards) == pytest.approx(-0.04)


def test_the_door_opens_in_the_step_after_the_last_switch() -> None:
    rooms = at("two-switch", (3, 1), (5, 5), facing=(W_ROW, S_ROW), done=(1,))
    assert result(rooms, ACT, SOUTH)[0].positions[1] == (5, 5)
    assert result(rooms, STAY, SOUTH)[0].positions[1] == (6, 5)


def test_one_agent_at_the_target_completes_the_task() -> None:
    rooms = at("two-switch", (2, 2), (8, 5), done=(0, 1), steps=49)
    now, found = result(rooms, STAY, SOUTH)
    assert now.arrived
    assert (found.terminated, found.truncated) == (True, False)
    assert found.agent_rewards == pytest.approx((1 - 0.02, 2 + 1 - 0.02))


def test_the_time_limit_cuts_off() -> None:
    _, found = result(at("two-switch", (2, 2), (8, 5), done=(0, 1), steps=49), STAY, STAY)
    assert (found.terminated, found.truncated) == (False, True)


def test_a_whole_task_is_worth_what_the_paper_says() -> None:
    """Four per agent less the steps: two switches, the target, the end."""
    rooms, total, steps = Rooms("two-switch"), np.zeros(2), 0
    rooms.reset(3)
    over = False
    while not over:
        found = rooms.step([next_action(rooms.plan, rooms.save(), i) for i in range(2)])
        total += found.agent_rewards
        steps += 1
        over = found.terminated
    assert total.sum() == pytest.approx(2 * (4 - steps / 50))


# Victim-Rubble


def test_each_can_do_its_own_things_only() -> None:
    beside = at("victim-rubble", (4, 8), (3, 2), facing=(E_ROW, W_ROW))
    assert not any(result(beside, ACT, ACT)[0].done)
    swapped = at("victim-rubble", (3, 2), (4, 8), facing=(W_ROW, E_ROW))
    now, found = result(swapped, ACT, ACT)
    assert now.done == (False, True, False, True, False)
    assert sum(found.agent_rewards) == pytest.approx(2 * (2 - 1 / 110))


def test_what_is_done_no_longer_stands_in_the_way() -> None:
    rooms = at("victim-rubble", (3, 2), (4, 8), facing=(W_ROW, E_ROW))
    result(rooms, ACT, ACT)
    now, _ = result(rooms, WEST, EAST)
    assert now.positions == ((3, 1), (4, 9))


def test_the_task_ends_when_all_is_done() -> None:
    rooms = at("victim-rubble", (1, 2), (5, 5), facing=(W_ROW, S_ROW), done=(1, 2, 3, 4))
    _, found = result(rooms, ACT, STAY)
    assert found.terminated
    assert found.agent_rewards == pytest.approx((3 - 1 / 110, 1 - 1 / 110))


# Who should do what


@pytest.mark.parametrize(
    ("a", "b", "first"), [((3, 2), (3, 8), (3, 0)), ((3, 8), (3, 2), (3, 10)), ((3, 4), (3, 3), (3, 10))]
)
def test_switches_are_divided(a: Cell, b: Cell, first: Cell) -> None:
    rooms = at("two-switch", a, b)
    given = duties(rooms.plan, rooms.save())
    assert given[0] == Duty("operate", first)
    assert {duty.cell for duty in given if duty} == {(3, 0), (3, 10)}


def test_who_has_no_switch_waits_at_the_door_and_the_nearest_enters() -> None:
    rooms = at("two-switch", (3, 2), (3, 8), done=(0,))
    assert duties(rooms.plan, rooms.save()) == [Duty("enter", (9, 5)), Duty("operate", (3, 10))]
    rooms = at("two-switch", (3, 2), (5, 5), done=(0, 1))
    assert duties(rooms.plan, rooms.save()) == [None, Duty("enter", (9, 5))]


def test_blocking_rubble_comes_first_and_the_healer_keeps_out_of_the_way() -> None:
    rooms = at("victim-rubble", (5, 5), (5, 8))
    assert duties(rooms.plan, rooms.save()) == [Duty("operate", (3, 1)), Duty("operate", (4, 9))]
    rooms = at("victim-rubble", (4, 8), (5, 12), done=(1, 3))  # beside the harmless one, the corridor still shut
    assert duties(rooms.plan, rooms.save()) == [Duty("wait", (1, 9)), Duty("operate", (1, 9))]
    rooms = at("victim-rubble", (4, 8), (5, 12), done=(1, 2, 3))
    assert duties(rooms.plan, rooms.save()) == [Duty("operate", (1, 1)), Duty("operate", (6, 12))]
    rooms = at("victim-rubble", (4, 8), (5, 12), done=(0, 1, 2, 3))
    assert duties(rooms.plan, rooms.save()) == [None, Duty("operate", (6, 12))]


def test_ways_by_hand() -> None:
    rooms = at("two-switch", (3, 3), (2, 9))
    plan, now = rooms.plan, rooms.save()
    assert actions_to_operate(plan, now, 0, (3, 0)) == 3  # two steps west, which face it, and the act
    assert actions_to_operate(plan, now, 1, (3, 10)) == 3  # south, a turn to the east, the act
    assert actions_to_operate(plan, replace(now, positions=((3, 1), (2, 9))), 0, (3, 0)) == 2
    assert actions_to_enter(plan, now, 0, (9, 5)) == UNREACHABLE
    assert actions_to_enter(plan, now, 0, (9, 5), open_all=True) == 8


@pytest.mark.parametrize("name", PLANS)
def test_the_script_completes_what_chance_never_does(name: str) -> None:
    rooms, rng = Rooms(name), np.random.default_rng(0)
    completed = {"scripted": 0, "random": 0}
    for policy in completed:
        for seed in range(20):
            rooms.reset(seed)
            over = False
            while not over:
                chosen = rooms.scripted_actions(rng) if policy == "scripted" else rng.integers(0, 6, 2).tolist()
                found = rooms.step(chosen)
                over = found.terminated or found.truncated
            completed[policy] += found.terminated
    assert completed["scripted"] >= 17
    assert completed["random"] <= 2


# The state


@pytest.mark.parametrize("name", PLANS)
def test_the_fields_are_what_they_say(name: str) -> None:
    rooms = Rooms(name)
    rooms.reset(5)
    before, now = rooms.save(), rooms.layout.named(rooms.state())
    assert now["agent_position"].tolist() == [list(cell) for cell in before.positions]
    assert now["agent_facing"].tolist() == [list(cell) for cell in before.facing]
    flags = {kind.done for kind in rooms.plan.kinds}
    changes = {
        "agent_position": replace(before, positions=(before.positions[0], (1, 5))),
        "agent_facing": replace(before, facing=(W_ROW, before.facing[1])),
    }
    first = 0
    for kind in rooms.plan.kinds:
        changes[kind.done] = replace(before, done=tuple(k == first for k in range(len(before.done))))
        first += len(rooms.plan.cells(kind.symbol))
    assert set(changes) == {"agent_position", "agent_facing", *flags} == set(now)
    for field, changed in changes.items():
        rooms.restore(changed)
        then = rooms.layout.named(rooms.state())
        assert [f for f in now if not np.array_equal(now[f], then[f])] == [field]


def test_agents_see_themselves_first() -> None:
    rooms = at("two-switch", (1, 1), (5, 9), facing=(N_ROW, E_ROW), done=(1,))
    first, second = rooms.observations()
    assert first.tolist() == pytest.approx([-0.8, -0.8, -1, 0, 0, 0.8, 0, 1, 0, 1])
    assert second.tolist() == pytest.approx([0, 0.8, 0, 1, -0.8, -0.8, -1, 0, 0, 1])


@pytest.mark.parametrize("name", PLANS)
def test_plans_are_drawn_well(name: str) -> None:
    plan = PLANS[name]
    assert len({len(line) for line in plan.drawing}) == 1
    edge = {plan.drawing[0], plan.drawing[-1]}
    assert all(set(line) == {WALL} for line in edge)
    solid = set("#" + "".join(kind.symbol for kind in plan.kinds if kind.stays))
    assert all(line[0] in solid and line[-1] in solid for line in plan.drawing)
    assert len(plan.cells(START)) >= len(plan.agents)


def test_agents_start_everywhere_and_apart() -> None:
    rooms, seen = Rooms("victim-rubble"), set()
    for seed in range(200):
        rooms.reset(seed)
        a, b = rooms.save().positions
        assert a != b
        seen |= {(0, a), (1, b)}
    assert seen == {(i, cell) for i in range(2) for cell in rooms.plan.cells(START)}


def test_wrong_ids_and_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="two-switch"):
        Rooms("two-switches")
    with pytest.raises(ConfigurationError, match="takes no arguments"):
        Rooms("two-switch", {"size": 3})
