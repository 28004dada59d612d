"""What happens in a step of a particle world, found out from the official side alone.

Shapes: `E` entities, the agents and then the landmarks.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qredit.marl.environments.mpe import ParticleWorld, Saved
from qredit.marl.environments.simulator import StepResult
from tests.marl.kernels.parity import Events

NEARLY = 0.05
"""Gap below which agents that do not touch push each other noticeably."""
COVERED = 0.1
"""Distance below which the package counts a landmark as covered."""


def events_of(simulator: ParticleWorld) -> Events:
    """What to count in this world."""
    world = simulator.official.world
    kind = simulator.official.metadata["name"]
    n_agents = len(world.agents)
    sizes = np.array([entity.size for entity in world.entities])
    limits = np.array([np.inf if agent.max_speed is None else agent.max_speed for agent in world.agents])

    def events(before: Saved, actions: list[int], result: StepResult, after: Saved) -> dict[str, int]:
        counts: dict[str, int] = {}
        if kind != "simple_adversary_v3":
            counts |= _contacts(_gaps(before, sizes), n_agents)
            speeds = np.linalg.norm(np.array(after.velocities)[:n_agents], axis=-1)
            counts["speed limit"] = int((speeds > limits - 1e-9).sum())
        places = np.array(after.positions)
        if kind == "simple_spread_v3":
            gaps = _gaps(after, sizes)
            overlaps = [sum(int(gaps[i, j] < 0) for j in range(n_agents) if j != i) for i in range(n_agents)]
            counts["collision penalty"] = sum(n > 0 for n in overlaps)
            counts["two collisions of one agent"] = sum(n > 1 for n in overlaps)
            distances = np.linalg.norm(places[:n_agents, None] - places[None, n_agents:], axis=-1)
            counts["landmark covered"] = int((distances.min(axis=0) < COVERED).sum())
        elif kind == "simple_tag_v3":
            counts["obstacle touched"] = int((_gaps(before, sizes)[:n_agents, n_agents:] < 0).sum())
            far = np.abs(np.array(before.positions)[n_agents - 1]).max()
            counts["prey caught"] = int(result.agent_rewards[0] > 0)
            counts["prey caught by several"] = int(result.agent_rewards[0] > 10)
            counts["prey near the border"] = int(0.9 <= far < 1.0)
            counts["prey beyond the border"] = int(far >= 1.0)
        else:
            counts["target changed"] = int(_target(before, n_agents) != _target(after, n_agents))
            counts["target is the goal"] = int(_target(after, n_agents) == after.goal)
        return counts

    return events


def _gaps(saved: Saved, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between the edges of all entities, `[E, E]`; negative where they overlap."""
    places = np.array(saved.positions)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    gaps: NDArray[np.float64] = distances - (sizes[:, None] + sizes[None])
    return gaps


def _contacts(gaps: NDArray[np.float64], n_agents: int) -> dict[str, int]:
    pairs = [gaps[i, j] for i, j in combinations(range(n_agents), 2)]
    return {
        "agents touch": sum(int(gap < 0) for gap in pairs),
        "agents nearly touch": sum(int(0 <= gap < NEARLY) for gap in pairs),
    }


def _target(saved: Saved, n_agents: int) -> int:
    """The landmark that the adversary takes for the goal."""
    places = np.array(saved.positions)
    return int(np.linalg.norm(places[n_agents:] - places[1:n_agents].mean(axis=0), axis=-1).argmin())
