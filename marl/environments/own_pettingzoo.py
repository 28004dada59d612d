"""PettingZoo's parallel interface: one's own environment by the name of its module."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qredit.errors import ConfigurationError
from qredit.marl.environments.own_team import Moment, Spaces, discrete, flat
from qredit.trust import require_trust

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KNOWN_PACKAGES = ("pettingzoo.", "mpe2.")
"""Official packages, whose modules are imported without asking."""
_ID = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*)?", re.ASCII)


class ParallelTeam:
    """A parallel environment whose agents are all there at the start and may end one by one, never come back."""

    def __init__(self, environment_id: str, arguments: Mapping[str, Any], *, trusted: bool | None) -> None:
        self.environment = _make(environment_id, arguments, trusted)
        self._id = environment_id
        self._names: tuple[Any, ...] = tuple(self.environment.possible_agents)
        limit = getattr(getattr(self.environment, "unwrapped", None), "max_cycles", None)
        self.spaces = Spaces(
            observations=tuple(flat(environment_id, a, self.environment.observation_space(a)) for a in self._names),
            actions=tuple(discrete(environment_id, a, self.environment.action_space(a)) for a in self._names),
            limit=limit if isinstance(limit, int) else None,
        )
        self._playing: frozenset[Any] = frozenset()
        self._all_terminated = True
        """Whether every agent whose part is over was terminated, and none truncated."""

    def reset(self, seed: int) -> Moment:
        """Start an episode."""
        observations, infos = self.environment.reset(seed=seed)
        self._playing, self._all_terminated = frozenset(self._names), True
        self._check_team("the start of an episode", observations)
        return self._moment(observations, infos, {})

    def step(self, actions: Sequence[int]) -> Moment:
        """Step with one action per agent, `[N]`; those of agents whose part is over go nowhere."""
        chosen = {
            name: int(space.start) + int(action)
            for name, space, action in zip(self._names, self.spaces.actions, actions, strict=True)
            if name in self._playing
        }
        observations, rewards, terminations, truncations, infos = self.environment.step(chosen)
        earned = {name: float(rewards.get(name, 0)) for name in self._playing}
        terminated = {name for name in self._playing if terminations.get(name)}
        truncated = {name for name in self._playing if truncations.get(name)} - terminated
        self._playing -= terminated | truncated
        self._all_terminated &= not truncated
        if self._playing:
            self._check_team("a step", observations)
        # Learners bootstrap from what is seen when an episode is cut off, never from what the dead see.
        seen = {name: value for name, value in observations.items() if name in self._playing | truncated}
        return self._moment(seen, infos, earned)

    def state(self) -> NDArray[np.generic] | None:
        """What the environment itself calls its state; `None` if it has none."""
        import numpy as np

        try:
            return np.asarray(self.environment.state())
        except NotImplementedError:  # what PettingZoo's base class does
            return None

    def _moment(
        self, seen: Mapping[Any, Any], infos: Mapping[Any, Mapping[str, Any]], rewards: Mapping[Any, float]
    ) -> Moment:
        ended = not self._playing
        return Moment(
            observations=tuple(seen.get(name) for name in self._names),
            masks=tuple(_mask(seen.get(name), infos.get(name, {})) for name in self._names),
            rewards=tuple(rewards.get(name, 0.0) for name in self._names),
            terminated=ended and self._all_terminated,
            truncated=ended and not self._all_terminated,
        )

    def _check_team(self, when: str, observations: Mapping[Any, Any]) -> None:
        now = frozenset(self.environment.agents)
        changes = [
            *(f"`{name}` is there" for name in sorted(map(str, now - self._playing))),
            *(f"`{name}` is not" for name in sorted(map(str, self._playing - now))),
            *(f"`{name}` observes nothing" for name in sorted(map(str, self._playing - observations.keys()))),
        ]
        if not changes:
            return
        raise ConfigurationError(
            f"environment `{self._id}`",
            cause=f"after {when} its `agents` are not those whose part goes on: {', '.join(changes)}",
            remedy="Start with all of `possible_agents`, and drop from `agents` exactly those that were terminated or "
            "truncated; `pettingzoo.test.parallel_api_test` checks it.",
        )


def _mask(observation: Any, info: Mapping[str, Any]) -> Any:
    """The action mask in an agent's info or, as in PettingZoo's board games, in its observation."""
    if "action_mask" in info:
        return info["action_mask"]
    return observation.get("action_mask") if isinstance(observation, Mapping) else None


def _make(environment_id: str, arguments: Mapping[str, Any], trusted: bool | None) -> Any:
    what = f"environment `{environment_id}`"
    if not _ID.fullmatch(environment_id):
        raise ConfigurationError(
            what, cause="this is no name of a module", remedy="Write `package.module` or `package.module:function`."
        )
    module_name, colon, function_name = environment_id.partition(":")
    if colon or not module_name.startswith(KNOWN_PACKAGES):
        require_trust(environment_id, f"making it imports `{module_name}`", trusted=trusted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a package imports warns about other packages
            module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            what,
            cause=f"`{module_name}` cannot be imported ({error})",
            remedy="Install its package, or set PYTHONPATH to the folder in which it stands.",
        ) from error
    function = getattr(module, function_name or "parallel_env", None)
    if not callable(function):
        raise ConfigurationError(
            what,
            cause=f"`{module_name}` has no function `{function_name or 'parallel_env'}`",
            remedy="Name the function that makes the parallel environment: `package.module:function`.",
        )
    try:
        environment = function(**arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"{what} with {dict(arguments)}",
            cause=f"it cannot be made ({error})",
            remedy="Correct the `arguments` of the task's environment.",
        ) from error
    lacking = [
        name for name in ("possible_agents", "observation_space", "action_space") if not hasattr(environment, name)
    ]
    if lacking or hasattr(environment, "agent_iter"):
        raise ConfigurationError(
            what,
            cause="it has no parallel interface" + (f": `{lacking[0]}` is missing" if lacking else ""),
            remedy="Name the function that makes the parallel environment; for one in which agents take turns, wrap it "
            "with `pettingzoo.utils.aec_to_parallel`.",
        )
    return environment
