"""The fewest steps in which a team can complete a world of rooms, over all starts: what its optimum is.

    python benchmarks/rooms_optimum.py [two-switch victim-rubble]

Exact: value iteration over all joint states (positions, facings, what is done) with the compiled world's own rules.
Prints one JSON line per floor plan: the mean and the largest number of steps over all pairs of starting cells, and the
mean return of the best policy on both scales (`docs/decisions/0017-rooms.md`).
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange

from qredit.marl.environments.rooms import PLANS, Rooms
from qredit.marl.environments.rooms.plan import START
from qredit.marl.environments.rooms.world import ACT
from qredit.marl.kernels import rooms
from qredit.marl.kernels.rooms import CompiledRooms

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAR = 1_000
WAYS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
find_wanted, operate, walk = (njit(getattr(rooms, name)) for name in ("find_wanted", "operate", "walk"))


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plans", nargs="*", default=list(PLANS))
    for name in parser.parse_args().plans:
        steps = fewest_steps(name)
        plan = PLANS[name]
        events = len(plan.things) + (plan.target is not None)
        cost = float(steps.mean()) / plan.time_limit
        line = {
            "plan": name,
            "mean_steps": round(float(steps.mean()), 3),
            "most_steps": int(steps.max()),
            "team_return": round(2 * (events + 1 - cost), 4),
            "plotted_return": round(events + 2 - cost, 4),
        }
        print(json.dumps(line), flush=True)


def fewest_steps(name: str) -> NDArray[np.int64]:
    """Steps from each pair of different starting cells."""
    world = CompiledRooms(Rooms(name), 1)
    rules = world._rules
    plan = PLANS[name]
    floor = np.argwhere(rules.cells != rooms.A_WALL)
    number = np.full(rules.cells.shape, -1, dtype=np.int64)
    number[tuple(floor.T)] = np.arange(len(floor))
    k = len(plan.things)
    left = np.full((2**k, len(floor), len(floor), 4, 4), FAR, dtype=np.int16)
    for _ in itertools.count():
        if not sweep(left, floor, number, rules.cells, rules.operators, rules.stays, rules.target, k):
            break
    starts = [number[cell] for cell in plan.cells(START)]
    return np.array([left[0, a, b, 1, 1] for a in starts for b in starts if a != b], dtype=np.int64)


@njit(parallel=True)
def sweep(
    left: NDArray[np.int16],
    floor: NDArray[np.int64],
    number: NDArray[np.int64],
    cells: NDArray[np.int64],
    operators: NDArray[np.bool_],
    stays: NDArray[np.bool_],
    target: NDArray[np.int64],
    k: int,
) -> int:
    """One pass over all states; how many became shorter. `left` is `[2**K, floor cells, floor cells, 4, 4]`."""
    changed = 0
    f = len(floor)
    for a in prange(f):
        positions, facing = np.zeros((1, 2, 2), np.int64), np.zeros((1, 2, 2), np.int64)
        wanted, events = np.zeros((1, 2, 2), np.int64), np.zeros((1, 2), np.int64)
        actions, done = np.zeros((1, 2), np.int64), np.zeros((1, k), np.bool_)
        for b in range(f):
            if a == b:
                continue
            for flags in range(len(left)):
                for ways in range(16):
                    best = left[flags, a, b, ways // 4, ways % 4]
                    for pair in range(36):
                        actions[0, 0], actions[0, 1] = pair // 6, pair % 6
                        positions[0, 0], positions[0, 1] = floor[a], floor[b]
                        facing[0, 0], facing[0, 1] = WAYS[ways // 4], WAYS[ways % 4]
                        for thing in range(k):
                            done[0, thing] = (flags >> thing) & 1
                        find_wanted(positions, done, cells, stays, actions, 0, wanted)
                        operate(positions, facing, done, cells, operators, actions, 0, events)
                        walk(positions, facing, wanted, actions, 0)
                        then, all_done, arrived = 0, True, False
                        for thing in range(k):
                            then |= done[0, thing] << thing
                            all_done &= done[0, thing]
                        for i in range(2):
                            arrived |= positions[0, i, 0] == target[0] and positions[0, i, 1] == target[1]
                        if arrived if target[0] >= 0 else all_done:
                            steps = 1
                        else:
                            turned = [ways // 4, ways % 4]
                            for i in range(2):
                                if 1 <= actions[0, i] < ACT:
                                    turned[i] = actions[0, i] - 1
                            here = number[positions[0, 0, 0], positions[0, 0, 1]]
                            there = number[positions[0, 1, 0], positions[0, 1, 1]]
                            steps = 1 + left[then, here, there, turned[0], turned[1]]
                        best = min(best, steps)
                    if best < left[flags, a, b, ways // 4, ways % 4]:
                        left[flags, a, b, ways // 4, ways % 4] = best
                        changed += 1
    return changed


if __name__ == "__main__":
    main()
