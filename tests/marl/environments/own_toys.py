"""Environments as a user might write them, some of them with a mistake."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Sequence, Space, Tuple
from gymnasium.utils import EzPickle
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

SHARED = random.Random(0)
AGENTS = ["ann", "bob", "cat"]


class Relay(ParallelEnv):  # type: ignore[misc]
    """Three agents of different make on a line; a script says who ends when.

    An agent's reward is its action, counted as its space counts, plus 10 times its number; the state is the step, what
    everyone chose last, and a number drawn in each step.
    """

    metadata = {"name": "relay"}  # noqa: RUF012

    def __init__(self, deaths: str = "", cuts: str = "", masked: bool = False, limit: int = 1000) -> None:
        self.possible_agents = list(AGENTS)
        self.agents = list(AGENTS)
        self.max_cycles = limit
        self.deaths, self.cuts, self.masked = _script(deaths), _script(cuts), masked
        self.moves: list[dict[str, int]] = []
        """The actions of each step, as they arrived."""
        self.steps = self.luck = 0
        self.last = dict.fromkeys(AGENTS, -1)
        self.rng = np.random.default_rng(0)

    def observation_space(self, agent: str) -> Space[Any]:
        return {"ann": Box(0, 9, (2,)), "bob": Box(-1, 50, (1, 3)), "cat": Discrete(4)}[agent]

    def action_space(self, agent: str) -> Space[Any]:
        return {"ann": Discrete(2), "bob": Discrete(3, start=5), "cat": Discrete(2)}[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents = list(AGENTS)
        self.rng = np.random.default_rng(seed)
        self.steps = self.luck = 0
        self.last = dict.fromkeys(AGENTS, -1)
        return self.seen(), self.infos()

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        self.moves.append(dict(actions))
        self.steps += 1
        self.luck = int(self.rng.integers(5))
        self.last |= {agent: int(action) for agent, action in actions.items()}
        rewards = {agent: float(action + 10 * AGENTS.index(agent)) for agent, action in actions.items()}
        terminated = {agent: self.deaths.get(agent) == self.steps for agent in self.agents}
        over = self.steps >= self.max_cycles
        truncated = {agent: over or self.cuts.get(agent) == self.steps for agent in self.agents}
        seen, infos = self.seen(), self.infos()
        self.agents = [a for a in self.agents if not (terminated[a] or truncated[a])]
        return seen, rewards, terminated, truncated, infos

    def state(self) -> np.ndarray[Any, Any]:
        return np.array([[self.steps, self.luck], *([self.last[a], 0] for a in AGENTS)])

    def seen(self) -> dict[str, Any]:
        full = {"ann": np.array([self.steps, 1.0]), "bob": np.array([[self.luck, 7, -1]]), "cat": self.steps % 4}
        return {agent: full[agent] for agent in self.agents}

    def infos(self) -> dict[str, Any]:
        return {
            agent: {"action_mask": np.array([0, 1, 0])} if self.masked and agent == "bob" else {} for agent in AGENTS
        }


def _script(text: str) -> dict[str, int]:
    """`ann 2 bob 3` as data."""
    words = text.split()
    return {agent: int(step) for agent, step in zip(words[::2], words[1::2], strict=True)}


parallel_env = Relay


class Stateless(Relay):
    """It has no state."""

    def state(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError


class Vanishing(Relay):
    """An agent leaves without a word."""

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        told = super().step(actions)
        self.agents = [agent for agent in self.agents if agent != "bob"]
        return told


class Reviving(Relay):
    """The dead come back."""

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        told = super().step(actions)
        self.agents = list(AGENTS)
        return told


class Late(Relay):
    """Not everyone is there at the start."""

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        told = super().reset(seed)
        self.agents = AGENTS[:2]
        return told


class Blind(Relay):
    """It shows nothing to an agent that plays on."""

    def seen(self) -> dict[str, Any]:
        return {agent: what for agent, what in super().seen().items() if agent != "ann" or self.steps == 0}


class WrongMask(Relay):
    """Its masks are those of another agent, or allow nothing."""

    def __init__(self, mask: str = "11") -> None:
        super().__init__()
        self.mask = [int(digit) for digit in mask]

    def infos(self) -> dict[str, Any]:
        return {"bob": {"action_mask": self.mask}}


class Wide(Relay):
    """It shows more than it says."""

    def seen(self) -> dict[str, Any]:
        return {**super().seen(), "ann": np.zeros(5)}


class Locked(Relay):
    """It holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Wild(Relay):
    """Its luck comes from a generator that all share."""

    def seen(self) -> dict[str, Any]:
        self.luck = SHARED.randrange(10**6)
        return super().seen()


