"""What happens in a step of a warehouse, found out from the official side alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from qredit.marl.environments.rware import Saved, Warehouse
from qredit.marl.environments.rware_script import FORWARD, STEPS, TOGGLE
from qredit.marl.environments.simulator import StepResult
from tests.marl.kernels.parity import Events

Cell = tuple[int, int]
"""x and y, as in the package."""


def events_of(simulator: Warehouse) -> Events:
    """What to count in a warehouse of this size."""
    rows, columns = simulator.official.grid_size

    def events(before: Saved, actions: list[int], result: StepResult, after: Saved) -> dict[str, int]:
        wishes = _wishes(before, actions, rows, columns)
        moved = [old[:2] != new[:2] for old, new in zip(before.agents, after.agents, strict=True)]
        return {**_loads(before, actions, after), **_moves(wishes, moved), **_ties(wishes)}

    return events


@dataclass(frozen=True)
class Wishes:
    """Where the agents are and where they want to go."""

    starts: list[Cell]
    targets: list[Cell]
    cancelled: int
    """Moves of loaded agents towards standing shelves; they have their own cells as targets."""

    def ahead(self, i: int) -> int | None:
        """The agent on the cell to which one wants to go, itself if it stays."""
        return self.starts.index(self.targets[i]) if self.targets[i] in self.starts else None

    def followers(self, cell: Cell) -> list[int]:
        """Agents that want to come to a cell."""
        return [i for i, target in enumerate(self.targets) if target == cell != self.starts[i]]


def _wishes(before: Saved, actions: list[int], rows: int, columns: int) -> Wishes:
    starts = [agent[:2] for agent in before.agents]
    carried = {agent[3] for agent in before.agents}
    standing = {cell for number, cell in enumerate(before.shelves, start=1) if number not in carried}
    targets, cancelled = [], 0
    for (x, y, direction, load, _), action in zip(before.agents, actions, strict=True):
        down, right = STEPS[direction.value] if action == FORWARD else (0, 0)
        target = (min(max(x + right, 0), columns - 1), min(max(y + down, 0), rows - 1))
        if load and target != (x, y) and target in standing:
            target, cancelled = (x, y), cancelled + 1
        targets.append(target)
    return Wishes(starts, targets, cancelled)


def _loads(before: Saved, actions: list[int], after: Saved) -> dict[str, int]:
    agents = list(zip(before.agents, after.agents, actions, strict=True))
    changed = sum(old != new for old, new in zip(before.requests, after.requests, strict=True))
    return {
        "pick-up": sum(new[3] > 0 and not old[3] for old, new, _ in agents),
        "put-down": sum(old[3] > 0 and not new[3] for old, new, _ in agents),
        "put-down after delivery": sum(old[4] and not new[4] for old, new, _ in agents),
        "put-down in an aisle refused": sum(
            action == TOGGLE and old[3] > 0 and new[3] > 0 for old, new, action in agents
        ),
        "delivery": changed,
        "two deliveries at once": changed > 1,
    }


def _moves(wishes: Wishes, moved: list[bool]) -> dict[str, int]:
    n = len(moved)
    cycles = [_cycle(wishes, i) for i in range(n)]
    return {
        "blocked move": sum(wishes.targets[i] != wishes.starts[i] and not moved[i] for i in range(n)),
        "cancelled move": wishes.cancelled,
        "move after another agent": sum(moved[i] and wishes.ahead(i) is not None and not cycles[i] for i in range(n)),
        "change of places refused": sum(length == 2 for length in cycles) // 2,
        "cycle": sum(length > 2 for length in cycles),
    }


def _cycle(wishes: Wishes, i: int) -> int:
    """Length of the cycle that an agent is in, 0 for none."""
    seen = [i]
    while (following := wishes.ahead(seen[-1])) is not None and following not in seen:
        seen.append(following)
    return len(seen) if following == i else 0


def _ties(wishes: Wishes) -> Counter[str]:
    """Cells to which two equally long queues lead that are the longest ones."""
    ties = Counter[str]()
    nodes = len({*wishes.starts, *wishes.targets})
    for free in {*wishes.targets} - {*wishes.starts}:
        part = [free]
        for cell in part:
            part += [wishes.starts[i] for i in wishes.followers(cell)]
        tied = _first_tie(wishes, free)
        if tied is not None:
            ties["tie in a set" if 2 * len(part) < nodes else "tie in the graph"] += 1
            ties["tie in a set that grew"] += 5 <= len(part) < nodes / 2
            ties["tie of queues of several"] += _behind(wishes, tied) > 0
    return ties


def _first_tie(wishes: Wishes, cell: Cell) -> int | None:
    """One of the agents whose queues are equally long and the longest, along the longest queue to a free cell."""
    while followers := wishes.followers(cell):
        lengths = {i: _behind(wishes, i) for i in followers}
        longest = [i for i, length in lengths.items() if length == max(lengths.values())]
        if len(longest) > 1:
            return longest[0]
        cell = wishes.starts[longest[0]]
    return None


def _behind(wishes: Wishes, i: int) -> int:
    """Length of the longest queue behind an agent."""
    return max((1 + _behind(wishes, k) for k in wishes.followers(wishes.starts[i])), default=0)
