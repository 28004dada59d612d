"""What compiled warehouses show: the very numbers of the official adapter's `state` and `observations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit.marl.environments.rware_observing import OWN, PER_CELL
from qredit.marl.environments.rware_script import STEPS
from qredit.marl.kernels.inlining import inlined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.marl.kernels.batch import Shown
    from qredit.marl.kernels.rware_worlds import Rules, Worlds

_ROW, _COLUMN = range(2)
_DIRECTIONS = len(STEPS)
_HAS_AGENT, _FACES, _HAS_SHELF, _IS_REQUESTED = 0, 1, 5, 6
"""Where the numbers about a cell are among the `PER_CELL` of them; `_FACES` is the first of four."""


@inlined
def show(w: Worlds, rules: Rules, b: int, shown: Shown) -> None:
    """Write the state and what each agent sees."""
    _write_state(w, rules, b, shown.states[b])
    for i in range(w.cells.shape[1]):
        _observe(w, rules, b, i, shown.observations[b, i])


@inlined
def _write_state(w: Worlds, rules: Rules, b: int, state: NDArray[np.float32]) -> None:
    """Agents, requests, goals and the last actions, in the order of the layout."""
    n = w.cells.shape[1]
    for i in range(n):
        down, right = STEPS[w.directions[b, i]]
        _write_position(rules, w.cells[b, i], state, 2 * i)
        state[2 * n + 2 * i], state[2 * n + 2 * i + 1] = down, right
        state[4 * n + i] = w.carried[b, i] > 0
        state[5 * n + i] = w.requested[b, w.carried[b, i]]
    at = 6 * n
    for q in range(w.requests.shape[1]):
        _write_position(rules, w.shelves[b, w.requests[b, q]], state, at)
        at += 2
    for goal in rules.goals:
        _write_position(rules, goal, state, at)
        at += 2
    for i in range(n):
        state[at + i] = w.last_actions[b, i]


@inlined
def _write_position(rules: Rules, cell: int, state: NDArray[np.float32], at: int) -> None:
    state[at], state[at + 1] = rules.positions[cell, _ROW], rules.positions[cell, _COLUMN]


@inlined
def _observe(w: Worlds, rules: Rules, b: int, i: int, seen: NDArray[np.float32]) -> None:
    """The agent itself, then the cells around it, row by row; beyond the walls there is nothing."""
    row, column = rules.positions[w.cells[b, i], _ROW], rules.positions[w.cells[b, i], _COLUMN]
    seen[0] = column / (rules.columns - 1) if rules.normalised else column
    seen[1] = row / (rules.rows - 1) if rules.normalised else row
    seen[2] = w.carried[b, i] > 0
    for direction in range(_DIRECTIONS):
        seen[3 + direction] = direction == w.directions[b, i]
    seen[7] = rules.highways[w.cells[b, i]]
    at = OWN
    for r in range(row - rules.sight, row + rules.sight + 1):
        for c in range(column - rules.sight, column + rules.sight + 1):
            agent, shelf = 0, 0
            if 0 <= r < rules.rows and 0 <= c < rules.columns:
                agent, shelf = w.agent_at[b, r * rules.columns + c], w.shelf_at[b, r * rules.columns + c]
            facing = w.directions[b, agent - 1] if agent > 0 else 0  # the package shows 0, up, where nobody is
            seen[at + _HAS_AGENT] = agent > 0
            for direction in range(_DIRECTIONS):
                seen[at + _FACES + direction] = direction == facing
            seen[at + _HAS_SHELF] = shelf > 0
            seen[at + _IS_REQUESTED] = w.requested[b, shelf]
            at += PER_CELL
