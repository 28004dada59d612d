"""A simple team that forages: groups that are strong enough walk to the nearest food and load it together."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Cell = tuple[int, int]
"""Row and column."""

NONE, LOAD = 0, 5
MOVES: tuple[tuple[int, Cell], ...] = ((1, (-1, 0)), (2, (1, 0)), (3, (0, -1)), (4, (0, 1)))
"""Number of each move, and what it adds to row and column."""


@dataclass(frozen=True)
class Board:
    """What the team looks at; agents and foods are (row, column, level)."""

    rows: int
    columns: int
    agents: tuple[tuple[int, int, int], ...]
    foods: tuple[tuple[int, int, int], ...]

    def beside(self, cell: Cell) -> Iterator[tuple[int, Cell]]:
        """The moves from a cell that stay on the board and off the food, and where they lead."""
        foods = {(row, column) for row, column, _ in self.foods}
        for action, (down, right) in MOVES:
            there = (cell[0] + down, cell[1] + right)
            if 0 <= there[0] < self.rows and 0 <= there[1] < self.columns and there not in foods:
                yield action, there


def scripted_foraging(board: Board, rng: np.random.Generator) -> list[int]:
    """Actions of the team, `[N]`; chance only decides where an agent steps that finds no way."""
    actions = [NONE] * len(board.agents)
    cells = [(row, column) for row, column, _ in board.agents]
    taken = set(cells)
    for i, food in enumerate(meeting_points(board)):
        if food is None:
            continue
        if _distance(cells[i], food) == 1:
            actions[i] = LOAD
            continue
        action, there = _towards(board, cells[i], food, taken, rng)
        actions[i] = action
        taken.add(there)
    return actions


def meeting_points(board: Board) -> list[Cell | None]:
    """The food that each agent goes to, `[N]`.

    The nearest agents that are strong enough together take the food that they reach first; those who are left over
    choose among the other foods in the same way, or help with the first.
    """
    goals: list[Cell | None] = [None] * len(board.agents)
    free, foods = set(range(len(board.agents))), list(board.foods)
    while free and foods:
        groups = {food: _group(board, food, free) for food in foods}
        reached = {food: _arrival(board, food, group) for food, group in groups.items() if group}
        if not reached:
            break
        best = min(reached, key=lambda food: (reached[food], food))
        for i in groups[best]:
            goals[i] = best[:2]
        free -= set(groups[best])
        foods.remove(best)
    first = next((goal for goal in goals if goal is not None), None)
    return [first if goal is None else goal for goal in goals]


def _group(board: Board, food: tuple[int, int, int], free: Collection[int]) -> list[int]:
    """The nearest free agents whose levels reach the food's; empty when all together are too weak."""
    group: list[int] = []
    for i in sorted(free, key=lambda i: (_distance(board.agents[i], food), i)):
        group.append(i)
        if sum(board.agents[j][2] for j in group) >= food[2]:
            return group
    return []


def _arrival(board: Board, food: tuple[int, int, int], group: Sequence[int]) -> int:
    return max(_distance(board.agents[i], food) for i in group)


def _towards(
    board: Board, start: Cell, food: Cell, taken: Collection[Cell], rng: np.random.Generator
) -> tuple[int, Cell]:
    """The first move of a shortest way to a free cell beside the food, around what is taken, and where it leads.

    Without a way, a random free move, which lets others pass.
    """
    first: dict[Cell, tuple[int, Cell]] = {}
    queue = deque([start])
    while queue:
        cell = queue.popleft()
        for action, there in board.beside(cell):
            if there in first or there in taken:
                continue
            first[there] = first.get(cell, (action, there))
            if _distance(there, food) == 1:
                return first[there]
            queue.append(there)
    free = [(action, there) for action, there in board.beside(start) if there not in taken]
    return free[int(rng.integers(len(free)))] if free else (NONE, start)


def _distance(a: Sequence[int], b: Sequence[int]) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])
