"""What the compiled particle worlds share in Python: their arrays and their snapshots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qredit.marl.environments.mpe import ParticleWorld, Saved
from qredit.marl.environments.mpe_layouts import observed_at
from qredit.marl.environments.particles import DIRECTIONS
from qredit.marl.kernels.batch import CompiledBatch, Loop, generator_state, load_generator
from qredit.marl.kernels.particles import Particles, Physics

if TYPE_CHECKING:
    from numpy.typing import NDArray

_USUAL_ACCELERATION = 5.0
"""Of agents to which the package gives none."""


class CompiledParticles(CompiledBatch):
    """A compiled particle world; its subclasses are the three games.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        rules: what only the game's own kernels want to know.
        reset_all: loop that starts an episode in the first environments.
        step_all: loop that steps the environments whose episode is not over.
        show_one: kernel that shows one environment.
    """

    def __init__(
        self,
        simulator: ParticleWorld,
        n_environments: int,
        *,
        rules: NamedTuple,
        reset_all: Loop,
        step_all: Loop,
        show_one: Loop,
    ) -> None:
        super().__init__(simulator, n_environments)
        world = simulator.official.world
        b, k, e = n_environments, len(world.agents), len(world.entities)
        self._has_goal = simulator.save().goal is not None
        self._physics = _physics(world, observed_at(self.layout, self.n_agents), self.time_limit)
        self._rules = rules
        self._particles = Particles(
            positions=np.zeros((b, e, 2)),
            velocities=np.zeros((b, k, 2)),
            forces=np.zeros((b, k, 2)),
            goals=np.zeros(b, dtype=np.int64),
            steps=np.zeros(b, dtype=np.int64),
            generators=self.generators,
            seen=self.shown.observations.reshape(b, -1),
        )
        self._reset_all, self._step_all, self._show_one = reset_all, step_all, show_one

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        self._reset_all(self._particles, self._physics, self._rules, seeds, self.shown)

    def _step(self, actions: NDArray[np.int64]) -> None:
        self._step_all(self._particles, self._physics, self._rules, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the official simulator, and show it."""
        p = self._particles
        p.positions[b] = snapshot.positions
        p.velocities[b] = snapshot.velocities[: p.velocities.shape[1]]
        p.goals[b] = 0 if snapshot.goal is None else snapshot.goal
        p.steps[b] = snapshot.steps
        load_generator(p.generators[b], snapshot.generator)
        self.shown.rewards[b] = 0
        self.shown.agent_rewards[b] = 0
        self.shown.terminated[b] = False
        self.shown.truncated[b] = snapshot.steps >= self.time_limit
        self._show_one(p, self._physics, b, self.shown)

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the official simulator can restore."""
        p = self._particles
        n_agents, n_entities = p.velocities.shape[1], p.positions.shape[1]
        still = np.zeros((n_entities - n_agents, 2))
        return Saved(
            positions=tuple(p.positions[b].copy()),
            velocities=tuple(np.concatenate([p.velocities[b], still])),
            messages=tuple(np.zeros((n_agents, 2))),  # nobody speaks in these worlds
            goal=int(p.goals[b]) if self._has_goal else None,
            steps=int(p.steps[b]),
            generator=generator_state(p.generators[b]),
        )


def _physics(world: Any, observed: NDArray[np.intp], time_limit: int) -> Physics:
    """The physics of one of the package's worlds; in all three, entities that collide come before the others."""
    agents, entities = world.agents, world.entities
    return Physics(
        n_bodies=sum(entity.collide for entity in entities),
        sizes=np.array([entity.size for entity in entities]),
        accelerations=np.array([_USUAL_ACCELERATION if agent.accel is None else agent.accel for agent in agents]),
        top_speeds=np.array([math.inf if agent.max_speed is None else agent.max_speed for agent in agents]),
        directions=DIRECTIONS,
        time_step=world.dt,
        damping=world.damping,
        contact_force=world.contact_force,
        contact_margin=world.contact_margin,
        observed_at=observed,
        time_limit=time_limit,
    )
