"""Shortest ways through rooms: how many actions one agent needs, others left aside."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from qredit.marl.environments.rooms.plan import Cell, FloorPlan
from qredit.marl.environments.rooms.world import STEPS, Saved

UNREACHABLE = 10_000
"""More actions than any way has."""


def actions_to_operate(plan: FloorPlan, now: Saved, agent: int, cell: Cell, *, open_all: bool = False) -> int:
    """Actions until an agent has operated the thing on a cell: walk beside it, face it, act.

    Args:
        plan: the rooms.
        now: where the agent is, and what stands in the way.
        agent: its number.
        cell: where the thing is.
        open_all: whether only walls count, as if all else were done.
    """
    done = (True,) * len(plan.things) if open_all else now.done
    found = _operating(plan, done, cell)
    return found.get((now.positions[agent], now.facing[agent]), UNREACHABLE)


def actions_to_enter(plan: FloorPlan, now: Saved, agent: int, cell: Cell, *, open_all: bool = False) -> int:
    """Actions until an agent is on a cell; see `actions_to_operate`."""
    done = (True,) * len(plan.things) if open_all else now.done
    return _entering(plan, done, cell).get(now.positions[agent], UNREACHABLE)


@lru_cache(maxsize=4096)
def _operating(plan: FloorPlan, done: tuple[bool, ...], cell: Cell) -> dict[tuple[Cell, Cell], int]:
    """Cell and facing -> actions until the thing is operated: a search from the last action to the first."""
    solid = plan.solid(done)
    solid[cell] = True
    found: dict[tuple[Cell, Cell], int] = {}
    last = []
    for step in STEPS.values():
        stand = cell[0] - step[0], cell[1] - step[1]
        if _inside(plan, stand) and not solid[stand]:
            found[stand, step] = 1
            last.append((stand, step))
    queue = deque(last)
    while queue:
        (row, column), facing = queue.popleft()
        actions = found[(row, column), facing] + 1
        # Into this pose leads a step `facing`: from the cell behind, or a turn on the spot if the way is shut.
        ahead = row + facing[0], column + facing[1]
        behind = row - facing[0], column - facing[1]
        origins = [behind] if _inside(plan, behind) and not solid[behind] else []
        origins += [(row, column)] if solid[ahead] else []
        for origin in origins:
            for before in STEPS.values():
                if (origin, before) not in found:
                    found[origin, before] = actions
                    queue.append((origin, before))
    return found


@lru_cache(maxsize=4096)
def _entering(plan: FloorPlan, done: tuple[bool, ...], cell: Cell) -> dict[Cell, int]:
    """Cell -> actions until the cell is entered."""
    solid = plan.solid(done)
    found, queue = {cell: 0}, deque([cell])
    while queue:
        here = queue.popleft()
        for step in STEPS.values():
            origin = here[0] - step[0], here[1] - step[1]
            if _inside(plan, origin) and not solid[origin] and origin not in found:
                found[origin] = found[here] + 1
                queue.append(origin)
    return found


def _inside(plan: FloorPlan, cell: Cell) -> bool:
    return 0 <= cell[0] < plan.shape[0] and 0 <= cell[1] < plan.shape[1]
