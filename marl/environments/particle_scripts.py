"""Scripted teams of the particle worlds: they earn rewards far more often than chance, and nothing trains with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.environments.opponents import PREY
from qredit.marl.environments.particles import Motion, Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PREDATOR = Motion(acceleration=3.0, max_speed=1.0)
OVERSHOOT = 1.6
"""How far beyond the goal the decoys go, in distances from the goal to another landmark."""


def cover(scene: Scene) -> list[int]:
    """Each agent goes to a landmark of its own, so that the way of all together is shortest."""
    return _go(scene, scene.landmarks[_assigned(scene.distances())], Motion())


def chase(scene: Scene) -> list[int]:
    """Every predator heads for the place where the prey would come to rest if it stopped fleeing now."""
    if scene.opponent_position is None or scene.opponent_velocity is None:
        raise ValueError("this scene has no prey")
    ahead = PREY.resting_places(scene.opponent_position, scene.opponent_velocity)[0]
    return _go(scene, np.repeat(ahead[None], len(scene.positions), axis=0), PREDATOR)


def deceive(scene: Scene) -> list[int]:
    """The agent nearest to the goal goes there; the others go past another landmark and draw the adversary away."""
    if scene.goal is None:
        raise ValueError("this scene has no goal")
    goal = scene.landmarks[scene.goal]
    others = np.delete(scene.landmarks, scene.goal, axis=0)
    targets = np.repeat(goal[None], len(scene.positions), axis=0)
    if len(others):
        farthest = others[np.linalg.norm(others - goal, axis=-1).argmax()]
        targets[:] = goal + OVERSHOOT * (farthest - goal)
        targets[scene.distances()[:, scene.goal].argmin()] = goal
    return _go(scene, targets, Motion())


def _assigned(costs: Floats) -> NDArray[np.intp]:
    """The column of each row of `costs [N, N]`, so that their sum is smallest."""
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # it ships no types

    columns: NDArray[np.intp] = linear_sum_assignment(costs)[1]
    return columns


def _go(scene: Scene, targets: Floats, motion: Motion) -> list[int]:
    """The action of each agent on its way to `targets [N, 2]`."""
    ways = zip(scene.positions, scene.velocities, targets, strict=True)
    return [motion.steer(position, velocity, target) for position, velocity, target in ways]
