"""The arrays of compiled warehouses.

Cells are numbered row by row from 0 at the top left. Shelves are numbered from 1 in the order of their places at the
start, as in the package, and 0 stands for none; so are the agents on a cell.

Shapes: `B` environments, `N` agents, `C` cells, `K` shelves, `Q` requests, `G` goals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qredit.marl.environments.rware import NO_ACTION_YET
from qredit.marl.environments.rware_script import STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

GLOBAL, INDIVIDUAL, TWO_STAGE = range(3)
"""Types of rewards, numbered as in the package."""


class Rules(NamedTuple):
    """What stays the same in all environments and episodes."""

    rows: int
    columns: int
    sight: int
    time_limit: int
    reward_type: int
    normalised: bool
    """Whether agents see their own coordinates as shares of the size of the warehouse."""
    highways: NDArray[np.bool_]
    """Where no shelf can be put down, `[C]`."""
    goals: NDArray[np.int64]
    """Cells in the order in which the package looks for deliveries, `[G]`."""
    places: NDArray[np.int64]
    """Cell of each shelf at the start, `[K + 1]`; the first one is none."""
    positions: NDArray[np.int64]
    """Row and column of each cell, `[C, 2]`."""
    neighbours: NDArray[np.int64]
    """Cell that lies ahead in each direction, or the cell itself in front of a wall, `[C, 4]`."""
    hashes: NDArray[np.int64]
    """Python's hash of each cell as (x, y), see `rware_ties.py`, `[C]`."""


class Worlds(NamedTuple):
    """What changes."""

    cells: NDArray[np.int64]
    """Where each agent is, `[B, N]`."""
    directions: NDArray[np.int64]
    """`[B, N]`"""
    carried: NDArray[np.int64]
    """Shelf that each agent carries, `[B, N]`."""
    delivered: NDArray[np.bool_]
    """Whether this shelf was delivered since it was picked up, if rewards are in two stages, `[B, N]`."""
    shelves: NDArray[np.int64]
    """Cell of each shelf, `[B, K + 1]`."""
    requests: NDArray[np.int64]
    """Requested shelves, `[B, Q]`."""
    steps: NDArray[np.int64]
    """`[B]`"""
    idle_steps: NDArray[np.int64]
    """Since the last delivery, `[B]`."""
    last_actions: NDArray[np.int64]
    """`[B, N]`"""
    agent_at: NDArray[np.int32]
    """The package's grid: the agent on each cell, from 1, `[B, C]`."""
    shelf_at: NDArray[np.int32]
    """The other layer of it: the shelf on each cell, `[B, C]`."""
    requested: NDArray[np.bool_]
    """Whether each shelf is requested, `[B, K + 1]`."""
    targets: NDArray[np.int64]
    """Room for the cell to which each agent wants to go, `[B, N]`."""
    ahead: NDArray[np.int64]
    """Room for the agent, from 0, on that cell, `[B, N]`."""
    behind: NDArray[np.int64]
    """Room for the length of the longest queue behind each agent, `[B, N]`."""
    moves: NDArray[np.bool_]
    """Room for who goes to another cell, `[B, N]`."""
    rewards: NDArray[np.float64]
    """Room for rewards, `[B, N]`."""
    generators: NDArray[np.uint64]
    """`[B, 6]`"""


def rules_of(official: Any) -> Rules:
    """The rules of one of the package's environments."""
    rows, columns = official.grid_size
    highways = np.asarray(official.highways, dtype=np.bool_).reshape(-1)
    y, x = np.divmod(np.arange(rows * columns), columns)
    ahead = [np.clip(y + down, 0, rows - 1) * columns + np.clip(x + right, 0, columns - 1) for down, right in STEPS]
    return Rules(
        rows=int(rows),
        columns=int(columns),
        sight=int(official.sensor_range),
        time_limit=int(official.max_steps),
        reward_type=int(official.reward_type.value),
        normalised=bool(official.normalised_coordinates),
        highways=highways,
        goals=np.array([row * columns + column for column, row in official.goals], dtype=np.int64),
        places=np.concatenate([[0], np.flatnonzero(~highways)]).astype(np.int64),
        positions=np.stack([y, x], axis=-1).astype(np.int64),
        neighbours=np.stack(ahead, axis=-1).astype(np.int64),
        hashes=np.array([hash(cell) for cell in zip(x.tolist(), y.tolist(), strict=True)], dtype=np.int64),
    )


def room_for(rules: Rules, n_agents: int, n_requests: int, generators: NDArray[np.uint64]) -> Worlds:
    """Arrays for as many environments as there are generators."""
    b, n, c, shelves = len(generators), n_agents, rules.rows * rules.columns, len(rules.places)
    return Worlds(
        cells=np.zeros((b, n), dtype=np.int64),
        directions=np.zeros((b, n), dtype=np.int64),
        carried=np.zeros((b, n), dtype=np.int64),
        delivered=np.zeros((b, n), dtype=np.bool_),
        shelves=np.zeros((b, shelves), dtype=np.int64),
        requests=np.zeros((b, n_requests), dtype=np.int64),
        steps=np.zeros(b, dtype=np.int64),
        idle_steps=np.zeros(b, dtype=np.int64),
        last_actions=np.full((b, n), NO_ACTION_YET, dtype=np.int64),
        agent_at=np.zeros((b, c), dtype=np.int32),
        shelf_at=np.zeros((b, c), dtype=np.int32),
        requested=np.zeros((b, shelves), dtype=np.bool_),
        targets=np.zeros((b, n), dtype=np.int64),
        ahead=np.zeros((b, n), dtype=np.int64),
        behind=np.zeros((b, n), dtype=np.int64),
        moves=np.zeros((b, n), dtype=np.bool_),
        rewards=np.zeros((b, n), dtype=np.float64),
        generators=generators,
    )
