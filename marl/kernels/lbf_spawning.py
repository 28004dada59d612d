"""Level-Based Foraging, compiled: where players and foods are at the start, drawn as the package draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.compiling import kernel
from qredit.marl.kernels.lbf_worlds import COLUMN, LEVEL, ROW, Rules
from qredit.marl.kernels.random import integer, permutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_ATTEMPTS = 1000
_STRONGEST_TEAM = 3
"""Where a task sets no highest level of foods, it is the sum of the levels of so many of the weakest players."""


@kernel
def spawn_players(rules: Rules, agents: Integers, order: Integers, generator: NDArray[np.uint64]) -> None:
    """Put the agents `[N, 3]` on cells that are free, with levels in random order."""
    permutation(generator, order[: len(agents)])
    for i in range(len(agents)):
        for attempt in range(_ATTEMPTS):
            row, column = integer(generator, 0, rules.rows), integer(generator, 0, rules.columns)
            if not _somebody_at(agents, i, row, column):
                break
            if attempt == _ATTEMPTS - 1:
                raise ValueError("the board has no room for all players")
        lowest, highest = rules.player_levels[order[i], 0], rules.player_levels[order[i], 1]
        agents[i, ROW], agents[i, COLUMN] = row, column
        agents[i, LEVEL] = integer(generator, lowest, highest + 1)


@kernel
def spawn_foods(rules: Rules, agents: Integers, foods: Integers, order: Integers, generator: NDArray[np.uint64]) -> int:
    """Put foods `[F, 3]` where nobody is and no food is near, and return how many found room."""
    permutation(generator, order[: len(foods)])
    strength = _strength_of_the_weakest(agents)
    foods[:] = 0
    placed = 0
    for _ in range(_ATTEMPTS):
        if placed == len(foods):
            break
        row, column = integer(generator, 1, rules.rows - 1), integer(generator, 1, rules.columns - 1)
        if _food_near(foods, placed, row, column) or _somebody_at(agents, len(agents), row, column):
            continue
        lowest, highest = rules.food_levels[order[placed], 0], rules.food_levels[order[placed], 1]
        if highest == 0:
            highest = strength
        if rules.cooperative:
            lowest = highest
        if lowest > highest:
            raise ValueError("the lowest level of a food is above the highest")
        _insert(foods, placed, row, column, integer(generator, lowest, highest + 1))
        placed += 1
    return placed


@kernel
def _somebody_at(agents: Integers, n_agents: int, row: int, column: int) -> bool:
    """Whether one of the first `n_agents` agents is on a cell."""
    for i in range(n_agents):
        if agents[i, ROW] == row and agents[i, COLUMN] == column:
            return True
    return False


@kernel
def _food_near(foods: Integers, placed: int, row: int, column: int) -> bool:
    """Whether there is a food around, or two cells off in a straight line."""
    for k in range(placed):
        down, right = abs(foods[k, ROW] - row), abs(foods[k, COLUMN] - column)
        if (down <= 1 and right <= 1) or (down == 0 and right <= 2) or (right == 0 and down <= 2):
            return True
    return False


@kernel
def _strength_of_the_weakest(agents: Integers) -> int:
    """Sum of the lowest three levels."""
    total = 0
    for i in range(len(agents)):
        rank = 0
        for j in range(len(agents)):
            if agents[j, LEVEL] < agents[i, LEVEL] or (agents[j, LEVEL] == agents[i, LEVEL] and j < i):
                rank += 1
        if rank < _STRONGEST_TEAM:
            total += agents[i, LEVEL]
    return total


@kernel
def _insert(foods: Integers, placed: int, row: int, column: int, level: int) -> None:
    """Add a food, so that they stay in row-major order."""
    k = placed
    while k > 0 and (foods[k - 1, ROW] > row or (foods[k - 1, ROW] == row and foods[k - 1, COLUMN] > column)):
        for what in range(3):
            foods[k, what] = foods[k - 1, what]
        k -= 1
    foods[k, ROW], foods[k, COLUMN], foods[k, LEVEL] = row, column, level
