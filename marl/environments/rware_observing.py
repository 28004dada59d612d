"""What the agents of a warehouse see: the very numbers of the package, in a third of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWN, PER_CELL = 8, 7
"""Numbers about the agent itself, and about each cell around it."""
AGENTS, SHELVES = 0, 1
"""Layers of the package's grid: numbers of agents and of shelves from 1, 0 where there is none."""


def observe(warehouse: Any) -> NDArray[np.float32]:
    """The flattened observation of each agent, `[N, O]`.

    First x and y, whether it carries a shelf, its direction (one of four) and whether it stands on a highway; then for
    each cell of the window around it whether an agent stands there, that agent's direction (up where there is none),
    whether a shelf stands there and whether this shelf is requested. Beyond the walls there is nothing.
    """
    agents, sight = warehouse.agents, warehouse.sensor_range
    n, side = len(agents), 2 * sight + 1
    x, y = np.array([a.x for a in agents]), np.array([a.y for a in agents])
    directions = np.array([0, *(a.dir.value for a in agents)])
    requested = np.zeros(len(warehouse.shelfs) + 1, dtype=np.float32)
    requested[[shelf.id for shelf in warehouse.request_queue]] = 1

    rows, columns = warehouse.grid_size
    padded = np.zeros((2, rows + 2 * sight, columns + 2 * sight), dtype=np.int64)
    padded[:, sight : sight + rows, sight : sight + columns] = warehouse.grid
    window = np.arange(side)
    around = padded[:, y[:, None, None] + window[None, :, None], x[:, None, None] + window[None, None, :]]
    around = around.reshape(2, n, side * side)

    seen = np.zeros((n, OWN + side * side * PER_CELL), dtype=np.float32)
    normalised = warehouse.normalised_coordinates
    seen[:, 0] = x / (columns - 1) if normalised else x
    seen[:, 1] = y / (rows - 1) if normalised else y
    seen[:, 2] = [a.carrying_shelf is not None for a in agents]
    seen[np.arange(n), 3 + directions[1:]] = 1
    seen[:, 7] = warehouse.highways[y, x]
    cells = seen[:, OWN:].reshape(n, side * side, PER_CELL)
    cells[..., 0] = around[AGENTS] > 0
    np.put_along_axis(cells, 1 + directions[around[AGENTS]][..., None], 1, axis=2)
    cells[..., 5] = around[SHELVES] > 0
    cells[..., 6] = requested[around[SHELVES]]
    return seen
