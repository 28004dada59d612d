"""Particle worlds for tests, and ways to reach into them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from qredit.marl.environments.mpe import ParticleWorld, make_mpe
from qredit.marl.environments.particles import Scene
from qredit.task import EnvironmentSpec

NONE, LEFT, RIGHT, DOWN, UP = range(5)
Arguments = Mapping[str, bool | int | float | str]
WORLDS: list[tuple[str, Arguments]] = [
    ("simple_spread_v3", {"N": 3}),
    ("simple_spread_v3", {"N": 6, "local_ratio": 0.2}),
    ("simple_spread_v3", {"N": 1, "max_cycles": 7}),
    ("simple_tag_v3", {}),
    ("simple_tag_v3", {"num_adversaries": 2, "num_obstacles": 0}),
    ("simple_adversary_v3", {}),
    ("simple_adversary_v3", {"N": 3}),
]
EVERY = pytest.mark.parametrize(("world", "arguments"), WORLDS)


def made(world: str, arguments: Arguments | None = None) -> ParticleWorld:
    return make_mpe(EnvironmentSpec(adapter="mpe", id=world, arguments=dict(arguments or {})))


def scene(simulator: ParticleWorld) -> Scene:
    return simulator._scene(simulator._goal())


def put(simulator: ParticleWorld, places: Mapping[str, tuple[float, float]]) -> None:
    """Put agents and landmarks of the package somewhere, at rest; the others go far away, each to its own place."""
    world = simulator.official.world
    for i, entity in enumerate([*world.agents, *world.landmarks]):
        entity.state.p_pos = np.array(places.get(entity.name, (50.0 + 10 * i, 50.0)))
        entity.state.p_vel = np.zeros(2)
    simulator.restore(simulator.save())
