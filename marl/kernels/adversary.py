"""`simple_adversary_v3`, compiled: agents near a goal that an adversary must not guess. The good agents are the team.

Shapes: `B` environments, `N` good agents and as many landmarks; the adversary is agent 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from qredit.marl.environments.opponents import ADVERSARY
from qredit.marl.kernels.batch import Shown, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.opponents import Steering, adversary_action, steering
from qredit.marl.kernels.particle_batch import CompiledParticles
from qredit.marl.kernels.particles import (
    Particles,
    Physics,
    move,
    place,
    push,
    rest,
    squared_distance,
    write_offset,
    write_state,
)
from qredit.marl.kernels.random import integer, seed_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.mpe import ParticleWorld


class CompiledAdversary(CompiledParticles):
    """Compiled `simple_adversary_v3`.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: ParticleWorld, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(
            simulator,
            n_environments,
            rules=steering(ADVERSARY),
            reset_all=on_threads(n_threads, reset_all, reset_all_threaded),
            step_all=on_threads(n_threads, step_all, step_all_threaded),
            show_one=show_one,
        )


def _reset_all(p: Particles, physics: Physics, adversary: Steering, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(p, physics, b, seeds[b], shown)


@inlined
def _reset_one(p: Particles, physics: Physics, b: int, seed: np.uint64, shown: Shown) -> None:
    seed_generator(p.generators[b], seed)
    p.goals[b] = integer(p.generators[b], 0, shown.agent_rewards.shape[1])
    place(p, b, 1.0)
    shown.truncated[b] = False
    show(p, physics, b, shown)


def _step_all(p: Particles, physics: Physics, adversary: Steering, actions: NDArray[np.int64], shown: Shown) -> None:
    for b in prange(len(actions)):
        if shown.truncated[b]:
            rest(b, shown)
        else:
            _step_one(p, physics, adversary, b, actions, shown)


@inlined
def _step_one(
    p: Particles, physics: Physics, adversary: Steering, b: int, actions: NDArray[np.int64], shown: Shown
) -> None:
    push(p, physics, b, 0, adversary_action(p.positions[b], p.velocities[b], adversary))
    for i in range(actions.shape[1]):
        push(p, physics, b, 1 + i, actions[b, i])
    move(p, physics, b)
    _reward(p, b, shown)
    p.steps[b] += 1
    shown.truncated[b] = p.steps[b] >= physics.time_limit
    show(p, physics, b, shown)


@inlined
def _reward(p: Particles, b: int, shown: Shown) -> None:
    """All get how far the adversary is from the goal, less how far the nearest of them is."""
    positions, n = p.positions[b], shown.agent_rewards.shape[1]
    goal = 1 + n + p.goals[b]
    nearest, team = math.inf, 0.0
    for i in range(1, 1 + n):
        nearest = min(nearest, squared_distance(positions, i, goal))
    reward = -math.sqrt(nearest) + math.sqrt(squared_distance(positions, 0, goal))
    for i in range(n):
        shown.agent_rewards[b, i] = reward
        team += reward
    shown.rewards[b] = team


@inlined
def show(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """Write what each good agent sees, and the state."""
    positions, n = p.positions[b], shown.observations.shape[1]
    for i in range(n):
        seen = shown.observations[b, i]
        at = write_offset(seen, 0, positions, 1 + i, 1 + n + p.goals[b])
        for landmark in range(1 + n, len(positions)):
            at = write_offset(seen, at, positions, 1 + i, landmark)
        for other in range(1 + n):
            if other != 1 + i:
                at = write_offset(seen, at, positions, 1 + i, other)
    write_state(p, physics, b, shown)


show_one = kernel(show)
reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
