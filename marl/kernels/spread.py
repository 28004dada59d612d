"""`simple_spread_v3`, compiled: agents cover landmarks and keep clear of each other.

Shapes: `B` environments, `N` agents and as many landmarks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import prange

from qredit.marl.kernels.batch import Shown, on_threads
from qredit.marl.kernels.compiling import kernel, loops
from qredit.marl.kernels.inlining import inlined
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


class Shares(NamedTuple):
    """How rewards are mixed."""

    own: float
    """`local_ratio`: the share of an agent's own reward in what it gets."""
    common: float
    """The share of what all agents get."""


class CompiledSpread(CompiledParticles):
    """Compiled `simple_spread_v3`.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: ParticleWorld, n_environments: int, *, n_threads: int = 1) -> None:
        local_ratio = float(simulator.official.local_ratio)
        super().__init__(
            simulator,
            n_environments,
            rules=Shares(own=local_ratio, common=1 - local_ratio),
            reset_all=on_threads(n_threads, reset_all, reset_all_threaded),
            step_all=on_threads(n_threads, step_all, step_all_threaded),
            show_one=show_one,
        )


def _reset_all(p: Particles, physics: Physics, shares: Shares, seeds: NDArray[np.uint64], shown: Shown) -> None:
    for b in prange(len(seeds)):
        _reset_one(p, physics, b, seeds[b], shown)


@inlined
def _reset_one(p: Particles, physics: Physics, b: int, seed: np.uint64, shown: Shown) -> None:
    seed_generator(p.generators[b], seed)
    place(p, b, 1.0)
    shown.truncated[b] = False
    show(p, physics, b, shown)


def _step_all(p: Particles, physics: Physics, shares: Shares, actions: NDArray[np.int64], shown: Shown) -> None:
    for b in prange(len(actions)):
        if shown.truncated[b]:
            rest(b, shown)
        else:
            _step_one(p, physics, shares, b, actions, shown)


@inlined
def _step_one(p: Particles, physics: Physics, shares: Shares, b: int, actions: NDArray[np.int64], shown: Shown) -> None:
    for i in range(actions.shape[1]):
        push(p, physics, b, i, actions[b, i])
    move(p, physics, b)
    _reward(p, physics, shares, b, shown)
    p.steps[b] += 1
    shown.truncated[b] = p.steps[b] >= physics.time_limit
    show(p, physics, b, shown)


@inlined
def _reward(p: Particles, physics: Physics, shares: Shares, b: int, shown: Shown) -> None:
    """What all get for the landmarks, mixed with what each gets for its collisions."""
    _count_collisions(p, physics, b, shown)
    common, team = _covering(p.positions[b]), 0.0
    for i in range(shown.agent_rewards.shape[1]):
        reward = common * shares.common + np.float64(shown.agent_rewards[b, i]) * shares.own
        shown.agent_rewards[b, i] = reward
        team += reward
    shown.rewards[b] = team


@inlined
def _count_collisions(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """Each agent's own reward: 1 less for every other agent that it overlaps."""
    shown.agent_rewards[b] = 0
    n = shown.agent_rewards.shape[1]
    for i in range(n):
        for j in range(i + 1, n):
            if math.sqrt(squared_distance(p.positions[b], i, j)) < physics.sizes[i] + physics.sizes[j]:
                shown.agent_rewards[b, i] -= 1
                shown.agent_rewards[b, j] -= 1


@inlined
def _covering(positions: NDArray[np.float64]) -> float:
    """Minus the distances from every landmark to the agent nearest to it, of `positions [2 N, 2]`."""
    n, reward = len(positions) // 2, 0.0
    for landmark in range(n, 2 * n):
        nearest = math.inf
        for i in range(n):
            nearest = min(nearest, squared_distance(positions, i, landmark))
        reward -= math.sqrt(nearest)  # the smallest of the roots, since a root never reverses an order
    return reward


@inlined
def show(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """Write what each agent sees, and the state; the messages of the others at the end are always 0."""
    positions, n = p.positions[b], shown.observations.shape[1]
    for i in range(n):
        seen = shown.observations[b, i]
        at = write_pair(seen, 0, p.velocities[b, i])
        at = write_pair(seen, at, positions[i])
        for landmark in range(n, 2 * n):
            at = write_offset(seen, at, positions, i, landmark)
        for j in range(n):
            if j != i:
                at = write_offset(seen, at, positions, i, j)
    write_state(p, physics, b, shown)


show_one = kernel(show)
reset_all, reset_all_threaded = loops(_reset_all)
step_all, step_all_threaded = loops(_step_all)
