"""Environments of one's own: any that has PettingZoo's parallel interface, or gymnasium's with an entry per agent.

The state is what the environment's own `state()` gives, described by the layout of the task file; without a layout it
is what the agents observe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, TaskFileError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.own_copying import deep_copy
from qredit.marl.environments.own_gymnasium import TupleTeam
from qredit.marl.environments.own_pettingzoo import ParallelTeam
from qredit.marl.environments.own_team import Moment, Spaces, Team
from qredit.marl.environments.simulator import StepResult
from qredit.marl.random_policy import random_actions

if TYPE_CHECKING:
    from gymnasium.spaces import Space
    from numpy.typing import NDArray

    from qredit.task import EnvironmentSpec, Task


def make_own(spec: EnvironmentSpec, task: Task, *, trusted: bool | None = None) -> OwnEnvironment:
    """Make the environment of a task.

    Args:
        spec: what to make; its adapter is `pettingzoo` or `gymnasium`.
        task: its layout says what the state holds, its time limit holds beside the environment's own.
        trusted: whether code may run that the task file names by its module; `None` asks the environment of the
            process (`qredit.trust`).

    Raises:
        ConfigurationError: it cannot be made, it is not trusted, or a team cannot be trained in it.
        TaskFileError: the layout contradicts the environment.
    """
    team = open_team(spec, trusted=trusted)
    if isinstance(team, TupleTeam) and team.alone and task.n_agents != 1:
        raise ConfigurationError(
            f"environment `{spec.id}`",
            cause=f"it is one of a single agent, and {task.where('n_agents')} says {task.n_agents}",
            remedy="Write `n_agents: 1`, or name an environment whose actions are a `Tuple` or a `MultiDiscrete`.",
        )
    return OwnEnvironment(spec.id, team, task)


def open_team(spec: EnvironmentSpec, *, trusted: bool | None = None) -> ParallelTeam | TupleTeam:
    """The environment behind one form, without a task.

    Raises:
        ConfigurationError: see `make_own`.
    """
    kind = ParallelTeam if spec.adapter == "pettingzoo" else TupleTeam
    return kind(spec.id, spec.arguments, trusted=trusted)


def observation_field(spaces: Spaces) -> StateField:
    """The state where nothing better is known: what the agents observe, `[N, O]`, shorter ones padded with zeros."""
    n, o = len(spaces.observations), observation_size(spaces)
    bounds = [bounds_of(space) for space in spaces.observations]
    return StateField(
        "observation",
        (n, o),
        "unknown",
        min(low for low, _ in bounds),
        max(high for _, high in bounds),
        "What each agent observes; zeros for an agent whose part is over.",
        agent_axes=(0,),
    )


def observation_size(spaces: Spaces) -> int:
    """`O`, the length of the longest observation."""
    from gymnasium.spaces import flatdim

    return max(flatdim(space) for space in spaces.observations)


def bounds_of(space: Space[Any]) -> tuple[float, float]:
    """Smallest and largest number of an observation; the largest ones that a float32 can hold stand for no bound."""
    from gymnasium.spaces import Box, flatten_space

    vector = flatten_space(space)
    assert isinstance(vector, Box)  # `own_team.flat` has looked
    low, high = float(vector.low.min(initial=0)), float(vector.high.max(initial=0))
    most = float(np.finfo(np.float32).max)
    return -math.inf if low <= -most else low, math.inf if high >= most else high


@dataclass(frozen=True)
class _Saved:
    team: Team
    moment: Moment
    steps: int


class OwnEnvironment:
    """An environment that qredit knows nothing about but its interface; `make_own` makes it.

    A snapshot is a deep copy of the whole environment. Not covered: what lives outside of it, such as sockets, files,
    processes of its own, and random generators of modules (`random`, `numpy.random`), which also break the promise
    that an episode is a function of its seed and actions.
    """

    def __init__(self, environment_id: str, team: Team, task: Task) -> None:
        self._id, self._team = environment_id, team
        spaces = team.spaces
        self.n_agents = len(spaces.actions)
        self.n_actions = max(int(space.n) for space in spaces.actions)
        self.observation_size = observation_size(spaces)
        self.time_limit = task.time_limit if spaces.limit is None else min(task.time_limit, spaces.limit)
        self._copies_checked = False
        self._steps, self._moment = 0, team.reset(0)
        own = task.own_layout()
        self._has_state = own is not None and team.state() is not None
        self.layout = StateLayout((observation_field(spaces),)) if own is None else own
        if own is not None:
            self._check(task, own)

    @property
    def official(self) -> Any:
        """The environment itself, for tests that reach into the world."""
        return self._team.environment

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self._steps, self._moment = 0, self._team.reset(seed)

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`; that of an agent whose part is over is ignored."""
        moment = self._moment = self._team.step(actions)
        self._steps += 1
        cut_off = moment.truncated or self._steps >= self.time_limit
        return StepResult(moment.rewards, moment.terminated, cut_off and not moment.terminated)

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        if not self._has_state:
            return self.observations().reshape(-1)
        return np.array(self._team.state(), dtype=np.float32).reshape(-1)

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, flat and padded with zeros, `[N, O]`; zeros for an agent whose part is over."""
        from gymnasium.spaces import flatdim, flatten

        seen = np.zeros((self.n_agents, self.observation_size), dtype=np.float32)
        for row, space, observation in zip(
            seen, self._team.spaces.observations, self._moment.observations, strict=True
        ):
            if observation is None:
                continue
            numbers, size = np.asarray(flatten(space, observation)), flatdim(space)
            if numbers.size != size:
                raise ConfigurationError(
                    f"environment `{self._id}`",
                    cause=f"it showed an agent {numbers.size} numbers, its observation space has {size}",
                    remedy="Correct the observation space of the environment.",
                )
            row[:size] = numbers
        return seen

    def available_actions(self) -> NDArray[np.bool_]:
        """As its action masks say, `[N, A]`; the first one only for an agent whose part is over."""
        available = np.zeros((self.n_agents, self.n_actions), dtype=np.bool_)
        moment, spaces = self._moment, self._team.spaces.actions
        for row, space, mask, seen in zip(available, spaces, moment.masks, moment.observations, strict=True):
            size = 1 if seen is None else int(space.n)
            row[:size] = True if seen is None or mask is None else self._checked(mask, size)
        return available

    def save(self) -> _Saved:
        """A copy of the whole environment.

        Raises:
            ConfigurationError: it holds something that cannot be copied.
        """
        return self._copied(_Saved(self._team, self._moment, self._steps))

    def restore(self, snapshot: _Saved) -> None:
        """Go back to a snapshot of this environment, or of another one of the same id.

        Raises:
            ConfigurationError: copies of it do not go on alike.
        """
        ended = snapshot.moment.terminated or snapshot.moment.truncated
        if not self._copies_checked and not ended:
            self._check_copies(snapshot)
            self._copies_checked = True
        again = self._copied(snapshot)
        self._team, self._moment, self._steps = again.team, again.moment, again.steps

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Uniformly random available actions, `[N]`: nobody has written a script for this environment."""
        chosen: list[int] = random_actions(self.available_actions()[None], rng)[0].tolist()
        return chosen

    def _copied(self, saved: _Saved) -> _Saved:
        return deep_copy(saved, saved.team.environment, self._id)

    def _check_copies(self, snapshot: _Saved) -> None:
        """Play one step from two copies: they must be told the same.

        Raises:
            ConfigurationError: they are not.
        """
        told = []
        for saved in (self._copied(snapshot), self._copied(snapshot)):
            self._team, self._moment = saved.team, saved.moment
            self._moment = self._team.step(self.available_actions().argmax(axis=1).tolist())
            shown = self.observations().tolist(), self.state().tolist()
            told.append((self._moment.rewards, self._moment.terminated, self._moment.truncated, *shown))
        if told[0] != told[1]:
            raise ConfigurationError(
                f"environment `{self._id}`",
                cause="two copies of it went on differently after the same actions, so that it cannot be restored",
                remedy="Let it draw all its random numbers from a generator of its own, such as `self.np_random`.",
            )

    def _checked(self, mask: Any, size: int) -> NDArray[np.bool_]:
        """An agent's action mask `[A]`."""
        allowed = np.asarray(mask).astype(np.bool_)
        if allowed.shape != (size,) or not allowed.any():
            shape = list(allowed.shape)
            raise ConfigurationError(
                f"environment `{self._id}`",
                cause=f"an agent has {size} actions and an action mask of shape {shape} that allows {allowed.sum()}",
                remedy="Give `action_mask` one entry per action, and allow at least one.",
            )
        return allowed

    def _check(self, task: Task, layout: StateLayout) -> None:
        size = self.state().size
        if size != layout.size:
            source = "`state()` of the environment gives" if self._has_state else "the agents together observe"
            raise TaskFileError(
                task.where("layout"),
                cause=f"the fields of the layout hold {layout.size} numbers, {source} {size}",
                remedy="Correct the shapes, or remove `layout`: then the state is what the agents observe.",
            )
