"""Who may move in a compiled warehouse.

Each agent wants to go to one cell, its own if it does not go forward. So the agents that hang together either lead to
one free cell, and then the longest queue moves on, or they end in a cycle, and then the cycle turns and nobody else
moves. The package finds both with networkx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit.marl.environments.rware_script import FORWARD
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.rware_ties import comes_first

if TYPE_CHECKING:
    from qredit.marl.kernels.rware_worlds import Rules, Worlds

_NOBODY = -1
_CHANGE_OF_PLACES = 2
"""Length of a cycle that cannot turn; the next longer ones have four agents."""


@inlined
def decide_moves(w: Worlds, rules: Rules, b: int) -> None:
    """Write into `moves` who goes to another cell, given the `last_actions`."""
    _aim(w, rules, b)
    _count_behind(w, b)
    for i in range(w.cells.shape[1]):
        ahead = w.ahead[b, i]
        if ahead == _NOBODY:
            # An agent that is not the first one towards this cell finds the queue served, and serves it again.
            _serve_queue(w, rules, b, w.targets[b, i])
        elif ahead != i and _cycle_length(w, b, i) > _CHANGE_OF_PLACES:
            w.moves[b, i] = True


@inlined
def _aim(w: Worlds, rules: Rules, b: int) -> None:
    """Find where each agent wants to go and who is there."""
    for i in range(w.cells.shape[1]):
        cell = w.cells[b, i]
        target = rules.neighbours[cell, w.directions[b, i]] if w.last_actions[b, i] == FORWARD else cell
        there = w.agent_at[b, target]
        under_load = there > 0 and w.carried[b, there - 1] > 0
        if target != cell and w.carried[b, i] > 0 and w.shelf_at[b, target] > 0 and not under_load:
            target, there = cell, w.agent_at[b, cell]  # loaded agents do not fit under standing shelves
        w.targets[b, i] = target
        w.ahead[b, i] = there - 1
        w.behind[b, i] = 0
        w.moves[b, i] = False


@inlined
def _count_behind(w: Worlds, b: int) -> None:
    """Each agent tells those ahead of it, up to the first that stays, how long the queue behind them is."""
    for i in range(w.cells.shape[1]):
        here = i
        for length in range(1, w.cells.shape[1]):
            following = w.ahead[b, here]
            if following in (_NOBODY, here):
                break
            here = following
            w.behind[b, here] = max(w.behind[b, here], length)


@inlined
def _serve_queue(w: Worlds, rules: Rules, b: int, cell: int) -> None:
    """Let the longest queue in front of a free cell move, from its first agent to its last."""
    while True:
        first = _NOBODY
        for i in range(w.cells.shape[1]):
            if (
                w.targets[b, i] == cell
                and w.cells[b, i] != cell
                and (first == _NOBODY or _goes_before(w, rules, b, i, first))
            ):
                first = i
        if first == _NOBODY:
            return
        w.moves[b, first] = True
        cell = w.cells[b, first]


@inlined
def _goes_before(w: Worlds, rules: Rules, b: int, i: int, rival: int) -> bool:
    """Whether the queue of one agent goes on rather than that of another."""
    if w.behind[b, i] != w.behind[b, rival]:
        return bool(w.behind[b, i] > w.behind[b, rival])
    return comes_first(w, rules, b, i, rival)


@inlined
def _cycle_length(w: Worlds, b: int, i: int) -> int:
    """Number of agents in the cycle to which one belongs, or 0 if it belongs to none."""
    here = i
    for length in range(1, w.cells.shape[1] + 1):
        here = w.ahead[b, here]
        if here == i:
            return length
        if here == _NOBODY:
            return 0
    return 0
