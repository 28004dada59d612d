"""Level-Based Foraging, compiled: the state for credit, and what agents see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.batch import Shown
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.lbf_worlds import COLUMN, LEVEL, ROW, Rules, Worlds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


@inlined
def show(w: Worlds, rules: Rules, b: int, shown: Shown) -> None:
    """Write the state and what each agent sees."""
    write_state(w.agents, w.foods, w.last_actions, b, shown.states)
    observe(w.agents, w.foods, b, rules.sight, rules.with_levels, shown.observations)


@inlined
def write_state(agents: Integers, foods: Integers, last_actions: Integers, b: int, states: NDArray[np.float32]) -> None:
    """Positions and levels of agents and foods, and the last actions, in the order of the layout."""
    n, f = agents.shape[1], foods.shape[1]
    for i in range(n):
        states[b, 2 * i] = agents[b, i, ROW]
        states[b, 2 * i + 1] = agents[b, i, COLUMN]
        states[b, 2 * n + i] = agents[b, i, LEVEL]
        states[b, 3 * n + 3 * f + i] = last_actions[b, i]
    for k in range(f):
        there = foods[b, k, LEVEL] > 0
        states[b, 3 * n + 2 * k] = foods[b, k, ROW] if there else -1
        states[b, 3 * n + 2 * k + 1] = foods[b, k, COLUMN] if there else -1
        states[b, 3 * n + 2 * f + k] = foods[b, k, LEVEL]


@inlined
def observe(
    agents: Integers, foods: Integers, b: int, sight: int, with_levels: bool, observations: NDArray[np.float32]
) -> None:
    """What each agent sees: foods, itself, then the other agents.

    Coordinates count from the corner of the window of `sight` cells around it, which the board's edge clips.
    """
    n, f = agents.shape[1], foods.shape[1]
    width = 3 if with_levels else 2
    for i in range(n):
        own_row, own_column = agents[b, i, ROW], agents[b, i, COLUMN]
        top, left = max(own_row - sight, 0), max(own_column - sight, 0)
        at = 0
        # Whatever is out of sight is written too, and overwritten by the next: a branch for each costs more.
        for k in range(f):
            row, column, level = foods[b, k, ROW], foods[b, k, COLUMN], foods[b, k, LEVEL]
            observations[b, i, at] = row - top
            observations[b, i, at + 1] = column - left
            observations[b, i, at + 2] = level
            at += 3 * ((level > 0) & (abs(row - own_row) <= sight) & (abs(column - own_column) <= sight))
        while at < 3 * f:
            observations[b, i, at] = -1
            observations[b, i, at + 1] = -1
            observations[b, i, at + 2] = 0
            at += 3
        for k in range(n):
            j = i if k == 0 else (k - 1 if k <= i else k)
            row, column = agents[b, j, ROW] - top, agents[b, j, COLUMN] - left
            observations[b, i, at] = row
            observations[b, i, at + 1] = column
            if with_levels:
                observations[b, i, at + 2] = agents[b, j, LEVEL]
            # The package compares with the whole window, clipped or not: a clipped one shows agents beyond its edge.
            at += width * ((row >= 0) & (row <= 2 * sight) & (column >= 0) & (column <= 2 * sight))
        while at < 3 * f + width * n:
            observations[b, i, at] = -1
            observations[b, i, at + 1] = -1
            if with_levels:
                observations[b, i, at + 2] = 0
            at += width
