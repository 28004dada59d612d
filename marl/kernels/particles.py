"""What the three particle worlds share: the start, contact forces, motion and offsets, in the package's order.

Positions and velocities are of float64, and every sum is taken in the order of `mpe2`, so that they are equal to its
own up to the last digits.

Shapes: `B` environments, `N` agents of the team, `K` agents with the opponent, `E` entities: the agents, then the
landmarks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qredit.marl.environments.mpe import ParticleWorld, Saved
from qredit.marl.environments.mpe_layouts import observed_at
from qredit.marl.environments.particles import DIRECTIONS
from qredit.marl.kernels.batch import CompiledBatch, Loop, Shown, generator_state, load_generator
from qredit.marl.kernels.compiling import kernel
from qredit.marl.kernels.random import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

X, Y = range(2)
NO_GOAL = -1
_USUAL_ACCELERATION = 5.0
"""Of agents to which the package gives none."""
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
    """Number of the landmark that is the goal, or `NO_GOAL`, `[B]`."""
    steps: NDArray[np.int64]
    """`[B]`"""
    generators: NDArray[np.uint64]
    """`[B, 6]`"""


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


class CompiledParticles(CompiledBatch):
    """A compiled particle world; its subclasses are the three games.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        rules: what a game's own kernels want to know.
        reset_all: loop over environments that starts an episode in the first of them.
        step_all: loop over environments that steps where no episode is over.
        show: kernel that writes an environment's observations and state.
    """

    def __init__(
        self,
        simulator: ParticleWorld,
        n_environments: int,
        *,
        rules: NamedTuple,
        reset_all: Loop,
        step_all: Loop,
        show: Loop,
    ) -> None:
        super().__init__(simulator, n_environments)
        world = simulator.official.world
        b, k, e = n_environments, len(world.agents), len(world.entities)
        self._has_goal = simulator.save().goal is not None
        self._physics = _physics(
            world,
            np.stack(np.divmod(observed_at(simulator.layout, simulator.n_agents), simulator.observation_size), -1),
            simulator.time_limit,
        )
        self._particles = Particles(
            positions=np.zeros((b, e, 2)),
            velocities=np.zeros((b, k, 2)),
            forces=np.zeros((b, k, 2)),
            goals=np.full(b, NO_GOAL, dtype=np.int64),
            steps=np.zeros(b, dtype=np.int64),
            generators=self.generators,
        )
        self._rules = rules
        self._reset_all, self._step_all, self._show = reset_all, step_all, show

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        self._reset_all(self._particles, self._physics, self._rules, seeds, self.shown)

    def _step(self, actions: NDArray[np.int64]) -> None:
        self._step_all(self._particles, self._physics, self._rules, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the official simulator, and show it."""
        p = self._particles
        p.positions[b] = snapshot.positions
        p.velocities[b] = snapshot.velocities[: p.velocities.shape[1]]
        p.goals[b] = NO_GOAL if snapshot.goal is None else snapshot.goal
        p.steps[b] = snapshot.steps
        load_generator(p.generators[b], snapshot.generator)
        self.shown.rewards[b] = 0
        self.shown.agent_rewards[b] = 0
        self.shown.terminated[b] = False
        self.shown.truncated[b] = snapshot.steps >= self.time_limit
        self._show(p, self._physics, b, self.shown)

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the official simulator can restore; nobody speaks in these worlds."""
        p = self._particles
        n_agents, n_entities = p.velocities.shape[1], p.positions.shape[1]
        return Saved(
            positions=tuple(position.copy() for position in p.positions[b]),
            velocities=(
                *(velocity.copy() for velocity in p.velocities[b]),
                *(np.zeros(2) for _ in range(n_entities - n_agents)),
            ),
            messages=tuple(np.zeros(2) for _ in range(n_agents)),
            goal=int(p.goals[b]) if self._has_goal else None,
            steps=int(p.steps[b]),
            generator=generator_state(p.generators[b]),
        )


def _physics(world: Any, observed: NDArray[np.intp], time_limit: int) -> Physics:
    """The physics of one of the package's worlds."""
    agents, entities = world.agents, world.entities
    collide = [entity.collide for entity in entities]
    return Physics(
        n_bodies=sum(collide),
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


# Starting


@kernel
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


# Moving


@kernel
def push(p: Particles, physics: Physics, b: int, agent: int, action: int) -> None:
    """The force of an agent's action, with which its sum of forces begins."""
    p.forces[b, agent, X] = physics.directions[action, X] * physics.accelerations[agent]
    p.forces[b, agent, Y] = physics.directions[action, Y] * physics.accelerations[agent]


@kernel
def move(p: Particles, physics: Physics, b: int) -> None:
    """A step of the world after all agents were pushed."""
    _add_contact_forces(p, physics, b)
    _integrate(p, physics, b)


@kernel
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


@kernel
def _log_add_exp_0(y: float) -> float:
    """`np.logaddexp(0, y)`."""
    if y == 0.0:
        return math.log(2.0)
    if y < 0.0:
        return math.log1p(math.exp(y))
    return y + math.log1p(math.exp(-y))


@kernel
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


@kernel
def squared_distance(positions: NDArray[np.float64], one: int, other: int) -> float:
    """Between two entities of `positions [E, 2]`."""
    dx = positions[one, X] - positions[other, X]
    dy = positions[one, Y] - positions[other, Y]
    return dx * dx + dy * dy


@kernel
def write_pair(seen: NDArray[np.float32], at: int, pair: NDArray[np.float64]) -> int:
    """Write `pair [2]` into an observation, and return where the next part belongs."""
    seen[at], seen[at + 1] = pair[X], pair[Y]
    return at + 2


@kernel
def write_offset(seen: NDArray[np.float32], at: int, positions: NDArray[np.float64], agent: int, entity: int) -> int:
    """Write the offset from an agent to an entity, and return where the next part belongs."""
    seen[at] = positions[entity, X] - positions[agent, X]
    seen[at + 1] = positions[entity, Y] - positions[agent, Y]
    return at + 2


@kernel
def write_state(physics: Physics, b: int, shown: Shown) -> None:
    """The state is the observations of all agents in another order."""
    for k in range(shown.states.shape[1]):
        shown.states[b, k] = shown.observations[b, physics.observed_at[k, 0], physics.observed_at[k, 1]]
