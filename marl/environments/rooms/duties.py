"""Who should do what now, as a person would say it: what the scripted team and the heuristic ranker go by.

Two-Switch: the switches are divided so that the later of the two is on soonest; who has none waits at the door;
then the nearer agent enters the target. Victim-Rubble: the remover clears first what keeps a victim out of reach; the
healer heals whom it can reach, and keeps out of the way until then. (The heuristics of Nagpal et al. 2025, section 5.2,
are described there in one sentence; the rest is decision 0017.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

from qredit.marl.environments.rooms.plan import Cell, FloorPlan, Thing
from qredit.marl.environments.rooms.ways import UNREACHABLE, actions_to_enter, actions_to_operate
from qredit.marl.environments.rooms.world import ACT, STAY, STEPS, Saved, walked

OUT_OF_THE_WAY = 3
"""Cells that who waits for a piece of rubble to go keeps from it."""


@dataclass(frozen=True)
class Duty:
    """What one agent should do."""

    what: Literal["operate", "enter", "wait"]
    cell: Cell
    """The thing or the target; for `wait`, what to keep away from."""


def duties(plan: FloorPlan, now: Saved) -> list[Duty | None]:
    """Of each agent what it should do, `[N]`; nothing for one that can do no more than stay out of the way."""
    open_things = [thing for thing, done in zip(plan.things, now.done, strict=True) if not done]
    shared = all(len(kind.operators) == len(plan.agents) for kind in plan.kinds)
    if open_things and shared:
        return _divided(plan, now, open_things)
    if open_things:
        return [_own(plan, now, i, open_things) for i in range(len(plan.agents))]
    return _arriving(plan, now)


def actions_left(plan: FloorPlan, now: Saved, agent: int, duty: Duty) -> int:
    """Actions until a duty is done if nobody is in the way; for `wait`, cells that it stands too near or too far."""
    if duty.what == "operate":
        return actions_to_operate(plan, now, agent, duty.cell)
    way = actions_to_enter(plan, now, agent, duty.cell, open_all=True)
    return way if duty.what == "enter" else abs(way - OUT_OF_THE_WAY)


def next_action(plan: FloorPlan, now: Saved, agent: int) -> int:
    """The action that leaves the fewest actions for the agent's duty."""
    duty = duties(plan, now)[agent]
    if duty is None:
        return STAY
    if duty.what == "operate" and actions_left(plan, now, agent, duty) == 1:
        return ACT

    def left(action: int) -> int:
        actions = [action if i == agent else STAY for i in range(len(plan.agents))]
        facing = tuple(STEPS.get(a, f) for a, f in zip(actions, now.facing, strict=True))
        then = replace(now, positions=tuple(walked(plan, now, actions)), facing=facing)
        return actions_left(plan, then, agent, duty)

    return min((STAY, *STEPS), key=left)


def _divided(plan: FloorPlan, now: Saved, things: Sequence[Thing]) -> list[Duty | None]:
    """Each agent has a thing of its own, so that the last is done soonest; the rest wait at the target's door."""
    agents = range(len(plan.agents))
    costs = [[actions_to_operate(plan, now, i, thing.cell) for thing in things] for i in agents]
    count = min(len(things), len(agents))

    def time(who: tuple[int, ...]) -> tuple[int, int]:
        taken = [costs[i][k] for k, i in enumerate(who)]
        return max(taken), sum(taken)

    best = min(permutations(agents, count), key=time)
    rest = None if plan.target is None else Duty("enter", plan.target)
    given = {i: Duty("operate", things[k].cell) for k, i in enumerate(best)}
    return [given.get(i, rest) for i in agents]


def _own(plan: FloorPlan, now: Saved, agent: int, things: Sequence[Thing]) -> Duty | None:
    """The nearest thing that the agent can do, those first that keep others out of reach."""
    mine = [thing for thing in things if agent in thing.kind.operators]
    if not mine:
        return None
    costs = {thing: actions_to_operate(plan, now, agent, thing.cell) for thing in mine}
    reachable = [thing for thing in mine if costs[thing] < UNREACHABLE]
    blocking = [thing for thing in things if _blocks(plan, thing, things)]
    if not reachable:
        near = min(
            blocking, key=lambda thing: actions_to_enter(plan, now, agent, thing.cell, open_all=True), default=None
        )
        return None if near is None else Duty("wait", near.cell)
    first = [thing for thing in reachable if thing in blocking] or reachable
    return Duty("operate", min(first, key=lambda thing: costs[thing]).cell)


def _blocks(plan: FloorPlan, thing: Thing, things: Sequence[Thing]) -> bool:
    """Whether a thing alone would keep agents from another one that others are to do."""
    done = tuple(other is not thing for other in plan.things)
    start = plan.cells("+")[0]
    alone = Saved((start,), ((1, 0),), done, arrived=False, steps=0)
    others = [other for other in things if other.kind is not thing.kind]
    return any(actions_to_operate(plan, alone, 0, other.cell) == UNREACHABLE for other in others)


def _arriving(plan: FloorPlan, now: Saved) -> list[Duty | None]:
    """The nearest agent enters the target."""
    if plan.target is None:
        return [None] * len(plan.agents)
    ways = [actions_to_enter(plan, now, i, plan.target) for i in range(len(plan.agents))]
    nearest = ways.index(min(ways))
    return [Duty("enter", plan.target) if i == nearest else None for i in range(len(plan.agents))]
