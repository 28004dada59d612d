"""What environments of one's own look like from inside `qredit`, whichever interface they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    from gymnasium.spaces import Discrete
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Moment:
    """What a team was told by `reset` or by a step; one entry per agent, `[N]`."""

    observations: tuple[Any, ...]
    """As the environment writes them; `None` for an agent whose part is over: what it does now is ignored."""
    masks: tuple[Any, ...]
    """Which actions an agent may choose, as the environment writes it; `None` for all of them."""
    rewards: tuple[float, ...]
    """Of this step."""
    terminated: bool
    """The world has ended."""
    truncated: bool
    """The environment has cut the episode off."""


@dataclass(frozen=True)
class Spaces:
    """Sizes of a team's environment."""

    observations: tuple[gymnasium.spaces.Space[Any], ...]
    """Of each agent, `[N]`; all can be flattened to a vector."""
    actions: tuple[Discrete, ...]
    """Of each agent, `[N]`."""
    limit: int | None
    """Steps after which the environment itself cuts an episode off, where it says so."""


class Team(Protocol):
    """An environment of a team. All of its own attributes are copied for a snapshot."""

    spaces: Spaces
    environment: Any
    """The environment itself."""

    def reset(self, seed: int) -> Moment:
        """Start an episode."""
        ...

    def step(self, actions: Sequence[int]) -> Moment:
        """Step with one action per agent, `[N]`, each counted from 0."""
        ...

    def state(self) -> NDArray[np.generic] | None:
        """What the environment itself calls its state; `None` if it has none."""
        ...


def discrete(environment_id: str, agent: object, space: object) -> Discrete:
    """An agent's action space.

    Raises:
        ConfigurationError: its actions are not numbered.
    """
    from gymnasium.spaces import Discrete

    if not isinstance(space, Discrete):
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"the actions of agent `{agent}` are {space}, only `Discrete` ones can be learnt here",
            remedy="Wrap the environment so that each agent chooses one of a list of actions.",
        )
    return space


def flat(environment_id: str, agent: object, space: Any) -> gymnasium.spaces.Space[Any]:
    """An agent's observation space.

    Raises:
        ConfigurationError: it has no fixed number of numbers.
    """
    from gymnasium.spaces import Box, Space, flatten_space

    if not isinstance(space, Space) or not isinstance(flatten_space(space), Box):
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"the observations of agent `{agent}` are {space}, which is no fixed number of numbers",
            remedy="Wrap the environment so that each agent observes a `Box`.",
        )
    return space
