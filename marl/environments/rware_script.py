"""A simple team that works a warehouse: it fetches requested shelves, delivers them and puts them back."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Cell = tuple[int, int]
"""Row and column."""

WAIT, FORWARD, TURN_LEFT, TURN_RIGHT, TOGGLE = range(5)
STEPS: tuple[Cell, ...] = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""What moving up, down, left and right adds to row and column; the package's numbers of the directions."""
_CLOCKWISE = (0, 3, 1, 2)
STRAY = 0.05
"""How often an agent on its way does something else: two that give way to each other would go on for ever."""


@dataclass(frozen=True)
class Worker:
    """One agent."""

    cell: Cell
    direction: int
    loaded: bool
    wanted: bool
    """Whether the shelf that it carries is requested."""


@dataclass(frozen=True)
class Floor:
    """What the team looks at."""

    rows: int
    columns: int
    workers: tuple[Worker, ...]
    shelves: frozenset[Cell]
    """Where shelves stand that nobody carries."""
    requests: tuple[Cell, ...]
    """Where the requested shelves stand that nobody carries."""
    goals: tuple[Cell, ...]
    slots: frozenset[Cell]
    """Where shelves may be put down."""


def scripted_work(floor: Floor, rng: np.random.Generator) -> list[int]:
    """Actions of the team, `[N]`; by chance an agent strays, and one whose way is blocked moves anyhow."""
    return [_stray(rng) if action != TOGGLE and rng.random() < STRAY else action for action in _work(floor, rng)]


def _work(floor: Floor, rng: np.random.Generator) -> Iterator[int]:
    """What each agent does, in the order of their numbers; the first ones have the choice of the shelves."""
    left = set(floor.requests)
    held = {worker.cell for worker in floor.workers}
    for worker in floor.workers:
        targets = _targets(floor, worker, left)
        if worker.cell in targets and not worker.wanted:
            left.discard(worker.cell)
            yield TOGGLE
            continue
        way = _way(floor, worker, targets, held - {worker.cell})
        if not way:
            yield _stray(rng)
            continue
        if not worker.loaded:
            left.discard(way[-1])
        yield _towards(worker, way[0])


def _stray(rng: np.random.Generator) -> int:
    return int(rng.integers(WAIT, TOGGLE))


def _targets(floor: Floor, worker: Worker, left: Collection[Cell]) -> Collection[Cell]:
    if not worker.loaded:
        return left
    return floor.goals if worker.wanted else floor.slots - floor.shelves


def _way(floor: Floor, worker: Worker, targets: Collection[Cell], held: Collection[Cell]) -> list[Cell]:
    """The cells of a shortest way to a target, without the first; empty when there is none around the others.

    Loaded agents do not fit under standing shelves.
    """
    came_from: dict[Cell, Cell] = {worker.cell: worker.cell}
    waiting = deque([worker.cell])
    while waiting:
        cell = waiting.popleft()
        if cell in targets and cell != worker.cell:
            way = []
            while cell != worker.cell:
                way.append(cell)
                cell = came_from[cell]
            return way[::-1]
        for down, right in STEPS:
            there = (cell[0] + down, cell[1] + right)
            inside = 0 <= there[0] < floor.rows and 0 <= there[1] < floor.columns
            blocked = there in held or (worker.loaded and there in floor.shelves)
            if inside and not blocked and there not in came_from:
                came_from[there] = cell
                waiting.append(there)
    return []


def _towards(worker: Worker, there: Cell) -> int:
    """Go to the next cell, or turn to it the short way round."""
    wanted = STEPS.index((there[0] - worker.cell[0], there[1] - worker.cell[1]))
    quarter_turns = (_CLOCKWISE.index(wanted) - _CLOCKWISE.index(worker.direction)) % 4
    return (FORWARD, TURN_RIGHT, TURN_RIGHT, TURN_LEFT)[quarter_turns]