class Rebuilt(Relay, EzPickle):
    """A copy of it would be a new one; it stands behind another, as the official ones do."""

    def __init__(self, deaths: str = "") -> None:
        EzPickle.__init__(self, deaths)
        super().__init__(deaths)


def behind_another() -> BaseParallelWrapper:
    """The one that is rebuilt, in two wrappers."""
    return BaseParallelWrapper(BaseParallelWrapper(Rebuilt()))


class Steering(Relay):
    """An agent steers with a number that is no choice."""

    def action_space(self, agent: str) -> Space[Any]:
        return Box(0, 1, (1,))


class Reading(Relay):
    """An agent observes a list of any length."""

    def observation_space(self, agent: str) -> Space[Any]:
        return Sequence(Discrete(3))


class Board(Relay):
    """Masks stand in the observation."""

    def observation_space(self, agent: str) -> Space[Any]:
        return gymnasium.spaces.Dict({"observation": Box(0, 9, (2,)), "action_mask": Box(0, 1, (2,), np.int8)})

    def action_space(self, agent: str) -> Space[Any]:
        return Discrete(2)

    def seen(self) -> dict[str, Any]:
        entry = {"observation": np.array([3.0, 4.0]), "action_mask": np.array([0, 1], dtype=np.int8)}
        return dict.fromkeys(self.agents, entry)


class Turns(AECEnv):  # type: ignore[misc]
    """Agents take turns."""

    possible_agents = AGENTS


class Pair(gymnasium.Env[Any, Any]):
    """Two agents behind gymnasium's interface; the reward is the sum of the actions, or one for each."""

    def __init__(self, multi: bool = False, rewards: str = "sum", masked: bool = False) -> None:
        self.action_space = MultiDiscrete([2, 3]) if multi else Tuple([Discrete(2), Discrete(3, start=1)])
        self.observation_space = Tuple([Box(0, 9, (2, 2)), Box(-5, 5, (3,))])
        self.rewards, self.masked = rewards, masked
        self.steps = 0
        self.last: Any = None

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.luck = int(self.np_random.integers(5))
        return self.seen(), self.info()

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.steps += 1
        self.last = action
        each = [float(number) for number in action]
        reward: Any = {"sum": sum(each), "each": each, "array": np.array(each), "three": [1, 2, 3]}[self.rewards]
        done = self.steps == 4
        return self.seen(), reward, [done, done] if self.rewards == "each" else done, False, self.info()

    def seen(self) -> Any:
        return np.full((2, 2), self.steps, np.float32), np.full(3, self.luck, np.float32)

    def info(self) -> dict[str, Any]:
        return {"action_mask": ([1, 0], [1, 0, 1])} if self.masked else {}


class PairWithState(Pair):
    """It has a state of its own."""

    def state(self) -> list[int]:
        return [self.steps, self.luck, 7]


class SharedView(Pair):
    """Both agents see the same array."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(0, 9, (2, 2))


class Hermit(gymnasium.Env[Any, Any]):
    """One agent; `state` is an attribute, as in CartPole, and no method."""

    def __init__(self) -> None:
        self.action_space = Discrete(3, start=-1)
        self.observation_space = Box(-1, 1, (2,))
        self.state = np.zeros(4)
        self.last = 0

    def get_action_meanings(self) -> list[str]:
        return ["LEFT", "STAY", "RIGHT"]

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {"action_mask": [1, 1, 0]}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.last = action
        return np.ones(2, np.float32), 3.0, False, False, {}
