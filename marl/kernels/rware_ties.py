"""Which of two equally long queues goes on: the one whose cell networkx lists first.

The package builds a graph with an edge from each agent's cell to the cell where it wants to go, agent by agent. Of a
part of it that leads to one free cell it lets the longest path move. Where two are equally long, networkx takes the
one that comes first in the nodes of this part, and their order is:

- that of the whole graph, in which each cell stands where an edge named it first, or
- if the part has less than half of the nodes, that of a Python set of the cells as (x, y), filled from another set,
  which a breadth-first search from the part's first node had filled.

Source: networkx 3.6.1, `weakly_connected_components`, `Graph.subgraph`, `FilterAdjacency.__iter__`, `Graph.copy` and
`dag_longest_path`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.compiling import kernel
from qredit.marl.kernels.set_order import order_as_set

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.kernels.rware_worlds import Rules, Worlds


@kernel
def comes_first(w: Worlds, rules: Rules, b: int, i: int, rival: int) -> bool:
    """Whether networkx lists the cell of agent `i` before that of `rival`, whose way leads to the same free cell.

    Such ties are rare, so that the arrays are made here.
    """
    n_agents = w.cells.shape[1]
    nodes = np.empty(2 * n_agents, dtype=np.int64)
    starts, targets = np.empty(n_agents, dtype=np.int64), np.empty(n_agents, dtype=np.int64)
    n_nodes = 0
    for k in range(n_agents):
        starts[k] = _node(nodes, n_nodes, w.cells[b, k])
        n_nodes = max(n_nodes, starts[k] + 1)
        targets[k] = _node(nodes, n_nodes, w.targets[b, k])
        n_nodes = max(n_nodes, targets[k] + 1)

    part, size = np.empty(n_nodes, dtype=np.int64), 0
    seen = np.zeros(n_nodes, dtype=np.bool_)
    for node in range(n_nodes):
        if not seen[node] and not seen[starts[i]]:
            size = _search(starts, targets, node, seen, part)
    if 2 * size >= n_nodes:
        return bool(starts[i] < starts[rival])

    hashes = rules.hashes[nodes[:n_nodes]]
    order_as_set(part[:size], hashes)
    order_as_set(part[:size], hashes)
    for k in range(size):
        if part[k] == starts[i] or part[k] == starts[rival]:
            return bool(part[k] == starts[i])
    return False


@kernel
def _node(nodes: NDArray[np.int64], n_nodes: int, cell: int) -> int:
    """Number of a cell's node; it becomes the last one if it is new."""
    for node in range(n_nodes):
        if nodes[node] == cell:
            return node
    nodes[n_nodes] = cell
    return n_nodes


@kernel
def _search(
    starts: NDArray[np.int64],
    targets: NDArray[np.int64],
    first: int,
    seen: NDArray[np.bool_],
    part: NDArray[np.int64],
) -> int:
    """Fill `part` with all nodes that hang together with the first one, breadth first, and return their number."""
    part[0], size, looked_at = first, 1, 0
    seen[first] = True
    while looked_at < size:
        node = part[looked_at]
        looked_at += 1
        for k in range(len(starts)):
            if starts[k] == node and not seen[targets[k]]:
                part[size], size = targets[k], size + 1
                seen[targets[k]] = True
        for k in range(len(starts)):
            if targets[k] == node and not seen[starts[k]]:
                part[size], size = starts[k], size + 1
                seen[starts[k]] = True
    return size
