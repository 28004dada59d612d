"""The opponents' fixed policies, compiled: the same actions as those of `qredit.marl.environments.opponents`.

Numbers are computed in the same order as there, so that what is equally good there is equally good here. Only `exp` of
numpy's vectors may differ in the last digit.

Shapes: `K` agents with the opponent, `E` entities: the agents, then the landmarks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from qredit.marl.environments.opponents import LOOK_AHEAD
from qredit.marl.environments.particles import DAMPING, DIRECTIONS, TIME_STEP, Motion
from qredit.marl.kernels.inlining import inlined
from qredit.marl.kernels.particles import X, Y

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Steering(NamedTuple):
    """How an opponent thinks that it moves; arguments and not constants for the reason given in `Physics`."""

    acceleration: float
    max_speed: float
    time_step: float
    damping: float
    look_ahead: int
    """Steps for which the prey imagines that it keeps an action up."""
    directions: Floats
    """The push of each action, `[5, 2]`."""


def steering(motion: Motion) -> Steering:
    """The steering of an opponent that moves so."""
    return Steering(motion.acceleration, motion.max_speed, TIME_STEP, DAMPING, LOOK_AHEAD, DIRECTIONS)


@inlined
def prey_action(positions: Floats, velocities: Floats, me: Steering) -> int:
    """The prey, which is the last agent, flees, and turns back at the border; the first of equally good actions.

    Args:
        positions: of all entities, `[E, 2]`.
        velocities: of all agents, `[K, 2]`.
        me: how the prey moves.
    """
    prey = len(velocities) - 1
    best, chosen = -math.inf, 0
    for action in range(len(me.directions)):
        vx, vy = velocities[prey, X], velocities[prey, Y]
        x, y = positions[prey, X] + me.time_step * vx, positions[prey, Y] + me.time_step * vy
        for _ in range(me.look_ahead - 1):
            vx, vy = _velocity_after(vx, vy, action, me)
            x, y = x + me.time_step * vx, y + me.time_step * vy
        nearest = math.inf
        for predator in range(prey):
            dx, dy = x - positions[predator, X], y - positions[predator, Y]
            nearest = min(nearest, dx * dx + dy * dy)
        gain = math.sqrt(nearest) - (_border_penalty(x) + _border_penalty(y))
        if gain > best:
            best, chosen = gain, action
    return chosen


@inlined
def adversary_action(positions: Floats, velocities: Floats, me: Steering) -> int:
    """The adversary, which is the first agent, goes to the landmark nearest to the team's mean position.

    Args:
        positions: of all entities, `[E, 2]`.
        velocities: of all agents, `[K, 2]`.
        me: how the adversary moves.
    """
    target = _guess(positions, len(velocities))
    vx, vy = velocities[0, X], velocities[0, Y]
    x, y = positions[0, X] + me.time_step * vx, positions[0, Y] + me.time_step * vy
    best, chosen = math.inf, 0
    for action in range(len(me.directions)):
        ax, ay = _velocity_after(vx, vy, action, me)
        dx = x + me.time_step / me.damping * ax - positions[target, X]
        dy = y + me.time_step / me.damping * ay - positions[target, Y]
        distance = math.sqrt(dx * dx + dy * dy)
        if distance < best:
            best, chosen = distance, action
    return chosen


@inlined
def _guess(positions: Floats, n_agents: int) -> int:
    """The landmark nearest to the mean position of all agents but the first."""
    x = y = 0.0
    for i in range(1, n_agents):
        x, y = x + positions[i, X], y + positions[i, Y]
    x, y = x / (n_agents - 1), y / (n_agents - 1)
    best, nearest = math.inf, n_agents
    for landmark in range(n_agents, len(positions)):
        dx, dy = positions[landmark, X] - x, positions[landmark, Y] - y
        distance = math.sqrt(dx * dx + dy * dy)  # of two squares that differ, the roots may be equal
        if distance < best:
            best, nearest = distance, landmark
    return nearest


@inlined
def _velocity_after(vx: float, vy: float, action: int, me: Steering) -> tuple[float, float]:
    """See `Motion.after`."""
    vx = vx * (1 - me.damping) + me.directions[action, X] * me.acceleration * me.time_step
    vy = vy * (1 - me.damping) + me.directions[action, Y] * me.acceleration * me.time_step
    slower = min(1.0, me.max_speed / max(math.sqrt(vx * vx + vy * vy), 1e-12))
    return vx * slower, vy * slower


@inlined
def _border_penalty(coordinate: float) -> float:
    """See `border_penalty`; that of one axis."""
    far = abs(coordinate)
    if far < 0.9:
        return 0.0
    if far < 1.0:
        return (far - 0.9) * 10
    return min(math.exp(2 * min(far, 10.0) - 2), 10.0)
