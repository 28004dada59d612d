"""A simulator whose true credit is known by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.layout import StateField, StateLayout
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

Joint = tuple[int, ...]
Payoff = Callable[[Joint, tuple[Joint, ...]], float]
"""(joint action, all joint actions of the episode before it) -> the team's reward."""


@dataclass(frozen=True)
class _Saved:
    history: tuple[Joint, ...]
    generator: Mapping[str, Any]


class ToySimulator:
    """`N` agents with `A` actions and a payoff; the script takes action 0, or a random one if it is `erratic`."""

    def __init__(
        self,
        payoff: Payoff,
        *,
        n_agents: int = 2,
        n_actions: int = 3,
        time_limit: int = 1,
        noise: float = 0.0,
        available: Sequence[Sequence[bool]] | None = None,
        erratic: bool = False,
    ) -> None:
        self.payoff, self.noise, self.erratic = payoff, noise, erratic
        self.n_agents, self.n_actions, self.time_limit, self.observation_size = n_agents, n_actions, time_limit, 1
        self.layout = StateLayout(
            (StateField("last", (n_agents,), "action number", -1, n_actions - 1, "Last actions."),)
        )
        self.history: tuple[Joint, ...] = ()
        self._available = np.ones((n_agents, n_actions), dtype=np.bool_) if available is None else np.array(available)
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self.history, self._rng = (), np.random.default_rng(seed)

    def step(self, actions: Sequence[int]) -> StepResult:
        """The payoff, plus noise of the simulator's own, to agent 0."""
        joint = tuple(actions)
        assert self._available[range(self.n_agents), list(joint)].all()
        reward = self.payoff(joint, self.history) + self.noise * self._rng.standard_normal()
        self.history += (joint,)
        rewards = (float(reward), *[0.0] * (self.n_agents - 1))
        return StepResult(rewards, False, len(self.history) >= self.time_limit)

    def state(self) -> NDArray[np.float32]:
        """The last joint action."""
        return np.array(self.history[-1] if self.history else [-1] * self.n_agents, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """Nothing."""
        return np.zeros((self.n_agents, 1), dtype=np.float32)

    def available_actions(self) -> NDArray[np.bool_]:
        """As given."""
        return self._available.copy()

    def save(self) -> _Saved:
        """History and generator."""
        return _Saved(self.history, self._rng.bit_generator.state)

    def restore(self, snapshot: _Saved) -> None:
        """Go back."""
        self.history = snapshot.history
        self._rng.bit_generator.state = snapshot.generator

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Action 0, or whatever the generator gives."""
        return rng.integers(self.n_actions, size=self.n_agents).tolist() if self.erratic else [0] * self.n_agents
