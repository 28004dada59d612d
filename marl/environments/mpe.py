"""Particle worlds: `simple_spread_v3`, `simple_tag_v3` and `simple_adversary_v3` of the official `mpe2` package.

The package's own code moves the world, rewards and observes; the turn-taking around it is left out. The worlds never
end by themselves, so that every episode is truncated at its limit.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.mpe_layouts import Counts, adversary_layout, observed_at, spread_layout, tag_layout
from qredit.marl.environments.opponents import adversary_action, prey_action
from qredit.marl.environments.particle_scripts import chase, cover, deceive
from qredit.marl.environments.particles import DIRECTIONS, Scene
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.layout import StateLayout
    from qredit.task import EnvironmentSpec


@dataclass(frozen=True)
class _Game:
    """What differs between the three."""

    module: str
    arguments: Mapping[str, tuple[float, float]]
    """Arguments that a task may set, and between which bounds; whole bounds ask for whole numbers."""
    team: slice
    """Which of the package's agents are the team; the others, at most one, are its opponent."""
    layout: Callable[[Counts], StateLayout]
    opponent_action: Callable[[Scene], int] | None
    scripted_actions: Callable[[Scene], list[int]]


_LIMIT = (1, 100_000)
_COUNT = (1, 256)
_GAMES: Mapping[str, _Game] = {
    "simple_spread_v3": _Game(
        module="mpe2.simple_spread.simple_spread",
        arguments={"N": _COUNT, "local_ratio": (0.0, 1.0), "max_cycles": _LIMIT},
        team=slice(None),
        layout=spread_layout,
        opponent_action=None,
        scripted_actions=cover,
    ),
    "simple_tag_v3": _Game(
        module="mpe2.simple_tag.simple_tag",
        arguments={"num_adversaries": _COUNT, "num_obstacles": (0, 256), "max_cycles": _LIMIT},
        team=slice(0, -1),
        layout=tag_layout,
        opponent_action=prey_action,
        scripted_actions=chase,
    ),
    "simple_adversary_v3": _Game(
        module="mpe2.simple_adversary.simple_adversary",
        arguments={"N": _COUNT, "max_cycles": _LIMIT},
        team=slice(1, None),
        layout=adversary_layout,
        opponent_action=adversary_action,
        scripted_actions=deceive,
    ),
}


