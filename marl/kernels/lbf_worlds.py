"""Level-Based Foraging, compiled: its rules, and its worlds as arrays.

Shapes: `B` environments, `N` agents, `F` foods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
ROW, COLUMN, LEVEL = range(3)


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


def rules_of(official: Any) -> Rules:
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
