"""Gymnasium's interface with one entry per agent: one's own environment by its registered id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.own_team import Moment, Spaces, discrete, flat
from qredit.trust import require_trust

if TYPE_CHECKING:
    from gymnasium.spaces import Discrete, Space
    from numpy.typing import NDArray


class TupleTeam:
    """An environment whose actions are a `Tuple` of `Discrete` or a `MultiDiscrete`, and its observations a `Tuple`.

    The reward is a list, or a number: the team's, of which each agent gets an equal part. With a `Discrete` action it
    is an environment of one agent.
    """

    def __init__(self, environment_id: str, arguments: Mapping[str, Any], *, trusted: bool | None) -> None:
        from gymnasium.spaces import Discrete

        self.environment = _make(environment_id, arguments, trusted)
        self._id = environment_id
        space = self.environment.action_space
        self.alone = isinstance(space, Discrete)
        """Whether it is an environment of one agent."""
        actions = _action_spaces(environment_id, space)
        self._n_agents = len(actions)
        observations = _observation_spaces(
            environment_id, self.environment.observation_space, self._n_agents, self.alone
        )
        limit = self.environment.spec.max_episode_steps if self.environment.spec else None
        self.spaces = Spaces(observations, actions, limit)

    def reset(self, seed: int) -> Moment:
        """Start an episode."""
        observation, info = self.environment.reset(seed=seed)
        return self._moment(observation, info, np.zeros(self._n_agents), False, False)

    def step(self, actions: Sequence[int]) -> Moment:
        """Step with one action per agent, `[N]`."""
        chosen = [int(s.start) + int(a) for s, a in zip(self.spaces.actions, actions, strict=True)]
        observation, reward, terminated, truncated, info = self.environment.step(self._form(chosen))
        rewards = np.asarray(reward, dtype=np.float64).reshape(-1)
        if rewards.size == 1:
            rewards = np.full(self._n_agents, rewards[0] / self._n_agents)
        if rewards.size != self._n_agents:
            raise ConfigurationError(
                f"environment `{self._id}`",
                cause=f"it gave {rewards.size} rewards to {self._n_agents} agents",
                remedy="Give one number to the team, or one to each agent.",
            )
        ended = np.logical_or(terminated, truncated).all()  # some environments tell it of each agent
        world_ended = bool(np.all(terminated))
        return self._moment(observation, info, rewards, world_ended, bool(ended) and not world_ended)

    def state(self) -> NDArray[np.generic] | None:
        """What `state()` of the innermost environment gives; `None` if it has no such method."""
        method = getattr(self.environment.unwrapped, "state", None)
        return np.asarray(method()) if callable(method) else None

    def _form(self, actions: list[int]) -> Any:
        if self.alone:
            return actions[0]
        from gymnasium.spaces import MultiDiscrete

        space = self.environment.action_space
        return np.array(actions, dtype=space.dtype) if isinstance(space, MultiDiscrete) else tuple(actions)

    def _moment(
        self, observation: Any, info: Mapping[str, Any], rewards: NDArray[Any], terminated: bool, truncated: bool
    ) -> Moment:
        n = self._n_agents
        masks = info.get("action_mask")
        return Moment(
            observations=(observation,) if self.alone else tuple(observation),
            masks=(None,) * n if masks is None else (masks,) if self.alone else tuple(masks),
            rewards=tuple(rewards.tolist()),
            terminated=terminated,
            truncated=truncated,
        )


def _action_spaces(environment_id: str, space: Any) -> tuple[Discrete, ...]:
    from gymnasium.spaces import Discrete, MultiDiscrete, Tuple

    if isinstance(space, MultiDiscrete) and space.nvec.ndim == 1:
        starts = np.asarray(space.start).tolist()
        return tuple(Discrete(int(n), start=start) for n, start in zip(space.nvec.tolist(), starts, strict=True))
    parts = space.spaces if isinstance(space, Tuple) else (space,)
    return tuple(discrete(environment_id, number, part) for number, part in enumerate(parts))


def _observation_spaces(environment_id: str, space: Any, n_agents: int, alone: bool) -> tuple[Space[Any], ...]:
    from gymnasium.spaces import Tuple

    parts = (space,) if alone else tuple(space.spaces) if isinstance(space, Tuple) else ()
    if len(parts) != n_agents:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"it takes {n_agents} actions at once, but its observations are {space}",
            remedy=f"Wrap the environment so that it observes a `Tuple` of {n_agents} spaces, one per agent.",
        )
    return tuple(flat(environment_id, number, part) for number, part in enumerate(parts))


def _make(environment_id: str, arguments: Mapping[str, Any], trusted: bool | None) -> Any:
    import gymnasium

    what = f"environment `{environment_id}`"
    # Environments that wrap others take an id as an argument.
    if any(":" in text for text in (environment_id, *arguments.values()) if isinstance(text, str)):
        require_trust(environment_id, "making it imports the module that it names", trusted=trusted)
    try:
        return gymnasium.make(environment_id, disable_env_checker=True, **arguments)
    except gymnasium.error.UnregisteredEnv as error:
        known = UnknownNameError("environment", environment_id, gymnasium.registry)
        raise ConfigurationError(
            what,
            cause=f"gymnasium knows no environment of this id ({error})",
            remedy=f"{known.remedy} If a package registers it, name that too: `package:{environment_id}`.",
        ) from error
    except ImportError as error:
        raise ConfigurationError(
            what,
            cause=f"it cannot be imported ({error})",
            remedy="Install its package, or set PYTHONPATH to the folder in which it stands.",
        ) from error
    except (gymnasium.error.Error, TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"{what} with {dict(arguments)}",
            cause=f"it cannot be made ({error})",
            remedy="Correct the `arguments` of the task's environment.",
        ) from error