def make_mpe(spec: EnvironmentSpec) -> ParticleWorld:
    """Make the particle world of a task.

    Raises:
        UnknownNameError: no such world.
        ConfigurationError: an argument that it does not take, or out of bounds.
    """
    if spec.id not in _GAMES:
        raise UnknownNameError("particle world", spec.id, _GAMES)
    game = _GAMES[spec.id]
    for name, value in spec.arguments.items():
        _check_argument(spec.id, name, value, game.arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the package imports warns about other packages
        official = importlib.import_module(game.module).raw_env(**spec.arguments)
    return ParticleWorld(game, official)


def _check_argument(world: str, name: str, value: object, known: Mapping[str, tuple[float, float]]) -> None:
    if name not in known:
        raise ConfigurationError(
            f"environment `{world}` with `{name}`",
            cause="it takes no such argument here",
            remedy=f"Use {', '.join(f'`{n}`' for n in known)} in the `arguments` of the task's environment, or none.",
        )
    low, high = known[name]
    wanted = int if isinstance(low, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
        raise ConfigurationError(
            f"environment `{world}` with `{name}: {value}`",
            cause=f"it must be a {'whole ' if wanted is int else ''}number from {low} to {high}",
            remedy="Correct the `arguments` of the task's environment.",
        )


@dataclass(frozen=True)
class Saved:
    """A snapshot."""

    positions: tuple[NDArray[np.float64], ...]
    """Of all agents, then of all landmarks; velocities likewise."""
    velocities: tuple[NDArray[np.float64], ...]
    messages: tuple[NDArray[np.float64], ...]
    goal: int | None
    steps: int
    generator: Mapping[str, Any]


class ParticleWorld:
    """One particle world; `make_mpe` makes it."""

    def __init__(self, game: _Game, environment: Any) -> None:
        environment.screen = None  # 2 MB of pixels that nobody looks at
        environment.reset(seed=0)  # before it the package could not step, not even from a restored snapshot
        self._game = game
        self.official = environment
        """The package's own environment, for tests that reach into the world."""
        self._world = environment.world
        self._team = self._world.agents[game.team]
        self._opponents = [agent for agent in self._world.agents if agent not in self._team]
        self._entities = [*self._world.agents, *self._world.landmarks]
        self.n_agents = len(self._team)
        self.n_actions = len(DIRECTIONS)
        self.time_limit = int(environment.max_cycles)
        self.layout = game.layout(Counts(self.n_agents, len(self._world.landmarks), self.time_limit))
        self.observation_size = self.layout.size // self.n_agents
        self._observed_at = observed_at(self.layout, self.n_agents)
        self._seen: NDArray[np.float32] | None = None

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self.official.reset(seed=seed)
        self._seen = None

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent of the team, `[N]`; the opponent decides on what it sees before the step."""
        official = self.official
        chosen = dict(zip((agent.name for agent in self._team), actions, strict=True))
        if self._game.opponent_action is not None:
            (opponent,) = self._opponents
            chosen[opponent.name] = self._game.opponent_action(self._scene(goal=None))
        official.current_actions = [int(chosen[agent.name]) for agent in self._world.agents]
        official._execute_world_step()
        official.steps += 1
        self._seen = None
        rewards = tuple(float(official.rewards[agent.name]) for agent in self._team)
        return StepResult(rewards, terminated=False, truncated=official.steps >= self.time_limit)

    def state(self) -> NDArray[np.float32]:
        """The observations of the team in the order of the layout, `[S]`."""
        return self._observed().reshape(-1)[self._observed_at]

    def observations(self) -> NDArray[np.float32]:
        """As the package writes them, `[N, O]`."""
        return self._observed().copy()

    def available_actions(self) -> NDArray[np.bool_]:
        """All, always, `[N, A]`."""
        return np.ones((self.n_agents, self.n_actions), dtype=np.bool_)

    def save(self) -> Saved:
        """Where everything is and how it moves."""
        return Saved(
            positions=tuple(entity.state.p_pos.copy() for entity in self._entities),
            velocities=tuple(entity.state.p_vel.copy() for entity in self._entities),
            messages=tuple(agent.state.c.copy() for agent in self._world.agents),
            goal=self._goal(),
            steps=self.official.steps,
            generator=self.official.np_random.bit_generator.state,
        )

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot; the objects stay, since the package's agents refer to each other and to the goal."""
        for entity, position, velocity in zip(self._entities, snapshot.positions, snapshot.velocities, strict=True):
            entity.state.p_pos = position.copy()
            entity.state.p_vel = velocity.copy()
        for agent, message in zip(self._world.agents, snapshot.messages, strict=True):
            agent.state.c = message.copy()
            if snapshot.goal is not None:
                agent.goal_a = self._world.landmarks[snapshot.goal]
        self.official.steps = snapshot.steps
        self.official.np_random.bit_generator.state = snapshot.generator
        self._seen = None

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """See `particle_scripts`; nothing in them is random."""
        return self._game.scripted_actions(self._scene(goal=self._goal()))

    def _observed(self) -> NDArray[np.float32]:
        if self._seen is None:
            observe = self.official.scenario.observation
            self._seen = np.array([observe(agent, self._world) for agent in self._team], dtype=np.float32)
        return self._seen

    def _goal(self) -> int | None:
        goal = getattr(self._world.agents[0], "goal_a", None)
        return None if goal is None else self._world.landmarks.index(goal)

    def _scene(self, goal: int | None) -> Scene:
        states = [agent.state for agent in self._team]
        opponent = self._opponents[0].state if self._opponents else None
        landmarks = [landmark.state.p_pos for landmark in self._world.landmarks]
        return Scene(
            positions=np.array([state.p_pos for state in states]),
            velocities=np.array([state.p_vel for state in states]),
            landmarks=np.array(landmarks).reshape(-1, 2),
            opponent_position=None if opponent is None else opponent.p_pos.copy(),
            opponent_velocity=None if opponent is None else opponent.p_vel.copy(),
            goal=goal,
        )
