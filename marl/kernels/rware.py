"""Robotic warehouses, compiled: the world of `rware` in the order of its own `reset` and `step`.

Shapes: see `rware_worlds.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import prange

from qredit.marl.environments.rware import NO_ACTION_YET, Saved, Warehouse
from qredit.marl.environments.rware_script import STEPS, TOGGLE, TURN_LEFT, TURN_RIGHT
from qredit.marl.kernels.batch import CompiledBatch, Shown, generator_state, load_generator, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.random import choose_without_replacement, integer, seed_generator
from qredit.marl.kernels.rware_moves import decide_moves
from qredit.marl.kernels.rware_showing import show
from qredit.marl.kernels.rware_worlds import GLOBAL, INDIVIDUAL, TWO_STAGE, Rules, Worlds, room_for, rules_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIRECTIONS = len(STEPS)
_LEFT_OF, _RIGHT_OF = (2, 3, 1, 0), (3, 2, 0, 1)
"""Direction after a turn of one that faces up, down, left or right."""


class CompiledWarehouse(CompiledBatch):
    """Compiled warehouses.

    Args:
        simulator: the official one, which gives sizes and rules.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: Warehouse, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(simulator, n_environments)
        official = simulator.official
        self._rules = rules_of(official)
        self._worlds = room_for(self._rules, self.n_agents, official.request_queue_size, self.generators)
        self._directions: tuple[Any, ...] = tuple(official.agents[0].dir.__class__)
        self._reset_all = on_threads(n_threads, reset_all, reset_all_threaded)
        self._step_all = on_threads(n_threads, step_all, step_all_threaded)

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        self._reset_all(self._worlds, self._rules, seeds, self.shown)

    def _step(self, actions: NDArray[np.int64]) -> None:
        self._step_all(self._worlds, self._rules, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the official simulator, and show it."""
        w, columns = self._worlds, self._rules.columns
        for i, (x, y, direction, shelf, delivered) in enumerate(snapshot.agents):
            w.cells[b, i] = y * columns + x
            w.directions[b, i], w.carried[b, i], w.delivered[b, i] = direction.value, shelf, delivered
        w.shelves[b, 1:] = [y * columns + x for x, y in snapshot.shelves]
        w.requests[b] = snapshot.requests
        w.steps[b], w.idle_steps[b] = snapshot.steps, snapshot.idle_steps
        w.last_actions[b] = snapshot.last_actions
        load_generator(w.generators[b], snapshot.generator)
        recalculate_grid(w, b)
        self.shown.terminated[b] = self.shown.truncated[b] = False
        show_one(w, self._rules, b, self.shown)

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the official simulator can restore."""
        w, columns = self._worlds, self._rules.columns
        return Saved(
            agents=tuple(
                (cell % columns, cell // columns, self._directions[direction], shelf, delivered)
                for cell, direction, shelf, delivered in zip(
                    w.cells[b].tolist(),
                    w.directions[b].tolist(),
                    w.carried[b].tolist(),
                    w.delivered[b].tolist(),
                    strict=True,
                )
            ),
            shelves=tuple((cell % columns, cell // columns) for cell in w.shelves[b, 1:].tolist()),
            requests=tuple(w.requests[b].tolist()),
            steps=int(w.steps[b]),
            idle_steps=int(w.idle_steps[b]),
            last_actions=tuple(w.last_actions[b].tolist()),
            generator=generator_state(w.generators[b]),
        )


# Resetting


def _reset_all(w: Worlds, rules: Rules, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(w, rules, b, seeds[b], shown)


@kernel
def _reset_one(w: Worlds, rules: Rules, b: int, seed: int, shown: Shown) -> None:
    """Start an episode: shelves at their places, then agents and requests as the package draws them."""
    generator = w.generators[b]
    seed_generator(generator, seed)
    w.steps[b] = w.idle_steps[b] = 0
    w.shelves[b] = rules.places
    choose_without_replacement(generator, len(rules.highways), w.cells[b])
    for i in range(w.cells.shape[1]):
        w.directions[b, i] = integer(generator, 0, _DIRECTIONS)
    w.carried[b] = 0
    w.delivered[b] = False
    w.last_actions[b] = NO_ACTION_YET
    choose_without_replacement(generator, len(rules.places) - 1, w.requests[b])
    w.requests[b] += 1
    recalculate_grid(w, b)
    shown.truncated[b] = False
    show(w, rules, b, shown)


@kernel
def recalculate_grid(w: Worlds, b: int) -> None:
    """Find out which shelf and which agent is on each cell, and which shelves are requested."""
    w.agent_at[b] = 0
    w.shelf_at[b] = 0
    w.requested[b] = False
    for shelf in range(1, w.shelves.shape[1]):
        w.shelf_at[b, w.shelves[b, shelf]] = shelf
    for i in range(w.cells.shape[1]):
        w.agent_at[b, w.cells[b, i]] = i + 1
    for q in range(w.requests.shape[1]):
        w.requested[b, w.requests[b, q]] = True


# Stepping


def _step_all(w: Worlds, rules: Rules, actions: NDArray[np.int64], shown: Shown) -> None:
    for b in prange(len(actions)):
        _step_one(w, rules, b, actions, shown)


@inlined
def _step_one(w: Worlds, rules: Rules, b: int, actions: NDArray[np.int64], shown: Shown) -> None:
    w.rewards[b] = 0
    if not shown.truncated[b]:
        for i in range(w.cells.shape[1]):
            w.last_actions[b, i] = actions[b, i]
        decide_moves(w, rules, b)
        _act(w, rules, b)
        w.idle_steps[b] = 0 if _deliver(w, rules, b) else w.idle_steps[b] + 1
        w.steps[b] += 1
        shown.truncated[b] = w.steps[b] >= rules.time_limit
        show(w, rules, b, shown)
    team_reward = 0.0
    for i in range(w.cells.shape[1]):
        team_reward += w.rewards[b, i]
        shown.agent_rewards[b, i] = w.rewards[b, i]
    shown.rewards[b] = team_reward


@inlined
def _act(w: Worlds, rules: Rules, b: int) -> None:
    """Move, turn, pick up and put down.

    Those who move leave the grid before any of them enters it again, so that they may follow each other. Neither two
    agents nor two shelves are ever on one cell: that is why nobody's grid has to be calculated anew.
    """
    for i in range(w.cells.shape[1]):
        action, cell = w.last_actions[b, i], w.cells[b, i]
        if w.moves[b, i]:
            w.agent_at[b, cell] = 0
            if w.carried[b, i] > 0:
                w.shelf_at[b, cell] = 0
        elif action == TURN_LEFT:
            w.directions[b, i] = _LEFT_OF[w.directions[b, i]]
        elif action == TURN_RIGHT:
            w.directions[b, i] = _RIGHT_OF[w.directions[b, i]]
        elif action == TOGGLE and w.carried[b, i] == 0:
            w.carried[b, i] = w.shelf_at[b, cell]
        elif action == TOGGLE and not rules.highways[cell]:
            w.carried[b, i] = 0
            if w.delivered[b, i] and rules.reward_type == TWO_STAGE:
                w.rewards[b, i] += 0.5
            w.delivered[b, i] = False
    for i in range(w.cells.shape[1]):
        if w.moves[b, i]:
            cell = w.targets[b, i]
            w.cells[b, i] = cell
            w.agent_at[b, cell] = i + 1
            if w.carried[b, i] > 0:
                w.shelves[b, w.carried[b, i]] = cell
                w.shelf_at[b, cell] = w.carried[b, i]


@inlined
def _deliver(w: Worlds, rules: Rules, b: int) -> bool:
    """Reward requested shelves on goals, and request others in their place; tells whether there was one."""
    any_delivered = False
    for goal in rules.goals:
        shelf = w.shelf_at[b, goal]
        if not w.requested[b, shelf]:
            continue
        any_delivered = True
        _request_another(w, b, shelf)
        carrier = w.agent_at[b, goal] - 1
        if rules.reward_type == GLOBAL:
            for i in range(w.cells.shape[1]):
                w.rewards[b, i] += 1
        elif rules.reward_type == INDIVIDUAL:
            w.rewards[b, carrier] += 1
        else:
            w.delivered[b, carrier] = True
            w.rewards[b, carrier] += 0.5
    return any_delivered


@kernel
def _request_another(w: Worlds, b: int, delivered: int) -> None:
    """Draw one of the shelves that are not requested, the delivered one still being so, and give it the slot."""
    n_shelves, n_requests = w.shelves.shape[1] - 1, w.requests.shape[1]
    to_pass = integer(w.generators[b], 0, n_shelves - n_requests)
    shelf = 1
    while w.requested[b, shelf] or to_pass > 0:
        to_pass -= not w.requested[b, shelf]
        shelf += 1
    w.requested[b, delivered] = False
    w.requested[b, shelf] = True
    for q in range(n_requests):
        if w.requests[b, q] == delivered:
            w.requests[b, q] = shelf


show_one = kernel(show)
reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
