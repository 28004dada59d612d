"""`simple_tag_v3`, compiled: predators catch a prey among obstacles. The predators are the team.

Shapes: `B` environments, `N` predators; the prey is agent `N`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from qredit.marl.environments.opponents import PREY
from qredit.marl.kernels.batch import Shown, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.opponents import Steering, prey_action, steering
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
    write_pair,
    write_state,
)
from qredit.marl.kernels.random import seed_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.mpe import ParticleWorld


class CompiledTag(CompiledParticles):
    """Compiled `simple_tag_v3`.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: ParticleWorld, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(
            simulator,
            n_environments,
            rules=steering(PREY),
            reset_all=on_threads(n_threads, reset_all, reset_all_threaded),
            step_all=on_threads(n_threads, step_all, step_all_threaded),
            show_one=show_one,
        )


def _reset_all(p: Particles, physics: Physics, prey: Steering, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(p, physics, b, seeds[b], shown)


@inlined
def _reset_one(p: Particles, physics: Physics, b: int, seed: np.uint64, shown: Shown) -> None:
    seed_generator(p.generators[b], seed)
    place(p, b, 0.9)
    shown.truncated[b] = False
    show(p, physics, b, shown)


def _step_all(p: Particles, physics: Physics, prey: Steering, actions: NDArray[np.int64], shown: Shown) -> None:
    for b in prange(len(actions)):
        if shown.truncated[b]:
            rest(b, shown)
        else:
            _step_one(p, physics, prey, b, actions, shown)


@inlined
def _step_one(p: Particles, physics: Physics, prey: Steering, b: int, actions: NDArray[np.int64], shown: Shown) -> None:
    n = actions.shape[1]
    for i in range(n):
        push(p, physics, b, i, actions[b, i])
    push(p, physics, b, n, prey_action(p.positions[b], p.velocities[b], prey))
    move(p, physics, b)
    _reward(p, physics, b, shown)
    p.steps[b] += 1
    shown.truncated[b] = p.steps[b] >= physics.time_limit
    show(p, physics, b, shown)


@inlined
def _reward(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """Every predator gets 10 for each of them that overlaps the prey."""
    n, reward, team = shown.agent_rewards.shape[1], 0.0, 0.0
    for i in range(n):
        if math.sqrt(squared_distance(p.positions[b], n, i)) < physics.sizes[n] + physics.sizes[i]:
            reward += 10
    for i in range(n):
        shown.agent_rewards[b, i] = reward
        team += reward
    shown.rewards[b] = team


@inlined
def show(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """Write what each predator sees, and the state."""
    positions, n = p.positions[b], shown.observations.shape[1]
    for i in range(n):
        seen = shown.observations[b, i]
        at = write_pair(seen, 0, p.velocities[b, i])
        at = write_pair(seen, at, positions[i])
        for obstacle in range(n + 1, len(positions)):
            at = write_offset(seen, at, positions, i, obstacle)
        for other in range(n + 1):
            if other != i:
                at = write_offset(seen, at, positions, i, other)
        write_pair(seen, at, p.velocities[b, n])
    write_state(p, physics, b, shown)


show_one = kernel(show)
reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
