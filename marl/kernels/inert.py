"""Passengers in a compiled batch, see `InertAgents`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.environments.inert import InertAgents
from qredit.marl.kernels.batch import CompiledBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environment import TimeStep


class InertBatch:
    """A compiled batch with passengers at the end of each team; a `BatchedEnvironment`.

    Args:
        simulator: the simulator with passengers, which gives the sizes.
        inner: its world, compiled, without them.
    """

    def __init__(self, simulator: InertAgents, inner: CompiledBatch) -> None:
        self.inner = inner
        self.layout = simulator.layout
        self.n_environments = inner.n_environments
        self.n_agents = simulator.n_agents
        self.n_actions = inner.n_actions
        self.observation_size = inner.observation_size
        self.time_limit = inner.time_limit
        self._real = inner.n_agents
        self._model = simulator.model
        b, n = self.n_environments, self.n_agents
        self._observations = np.zeros((b, n, self.observation_size), dtype=np.float32)
        self._states = np.zeros((b, self.layout.size), dtype=np.float32)
        self._states[:, inner.layout.size :] = simulator.active
        self._available = np.ones((b, n, self.n_actions), dtype=np.bool_)
        self._agent_rewards = np.zeros((b, n), dtype=np.float32)

    def reset(self, seeds: Sequence[int]) -> TimeStep:
        """Start an episode in the first `len(seeds)` environments; the others count as ended."""
        return self._with_passengers(self.inner.reset(seeds))

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step with `actions [B, N]`; those of passengers go nowhere."""
        return self._with_passengers(self.inner.step(actions[:, : self._real]))

    def _with_passengers(self, now: TimeStep) -> TimeStep:
        np.take(now.observations, self._model, axis=1, out=self._observations)
        self._states[:, : now.states.shape[1]] = now.states
        self._agent_rewards[:, : self._real] = now.agent_rewards
        return replace(
            now,
            observations=self._observations,
            states=self._states,
            available_actions=self._available,
            agent_rewards=self._agent_rewards,
        )
