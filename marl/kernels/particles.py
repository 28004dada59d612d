"""What the three particle worlds share: the start, contact forces, motion and offsets, in the package's order.

Positions and velocities are of float64, and every sum is taken in the order of `mpe2`, so that they are equal to its
own up to the last digits.

Shapes: `B` environments, `N` agents of the team, `K` agents with the opponent, `E` entities: the agents, then the
landmarks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.random import uniform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.marl.kernels.batch import Shown

X, Y = range(2)
_OUT_OF_REACH = 60.0
"""Gap between two entities, in contact margins, from which on they are taken not to touch.

The package lets entities push each other at any distance, with less than `contact_force * margin * exp(-gap / margin)`.
From this gap on that is 1e-27, which changes a velocity by 1e-28 in a step: less than the last digit of any velocity
above 1e-12.
"""


class Particles(NamedTuple):
    """What changes."""

    positions: NDArray[np.float64]
    """`[B, E, 2]`"""
    velocities: NDArray[np.float64]
    """`[B, K, 2]`; landmarks do not move."""
    forces: NDArray[np.float64]
    """Room for the forces on the agents during a step, `[B, K, 2]`."""
    goals: NDArray[np.int64]
    """Number of the landmark that is the goal, `[B]`; only where there is one."""
    steps: NDArray[np.int64]
    """`[B]`"""
    generators: NDArray[np.uint64]
    """`[B, 6]`"""
    seen: NDArray[np.float32]
    """The observations that are shown, with one row per environment, `[B, N * O]`."""


class Physics(NamedTuple):
    """What stays the same.

    These are arguments of kernels, not constants in them: what is compiled is kept as long as the files of this folder
    stay the same, and would not notice another version of the package.
    """

    n_bodies: int
    """The first so many entities can touch each other; the others do not collide."""
    sizes: NDArray[np.float64]
    """Radius of each entity, `[E]`."""
    accelerations: NDArray[np.float64]
    """`[K]`"""
    top_speeds: NDArray[np.float64]
    """Infinite where there is no limit, `[K]`."""
    directions: NDArray[np.float64]
    """The push of each action, `[5, 2]`."""
    time_step: float
    damping: float
    contact_force: float
    contact_margin: float
    observed_at: NDArray[np.intp]
    """Where each number of the state stands in the concatenated observations, `[S]`."""
    time_limit: int


# Starting


@inlined
def place(p: Particles, b: int, spread_of_landmarks: float) -> None:
    """Everything at rest somewhere: agents between -1 and 1, landmarks within their spread."""
    generator, positions = p.generators[b], p.positions[b]
    n_agents = p.velocities.shape[1]
    for entity in range(len(positions)):
        far = 1.0 if entity < n_agents else spread_of_landmarks
        positions[entity, X] = uniform(generator, -far, far)
        positions[entity, Y] = uniform(generator, -far, far)
    p.velocities[b] = 0.0
    p.steps[b] = 0


@inlined
def rest(b: int, shown: Shown) -> None:
    """An environment whose episode is over gives no reward."""
    shown.rewards[b] = 0
    shown.agent_rewards[b] = 0


# Moving


@inlined
def push(p: Particles, physics: Physics, b: int, agent: int, action: int) -> None:
    """The force of an agent's action, with which its sum of forces begins."""
    p.forces[b, agent, X] = physics.directions[action, X] * physics.accelerations[agent]
    p.forces[b, agent, Y] = physics.directions[action, Y] * physics.accelerations[agent]


@inlined
def move(p: Particles, physics: Physics, b: int) -> None:
    """A step of the world after all agents were pushed."""
    _add_contact_forces(p, physics, b)
    _integrate(p, physics, b)


@inlined
def _add_contact_forces(p: Particles, physics: Physics, b: int) -> None:
    """Bodies that touch or nearly touch push each other away; only agents give way."""
    positions, forces, margin = p.positions[b], p.forces[b], physics.contact_margin
    for one in range(len(forces)):
        for other in range(one + 1, physics.n_bodies):
            dx = positions[one, X] - positions[other, X]
            dy = positions[one, Y] - positions[other, Y]
            squared = dx * dx + dy * dy
            touching = physics.sizes[one] + physics.sizes[other]
            reach = touching + _OUT_OF_REACH * margin
            if squared > reach * reach:
                continue
            distance = math.sqrt(squared)
            penetration = _log_add_exp_0(-(distance - touching) / margin) * margin
            fx = physics.contact_force * dx / distance * penetration
            fy = physics.contact_force * dy / distance * penetration
            forces[one, X] += fx
            forces[one, Y] += fy
            if other < len(forces):
                forces[other, X] -= fx
                forces[other, Y] -= fy


@inlined
def _log_add_exp_0(y: float) -> float:
    """`np.logaddexp(0, y)`."""
    if y == 0.0:
        return math.log(2.0)
    if y < 0.0:
        return math.log1p(math.exp(y))
    return y + math.log1p(math.exp(-y))


@inlined
def _integrate(p: Particles, physics: Physics, b: int) -> None:
    """Agents move with the velocity that they have, lose a part of it, and are pushed; every mass is 1."""
    positions, velocities, forces = p.positions[b], p.velocities[b], p.forces[b]
    step, kept = physics.time_step, 1 - physics.damping
    for agent in range(len(velocities)):
        vx, vy = velocities[agent, X], velocities[agent, Y]
        positions[agent, X] += vx * step
        positions[agent, Y] += vy * step
        vx = vx * kept + forces[agent, X] * step
        vy = vy * kept + forces[agent, Y] * step
        limit = physics.top_speeds[agent]
        if limit < math.inf:
            speed = math.sqrt(vx * vx + vy * vy)
            if speed > limit:
                vx, vy = vx / speed * limit, vy / speed * limit
        velocities[agent, X], velocities[agent, Y] = vx, vy


# Seeing


@inlined
def squared_distance(positions: NDArray[np.float64], one: int, other: int) -> float:
    """Between two entities of `positions [E, 2]`."""
    dx = positions[one, X] - positions[other, X]
    dy = positions[one, Y] - positions[other, Y]
    squared: float = dx * dx + dy * dy
    return squared


@inlined
def write_pair(seen: NDArray[np.float32], at: int, pair: NDArray[np.float64]) -> int:
    """Write `pair [2]` into an observation, and return where the next part belongs."""
    seen[at], seen[at + 1] = pair[X], pair[Y]
    return at + 2


@inlined
def write_offset(seen: NDArray[np.float32], at: int, positions: NDArray[np.float64], agent: int, entity: int) -> int:
    """Write the offset from an agent to an entity, and return where the next part belongs."""
    seen[at] = positions[entity, X] - positions[agent, X]
    seen[at + 1] = positions[entity, Y] - positions[agent, Y]
    return at + 2


@inlined
def write_state(p: Particles, physics: Physics, b: int, shown: Shown) -> None:
    """The state is the observations of all agents in another order."""
    for k in range(shown.states.shape[1]):
        shown.states[b, k] = p.seen[b, physics.observed_at[k]]
