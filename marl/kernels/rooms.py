"""Worlds of rooms, compiled: the rules of `environments.rooms.world`, in the same order.

Shapes: `B` environments, `N` agents, `K` things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import prange

from qredit.marl.environments.rooms.plan import DOOR, START, FloorPlan
from qredit.marl.environments.rooms.world import ACT, EAST, NORTH, SOUTH, WEST, Rooms, Saved
from qredit.marl.kernels.batch import CompiledBatch, Shown, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.random import integer, seed_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Booleans = NDArray[np.bool_]

NOTHING, A_WALL, A_DOOR, FIRST_THING = range(4)
"""What stands on a cell; thing `k` is `FIRST_THING + k`."""


class Rules(NamedTuple):
    """What never changes."""

    cells: Integers
    """What stands where, `[rows, columns]`."""
    operators: Booleans
    """Which agent can do which thing, `[K, N]`."""
    stays: Booleans
    """Which things stand in the way even when they are done, `[K]`."""
    starts: Integers
    """Cells to start on, `[P, 2]`."""
    target: Integers
    """Row and column of the target, -1 without one, `[2]`."""
    time_limit: int
    """Steps."""


class Worlds(NamedTuple):
    """What changes."""

    positions: Integers
    """`[B, N, 2]`"""
    facing: Integers
    """`[B, N, 2]`"""
    done: Booleans
    """`[B, K]`"""
    arrived: Booleans
    """`[B]`"""
    steps: Integers
    """`[B]`"""
    wanted: Integers
    """Room for the cells that agents want to enter, `[B, N, 2]`."""
    events: Integers
    """Room for what agents have brought about in a step, `[B, N]`."""
    free: Integers
    """Room for the cells that are left to start on, `[B, P]`."""
    generators: NDArray[np.uint64]
    """`[B, 6]`"""


def rules_of(plan: FloorPlan) -> Rules:
    """A floor plan as arrays."""
    cells = np.where(plan.walls, A_WALL, NOTHING).astype(np.int64)
    for cell in plan.cells(DOOR):
        cells[cell] = A_DOOR
    for k, thing in enumerate(plan.things):
        cells[thing.cell] = FIRST_THING + k
    n = len(plan.agents)
    return Rules(
        cells=cells,
        operators=np.array([[i in thing.kind.operators for i in range(n)] for thing in plan.things]),
        stays=np.array([thing.kind.stays for thing in plan.things]),
        starts=np.array(plan.cells(START), dtype=np.int64),
        target=np.array(plan.target or (-1, -1), dtype=np.int64),
        time_limit=plan.time_limit,
    )


class CompiledRooms(CompiledBatch):
    """Compiled rooms.

    Args:
        simulator: the world, which gives the floor plan.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: Rooms, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(simulator, n_environments)
        self._rules = rules_of(simulator.plan)
        b, n, k = n_environments, self.n_agents, len(simulator.plan.things)
        self._worlds = Worlds(
            positions=np.zeros((b, n, 2), dtype=np.int64),
            facing=np.zeros((b, n, 2), dtype=np.int64),
            done=np.zeros((b, k), dtype=np.bool_),
            arrived=np.zeros(b, dtype=np.bool_),
            steps=np.zeros(b, dtype=np.int64),
            wanted=np.zeros((b, n, 2), dtype=np.int64),
            events=np.zeros((b, n), dtype=np.int64),
            free=np.zeros((b, len(self._rules.starts)), dtype=np.int64),
            generators=self.generators,
        )
        self._reset_all = on_threads(n_threads, reset_all, reset_all_threaded)
        self._step_all = on_threads(n_threads, step_all, step_all_threaded)

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        self._reset_all(self._worlds, self._rules, seeds, self.shown)

    def _step(self, actions: Integers) -> None:
        self._step_all(self._worlds, self._rules, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the simulator, and show it."""
        w = self._worlds
        w.positions[b], w.facing[b], w.done[b] = snapshot.positions, snapshot.facing, snapshot.done
        w.arrived[b], w.steps[b] = snapshot.arrived, snapshot.steps
        self.shown.terminated[b] = self.shown.truncated[b] = False
        _show(w, self._rules, b, self.shown)

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the simulator can restore."""
        w = self._worlds
        return Saved(
            positions=tuple((int(row), int(column)) for row, column in w.positions[b]),
            facing=tuple((int(down), int(right)) for down, right in w.facing[b]),
            done=tuple(w.done[b].tolist()),
            arrived=bool(w.arrived[b]),
            steps=int(w.steps[b]),
        )


def _reset_all(w: Worlds, rules: Rules, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(w, rules, b, seeds[b], shown)


@kernel
def _reset_one(w: Worlds, rules: Rules, b: int, seed: np.uint64, shown: Shown) -> None:
    seed_generator(w.generators[b], seed)
    left = len(rules.starts)
    for p in range(left):
        w.free[b, p] = p
    for i in range(w.positions.shape[1]):
        chosen = integer(w.generators[b], 0, left)
        w.positions[b, i] = rules.starts[w.free[b, chosen]]
        left -= 1
        for p in range(chosen, left):
            w.free[b, p] = w.free[b, p + 1]
        w.facing[b, i, 0], w.facing[b, i, 1] = 1, 0
    w.done[b] = False
    w.arrived[b] = False
    w.steps[b] = 0
    shown.truncated[b] = False
    _show(w, rules, b, shown)


def _step_all(w: Worlds, rules: Rules, actions: Integers, shown: Shown) -> None:
    for b in prange(len(actions)):
        _step_one(w, rules, b, actions, shown)


@inlined
def _step_one(w: Worlds, rules: Rules, b: int, actions: Integers, shown: Shown) -> None:
    n = actions.shape[1]
    over, penalty = False, 0.0
    for i in range(n):
        w.events[b, i] = 0
    if not (shown.terminated[b] or shown.truncated[b]):
        w.steps[b] += 1
        find_wanted(w.positions, w.done, rules.cells, rules.stays, actions, b, w.wanted)
        operate(w.positions, w.facing, w.done, rules.cells, rules.operators, actions, b, w.events)
        walk(w.positions, w.facing, w.wanted, actions, b)
        for i in range(n):
            if w.positions[b, i, 0] == rules.target[0] and w.positions[b, i, 1] == rules.target[1]:
                w.arrived[b] = True
                w.events[b, i] += 1
        over = w.arrived[b] if rules.target[0] >= 0 else _all_done(w.done, b)
        penalty = 1 / rules.time_limit
        shown.terminated[b] = over
        shown.truncated[b] = not over and w.steps[b] >= rules.time_limit
        _show(w, rules, b, shown)
    total = 0.0
    for i in range(n):
        reward = n * w.events[b, i] + over - penalty
        shown.agent_rewards[b, i] = reward
        total += reward
    shown.rewards[b] = total


@inlined
def _all_done(done: Booleans, b: int) -> bool:
    for k in range(done.shape[1]):
        if not done[b, k]:
            return False
    return True


@inlined
def _solid(done: Booleans, cells: Integers, stays: Booleans, b: int, row: int, column: int) -> bool:
    what = cells[row, column]
    if what == A_DOOR:
        return not _all_done(done, b)
    if what >= FIRST_THING:
        return stays[what - FIRST_THING] or not done[b, what - FIRST_THING]
    return what == A_WALL  # type: ignore[no-any-return]


@inlined
def find_wanted(
    positions: Integers,
    done: Booleans,
    cells: Integers,
    stays: Booleans,
    actions: Integers,
    b: int,
    wanted: Integers,
) -> None:
    """The cell that each agent wants to be on: where it is, if it does not walk or nothing can be entered there."""
    n = actions.shape[1]
    for i in range(n):
        row = positions[b, i, 0] + int(actions[b, i] == SOUTH) - int(actions[b, i] == NORTH)
        column = positions[b, i, 1] + int(actions[b, i] == EAST) - int(actions[b, i] == WEST)
        free = not _solid(done, cells, stays, b, row, column)
        for j in range(n):
            if positions[b, j, 0] == row and positions[b, j, 1] == column:
                free = False
        wanted[b, i, 0] = row if free else positions[b, i, 0]
        wanted[b, i, 1] = column if free else positions[b, i, 1]


@inlined
def operate(
    positions: Integers,
    facing: Integers,
    done: Booleans,
    cells: Integers,
    operators: Booleans,
    actions: Integers,
    b: int,
    events: Integers,
) -> None:
    """Who acts does the thing that it faces, if it can and nobody has."""
    for i in range(actions.shape[1]):
        what = cells[positions[b, i, 0] + facing[b, i, 0], positions[b, i, 1] + facing[b, i, 1]]
        k = what - FIRST_THING
        if actions[b, i] == ACT and k >= 0 and operators[k, i] and not done[b, k]:
            done[b, k] = True
            events[b, i] += 1


@inlined
def walk(positions: Integers, facing: Integers, wanted: Integers, actions: Integers, b: int) -> None:
    """Turn, and enter what is wanted, unless two want the same cell."""
    n = actions.shape[1]
    for i in range(n):
        if NORTH <= actions[b, i] <= EAST:
            facing[b, i, 0] = int(actions[b, i] == SOUTH) - int(actions[b, i] == NORTH)
            facing[b, i, 1] = int(actions[b, i] == EAST) - int(actions[b, i] == WEST)
        alone = True
        for j in range(n):
            if j != i and wanted[b, j, 0] == wanted[b, i, 0] and wanted[b, j, 1] == wanted[b, i, 1]:
                alone = False
        if alone:
            positions[b, i, 0], positions[b, i, 1] = wanted[b, i, 0], wanted[b, i, 1]


@inlined
def _show(w: Worlds, rules: Rules, b: int, shown: Shown) -> None:
    n, k = w.positions.shape[1], w.done.shape[1]
    for i in range(n):
        for j in range(n):
            body = (i + j) % n
            for axis in range(2):
                side = rules.cells.shape[axis] - 1
                shown.observations[b, i, 4 * j + axis] = 2 * w.positions[b, body, axis] / side - 1
                shown.observations[b, i, 4 * j + 2 + axis] = w.facing[b, body, axis]
        for axis in range(2):
            shown.states[b, 2 * i + axis] = w.positions[b, i, axis]
            shown.states[b, 2 * n + 2 * i + axis] = w.facing[b, i, axis]
        for thing in range(k):
            shown.observations[b, i, 4 * n + thing] = w.done[b, thing]
    for thing in range(k):
        shown.states[b, 4 * n + thing] = w.done[b, thing]


reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
