"""What a task file has to say about an environment of one's own, as far as the environment tells it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.layout import StateField
from qredit.marl.environments.own import bounds_of, observation_field, open_team

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.own_team import Team
    from qredit.task import EnvironmentSpec


@dataclass(frozen=True)
class EnvironmentFacts:
    """What was found."""

    n_agents: int
    """`N`."""
    n_actions: int
    """`A`."""
    action_names: tuple[str, ...] | None
    """In the order of their numbers; `None` where the environment has no names for them, as most have not."""
    time_limit: int | None
    """Steps after which the environment itself cuts an episode off, where it says so."""
    field: StateField
    """Its state as one field: what the agents observe, unless `state()` gives something else."""
    is_observation: bool
    """Whether it is what the agents observe."""


def facts_of(spec: EnvironmentSpec, *, trusted: bool | None = None) -> EnvironmentFacts:
    """Make an environment and look at it.

    Raises:
        ConfigurationError: it cannot be made, it is not trusted, or a team cannot be trained in it.
    """
    team = open_team(spec, trusted=trusted)
    observed, state = _observed(team), team.state()  # in this order: there is no state before the first episode
    field = observation_field(team.spaces)
    # Observations of unequal length are padded in `field`, and then even a state that is made of them is another one.
    same = state is None or (state.size == field.size and np.array_equal(state.reshape(-1), observed))
    n_actions = max(int(space.n) for space in team.spaces.actions)
    return EnvironmentFacts(
        n_agents=len(team.spaces.actions),
        n_actions=n_actions,
        action_names=_action_names(team.environment, n_actions),
        time_limit=team.spaces.limit,
        field=field if same or state is None else _state_field(team.environment, state.size),
        is_observation=same,
    )


def _observed(team: Team) -> NDArray[np.float32]:
    """What the agents see at the start of an episode, one after the other."""
    from gymnasium.spaces import flatten

    seen = team.reset(0).observations
    rows = [flatten(space, one) for space, one in zip(team.spaces.observations, seen, strict=True)]
    return np.concatenate([np.asarray(row, dtype=np.float32) for row in rows])


def _state_field(environment: Any, size: int) -> StateField:
    from gymnasium.spaces import Box

    space = getattr(environment, "state_space", None)
    low, high = bounds_of(space) if isinstance(space, Box) else (-math.inf, math.inf)
    return StateField("state", (size,), "unknown", low, high, "What `state()` of the environment gives.")


def _action_names(environment: Any, n_actions: int) -> tuple[str, ...] | None:
    """By the convention of the Atari environments."""
    meanings = getattr(getattr(environment, "unwrapped", environment), "get_action_meanings", None)
    if not callable(meanings):
        return None
    names = tuple(str(name) for name in meanings())
    return names if len(names) == n_actions else None
