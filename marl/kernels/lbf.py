"""Level-Based Foraging, compiled: `lbforaging`'s world in the order of its own `reset` and `step`.

Shapes: `B` environments, `N` agents, `F` foods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import prange

from qredit.marl.environments.lbf import NO_ACTION_YET, LevelBasedForaging, Saved
from qredit.marl.kernels.batch import CompiledBatch, Shown, generator_state, load_generator, on_threads
from qredit.marl.kernels.compiling import kernel, threaded_kernel
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.random import integer, permutation, seed_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
ROW, COLUMN, LEVEL = range(3)
_ATTEMPTS = 1000
_STRONGEST_TEAM = 3
"""Where a task sets no highest level of foods, it is the sum of the levels of so many of the weakest players."""


class Rules(NamedTuple):
    """What stays the same in all environments and episodes."""

    sight: int
    time_limit: int
    cooperative: bool
    """Whether every food has the highest level."""
    normalised: bool
    """Whether rewards are shares of the levels of all foods."""
    with_levels: bool
    """Whether agents see each other's levels."""
    penalty: float
    rows: int
    columns: int
    player_levels: Integers
    """Lowest and highest, `[N, 2]`."""
    food_levels: Integers
    """Lowest and highest, `[F, 2]`; a highest level of 0 stands for what the team can load."""


class Worlds(NamedTuple):
    """What changes."""

    agents: Integers
    """Row, column and level, `[B, N, 3]`."""
    foods: Integers
    """Row, column and level, in row-major order as placed, `[B, F, 3]`; the level is 0 once a food is eaten."""
    placed: Integers
    """How many foods found room, `[B]`."""
    spawned: Integers
    """Sum of the levels of all foods at the start, `[B]`."""
    steps: Integers
    """`[B]`"""
    last_actions: Integers
    """`[B, N]`"""
    targets: Integers
    """Room for where each agent wants to go, `[B, N, 2]`."""
    loaded: Integers
    """Room for the food that each agent loads, or -1, `[B, N]`."""
    rewards: NDArray[np.float64]
    """Room for rewards, `[B, N]`."""
    order: Integers
    """Room for permutations, `[B, max(N, F)]`."""
    generators: NDArray[np.uint64]
    """`[B, 6]`"""


class CompiledForaging(CompiledBatch):
    """Compiled level-based foraging.

    Args:
        simulator: the official one, which gives sizes and rules.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: LevelBasedForaging, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(simulator, n_environments)
        self._rules = _rules(simulator.official)
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


def _rules(official: Any) -> Rules:
    """The rules of one of the package's environments."""
    no_highest = official.max_food_level is None
    highest = np.zeros_like(official.min_food_level) if no_highest else official.max_food_level
    rows, columns = official.field_size
    return Rules(
        sight=int(official.sight),
        time_limit=int(official._max_episode_steps),
        cooperative=bool(official.force_coop),
        normalised=bool(official._normalize_reward),
        with_levels=bool(official._observe_agent_levels),
        penalty=float(official.penalty),
        rows=int(rows),
        columns=int(columns),
        player_levels=_pairs(official.min_player_level, official.max_player_level),
        food_levels=_pairs(official.min_food_level, highest),
    )


def _pairs(lowest: Any, highest: Any) -> NDArray[np.int64]:
    return np.stack([lowest, highest], axis=-1).astype(np.int64)


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
            reward = -penalty
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


# Showing


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
        for k in range(f):
            row, column, level = foods[b, k, ROW], foods[b, k, COLUMN], foods[b, k, LEVEL]
            if level > 0 and abs(row - own_row) <= sight and abs(column - own_column) <= sight:
                observations[b, i, at] = row - top
                observations[b, i, at + 1] = column - left
                observations[b, i, at + 2] = level
                at += 3
        while at < 3 * f:
            observations[b, i, at] = -1
            observations[b, i, at + 1] = -1
            observations[b, i, at + 2] = 0
            at += 3
        for k in range(n):
            j = i if k == 0 else (k - 1 if k <= i else k)
            row, column = agents[b, j, ROW] - top, agents[b, j, COLUMN] - left
            # The package compares with the whole window, clipped or not: a clipped one shows agents beyond its edge.
            if 0 <= row <= 2 * sight and 0 <= column <= 2 * sight:
                observations[b, i, at] = row
                observations[b, i, at + 1] = column
                if with_levels:
                    observations[b, i, at + 2] = agents[b, j, LEVEL]
                at += width
        while at < 3 * f + width * n:
            observations[b, i, at] = -1
            observations[b, i, at + 1] = -1
            if with_levels:
                observations[b, i, at + 2] = 0
            at += width


reset_all, reset_all_threaded = kernel(_reset_all), threaded_kernel(_reset_all)
step_all, step_all_threaded = kernel(_step_all), threaded_kernel(_step_all)
