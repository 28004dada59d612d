"""What scripts know about a particle world, and how they steer in it.

The worlds of `mpe2` have no walls. In a step of 0.1 time units an agent first moves with the velocity that it has, then
its velocity falls by a quarter, and then the chosen action pushes it along one axis.

Shapes: `N` agents of the team, `L` landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DIRECTIONS = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], dtype=np.float64)
"""The push of each action, `[5, 2]`: none, left, right, down, up."""
TIME_STEP = 0.1
DAMPING = 0.25
"""Part of its velocity that an agent loses in a step."""


@dataclass(frozen=True)
class Motion:
    """How strongly an agent accelerates."""

    acceleration: float = 5.0
    """Velocity per time unit that an action adds."""
    max_speed: float = float("inf")

    def after(self, velocities: Floats) -> Floats:
        """The velocity after a step with each of the five actions, `[5, 2]`, if nothing is touched.

        Args:
            velocities: before the step, `[2]`, or one for each of the actions, `[5, 2]`.
        """
        pushed = velocities * (1 - DAMPING) + DIRECTIONS * self.acceleration * TIME_STEP
        speeds = np.linalg.norm(pushed, axis=-1, keepdims=True)
        capped: Floats = pushed * np.minimum(1.0, self.max_speed / np.maximum(speeds, 1e-12))
        return capped

    def resting_places(self, position: Floats, velocity: Floats) -> Floats:
        """Where an agent comes to rest that chooses an action and then none, for each of the five, `[5, 2]`."""
        places: Floats = position + TIME_STEP * velocity + TIME_STEP / DAMPING * self.after(velocity)
        return places

    def steer(self, position: Floats, velocity: Floats, target: Floats) -> int:
        """The action after which the agent would come to rest nearest to `target [2]`; it brakes in time."""
        return int(_distances(self.resting_places(position, velocity), target).argmin())


@dataclass(frozen=True)
class Scene:
    """Where everything is. Positions and velocities are of float64, as in the simulator."""

    positions: Floats
    """Of the team's agents, `[N, 2]`."""
    velocities: Floats
    """Of the team's agents, `[N, 2]`."""
    landmarks: Floats
    """`[L, 2]`"""
    opponent_position: Floats | None = None
    """`[2]`, where there is an opponent."""
    opponent_velocity: Floats | None = None
    """`[2]`"""
    goal: int | None = None
    """Number of the landmark that is the goal; `None` where there is none, and for who must not know it."""

    def distances(self) -> Floats:
        """From each agent of the team to each landmark, `[N, L]`."""
        return _distances(self.positions[:, None], self.landmarks[None])


def _distances(a: Floats, b: Floats) -> Floats:
    distances: Floats = np.linalg.norm(a - b, axis=-1)
    return distances
