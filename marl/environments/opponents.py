"""Fixed policies of those who play against the team, the same for every algorithm.

They are functions of the scene alone: no memory, no chance, nothing learnt. The published numbers for these tasks come
from pretrained opponents, so that results are not comparable with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.environments.particles import TIME_STEP, Motion, Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREY = Motion(acceleration=4.0, max_speed=1.3)
ADVERSARY = Motion()
LOOK_AHEAD = 3
"""Steps for which the prey imagines that it keeps an action up."""


def prey_action(scene: Scene) -> int:
    """The prey flees, and turns back at the border.

    For each of its five actions it imagines where it would be if it chose this action for the next 3 steps while the
    predators stood still. It takes the action for which its distance to the nearest predator, less the penalty that the
    package gives prey near the border, is largest: the penalty of an axis is 0 up to 0.9 from the centre, rises to 1 at
    1.0 and grows exponentially beyond. It does not look at obstacles; of equally good actions the first counts.
    """
    position, velocity = _of_opponent(scene)
    places = np.repeat(position[None], 5, axis=0)
    velocities = np.repeat(velocity[None], 5, axis=0)
    for _ in range(LOOK_AHEAD):
        places = places + TIME_STEP * velocities
        velocities = PREY.after(velocities)
    nearest = np.linalg.norm(places[:, None] - scene.positions[None], axis=-1).min(axis=1)
    return int((nearest - border_penalty(places)).argmax())


def adversary_action(scene: Scene) -> int:
    """The adversary, which does not know the goal, goes to the landmark nearest to the mean position of the team.

    It brakes in time to rest there; of equally near landmarks the first counts. Two agents that cover both landmarks
    leave it undecided, and one that strays far enough to the side of the wrong landmark draws it away.
    """
    position, velocity = _of_opponent(scene)
    guess = np.linalg.norm(scene.landmarks - scene.positions.mean(axis=0), axis=-1).argmin()
    return ADVERSARY.steer(position, velocity, scene.landmarks[guess])


def border_penalty(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the package takes from prey at each of `places [..., 2]`."""
    far = np.abs(places)
    beyond = np.minimum(np.exp(2 * np.minimum(far, 10.0) - 2), 10.0)
    penalties: NDArray[np.float64] = np.where(far < 0.9, 0.0, np.where(far < 1.0, (far - 0.9) * 10, beyond)).sum(
        axis=-1
    )
    return penalties


def _of_opponent(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if scene.opponent_position is None or scene.opponent_velocity is None:
        raise ValueError("this scene has no opponent")
    return scene.opponent_position, scene.opponent_velocity
