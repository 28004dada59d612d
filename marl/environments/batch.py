"""Simulators behind the batched interface of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qredit.errors import ConfigurationError
from qredit.marl.environment import TimeStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.layout import StateLayout
    from qredit.marl.environments.simulator import Simulator


class SimulatorBatch:
    """`B` simulators of one environment that step one after the other in this thread; a `BatchedEnvironment`.

    Args:
        simulators: of the same environment.
        mask_actions: whether their available actions are shown; else all are.
    """

    def __init__(self, simulators: Sequence[Simulator], *, mask_actions: bool = True) -> None:
        self.simulators = tuple(simulators)
        self._mask_actions = mask_actions
        first = self.simulators[0]
        self.layout: StateLayout = first.layout
        self.n_environments = len(self.simulators)
        self.n_agents = first.n_agents
        self.n_actions = first.n_actions
        self.observation_size = first.observation_size
        self.time_limit = first.time_limit
        b, n = self.n_environments, self.n_agents
        self._now = TimeStep(
            observations=np.zeros((b, n, self.observation_size), dtype=np.float32),
            states=np.zeros((b, self.layout.size), dtype=np.float32),
            available_actions=np.ones((b, n, self.n_actions), dtype=np.bool_),
            rewards=np.zeros(b, dtype=np.float32),
            agent_rewards=np.zeros((b, n), dtype=np.float32),
            terminated=np.zeros(b, dtype=np.bool_),
            truncated=np.ones(b, dtype=np.bool_),
        )

    def reset(self, seeds: Sequence[int]) -> TimeStep:
        """Start an episode in the first `len(seeds)` environments; the others count as ended."""
        now = self._now
        now.rewards.fill(0)
        now.agent_rewards.fill(0)
        now.terminated.fill(False)
        now.truncated.fill(True)
        for b, seed in enumerate(seeds):
            self.simulators[b].reset(int(seed))
            now.truncated[b] = False
            self._show(b)
        return now

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step the environments whose episode is not over with `actions [B, N]`.

        Raises:
            ConfigurationError: an environment shows arrays of other sizes than before.
        """
        now = self._now
        now.rewards.fill(0)
        now.agent_rewards.fill(0)
        for b in np.flatnonzero(~now.ended).tolist():
            result = self.simulators[b].step(actions[b].tolist())
            if len(result.agent_rewards) != self.n_agents:
                raise _changed("rewards", (len(result.agent_rewards),), (self.n_agents,))
            now.agent_rewards[b] = result.agent_rewards
            now.rewards[b] = sum(result.agent_rewards)
            now.terminated[b] = result.terminated
            now.truncated[b] = result.truncated
            self._show(b)
        return now

    def _show(self, b: int) -> None:
        simulator, now = self.simulators[b], self._now
        for what, array, seen in (
            ("state", now.states, simulator.state()),
            ("observations", now.observations, simulator.observations()),
            ("available actions", now.available_actions, simulator.available_actions()),
        ):
            if seen.shape != array.shape[1:]:  # numpy would stretch some of these without a word
                raise _changed(what, seen.shape, array.shape[1:])
            if array is not now.available_actions or self._mask_actions:
                array[b] = seen


def _changed(what: str, now: tuple[int, ...], before: tuple[int, ...]) -> ConfigurationError:
    return ConfigurationError(
        f"{what} of the environment",
        cause=f"their shape is {now} now, the environment began with {before}",
        remedy="Keep the number of agents and all sizes fixed: show an agent whose part is over zeros and one action.",
    )
