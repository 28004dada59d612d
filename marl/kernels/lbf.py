"""Level-Based Foraging, compiled: `lbforaging`'s world in the order of its own `reset` and `step`.

Shapes: `B` environments, `N` agents, `F` foods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from qredit.marl.environments.lbf import NO_ACTION_YET, LevelBasedForaging, Saved
from qredit.marl.kernels.batch import CompiledBatch, Shown, generator_state, load_generator, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.lbf_showing import show
from qredit.marl.kernels.lbf_spawning import spawn_foods, spawn_players
from qredit.marl.kernels.lbf_worlds import COLUMN, EAST, LEVEL, LOAD, NORTH, ROW, SOUTH, WEST, Rules, Worlds, rules_of
from qredit.marl.kernels.random import seed_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


class CompiledForaging(CompiledBatch):
    """Compiled level-based foraging.

    Args:
        simulator: the official one, which gives sizes and rules.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: LevelBasedForaging, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(simulator, n_environments)
        self._rules = rules_of(simulator.official)
        b, n, f = n_environments, self.n_agents, simulator.official.max_num_food
        self._worlds = Worlds(
            agents=np.zeros((b, n, 3), dtype=np.int64),
            foods=np.zeros((b, f, 3), dtype=np.int64),
            placed=np.zeros(b, dtype=np.int64),
            spawned=np.zeros(b, dtype=np.int64),
            steps=np.zeros(b, dtype=np.int64),
            last_actions=np.full((b, n), NO_ACTION_YET, dtype=np.int64),
            targets=np.zeros((b, n, 2), dtype=np.int64),
            loaded=np.zeros((b, n), dtype=np.int64),
            rewards=np.zeros((b, n)),
            order=np.zeros((b, max(n, f)), dtype=np.int64),
            generators=self.generators,
        )
        self._reset_all = on_threads(n_threads, reset_all, reset_all_threaded)
        self._step_all = on_threads(n_threads, step_all, step_all_threaded)

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        self._reset_all(self._worlds, self._rules, seeds, self.shown)

    def _step(self, actions: NDArray[np.int64]) -> None:
        self._step_all(self._worlds, self._rules, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the official simulator, and show it."""
        w = self._worlds
        w.agents[b] = snapshot.agents
        w.placed[b] = len(snapshot.food_cells)
        w.foods[b] = 0
        for k, (row, column) in enumerate(snapshot.food_cells):
            w.foods[b, k] = row, column, snapshot.field[row, column]
        w.spawned[b] = snapshot.level_of_all_foods
        w.steps[b] = snapshot.steps
        w.last_actions[b] = snapshot.last_actions
        load_generator(w.generators[b], snapshot.generator)
        self.shown.terminated[b] = self.shown.truncated[b] = False
        show(w, self._rules, b, self.shown)

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the official simulator can restore."""
        w = self._worlds
        foods = w.foods[b, : w.placed[b]]
        field = np.zeros((self._rules.rows, self._rules.columns), dtype=np.int32)
        field[foods[:, ROW], foods[:, COLUMN]] = foods[:, LEVEL]
        return Saved(
            field=field,
            agents=tuple((int(r), int(c), int(level)) for r, c, level in w.agents[b]),
            food_cells=tuple((int(r), int(c)) for r, c, _ in foods),
            level_of_all_foods=int(w.spawned[b]),
            steps=int(w.steps[b]),
            last_actions=tuple(w.last_actions[b].tolist()),
            generator=generator_state(w.generators[b]),
        )


# Resetting


def _reset_all(w: Worlds, rules: Rules, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(w, rules, b, seeds[b], shown)


@kernel
def _reset_one(w: Worlds, rules: Rules, b: int, seed: np.uint64, shown: Shown) -> None:
    seed_generator(w.generators[b], seed)
    spawn_players(rules, w.agents[b], w.order[b], w.generators[b])
    w.placed[b] = spawn_foods(rules, w.agents[b], w.foods[b], w.order[b], w.generators[b])
    w.spawned[b] = w.foods[b, :, LEVEL].sum()
    w.steps[b] = 0
    w.last_actions[b] = NO_ACTION_YET
    shown.truncated[b] = False
    show(w, rules, b, shown)


# Stepping


def _step_all(w: Worlds, rules: Rules, actions: Integers, shown: Shown) -> None:
    for b in prange(len(actions)):
        _step_one(w, rules, b, actions, shown)


@inlined
def _step_one(w: Worlds, rules: Rules, b: int, actions: Integers, shown: Shown) -> None:
    for i in range(actions.shape[1]):
        w.rewards[b, i] = 0
    if not (shown.terminated[b] or shown.truncated[b]):
        w.steps[b] += 1
        find_targets(w.agents, w.foods, actions, b, rules.rows, rules.columns, w.targets)
        any_load = find_foods_to_load(w.agents, w.foods, actions, b, w.loaded)
        move(w.agents, w.targets, b)
        if any_load:
            unit = float(w.spawned[b]) if rules.normalised else 0.0
            load_foods(w.agents, w.foods, w.loaded, b, unit, rules.penalty, w.rewards)
        for i in range(actions.shape[1]):
            w.last_actions[b, i] = actions[b, i]
        food_left = _any_food(w.foods, b)
        shown.terminated[b] = not food_left
        shown.truncated[b] = food_left and w.steps[b] >= rules.time_limit
        show(w, rules, b, shown)
    team_reward = 0.0
    for i in range(actions.shape[1]):
        team_reward += w.rewards[b, i]
        shown.agent_rewards[b, i] = w.rewards[b, i]
    shown.rewards[b] = team_reward


@inlined
def find_targets(
    agents: Integers, foods: Integers, actions: Integers, b: int, rows: int, columns: int, targets: Integers
) -> None:
    """The cell where each agent wants to be, `targets [B, N, 2]`; whoever does not move, or cannot, wants its own."""
    for i in range(agents.shape[1]):
        row, column = agents[b, i, ROW], agents[b, i, COLUMN]
        action = actions[b, i]
        r, c = row, column
        if action == NORTH:
            r -= 1
        elif action == SOUTH:
            r += 1
        elif action == WEST:
            c -= 1
        elif action == EAST:
            c += 1
        on_board = 0 <= r < rows and 0 <= c < columns
        if not on_board or _food_at(foods, b, r, c):
            r, c = row, column
        targets[b, i, ROW], targets[b, i, COLUMN] = r, c


@inlined
def _food_at(foods: Integers, b: int, row: int, column: int) -> bool:
    for k in range(foods.shape[1]):
        if foods[b, k, LEVEL] > 0 and foods[b, k, ROW] == row and foods[b, k, COLUMN] == column:
            return True
    return False


@inlined
def find_foods_to_load(agents: Integers, foods: Integers, actions: Integers, b: int, loaded: Integers) -> bool:
    """Find the food that each agent loads or -1, `loaded [B, N]`, and tell whether anybody loads one.

    Foods lie so far apart that an agent has one beside it at most.
    """
    any_load = False
    for i in range(agents.shape[1]):
        loaded[b, i] = -1
        if actions[b, i] != LOAD:
            continue
        for k in range(foods.shape[1]):
            down, right = foods[b, k, ROW] - agents[b, i, ROW], foods[b, k, COLUMN] - agents[b, i, COLUMN]
            if foods[b, k, LEVEL] > 0 and abs(down) + abs(right) == 1:
                loaded[b, i] = k
                any_load = True
    return any_load


@inlined
def move(agents: Integers, targets: Integers, b: int) -> None:
    """An agent moves unless somebody else wants the same cell; a cell that is left is free at once."""
    for i in range(agents.shape[1]):
        alone = True
        for j in range(agents.shape[1]):
            if i != j and targets[b, i, ROW] == targets[b, j, ROW] and targets[b, i, COLUMN] == targets[b, j, COLUMN]:
                alone = False
        if alone:
            agents[b, i, ROW], agents[b, i, COLUMN] = targets[b, i, ROW], targets[b, i, COLUMN]


@inlined
def load_foods(
    agents: Integers,
    foods: Integers,
    loaded: Integers,
    b: int,
    unit: float,
    penalty: float,
    rewards: NDArray[np.float64],
) -> None:
    """A food is eaten if the levels of all who load it reach its own.

    Args:
        unit: sum of the levels of all foods, of which rewards are shares; 0 for rewards in levels.
        penalty: of each who loads in vain.
        rewards: each agent's, `[B, N]`, are written.
    """
    for k in range(foods.shape[1]):
        strength = 0
        for i in range(agents.shape[1]):
            if loaded[b, i] == k:
                strength += agents[b, i, LEVEL]
        level = foods[b, k, LEVEL]
        for i in range(agents.shape[1]):
            if loaded[b, i] != k:
                continue
            reward = 0.0 - penalty  # as the package subtracts it: without a penalty 0, and not -0
            if strength >= level:
                reward = float(agents[b, i, LEVEL] * level)
                if unit > 0:
                    reward /= strength * unit
            rewards[b, i] = reward
        if strength >= level:
            foods[b, k, LEVEL] = 0


@inlined
def _any_food(foods: Integers, b: int) -> bool:
    for k in range(foods.shape[1]):
        if foods[b, k, LEVEL] > 0:
            return True
    return False


reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
