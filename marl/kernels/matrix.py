"""Repeated matrix games, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import prange

from qredit.marl.environments.matrix import N_AGENTS, NO_ACTION_YET, MatrixGame, Saved
from qredit.marl.kernels.batch import CompiledBatch, Shown, on_threads
from qredit.marl.kernels.compiling import loops
from qredit.marl.kernels.inlining import inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CompiledMatrixGame(CompiledBatch):
    """Compiled matrix games.

    Args:
        simulator: the game, which gives the payoffs.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """

    def __init__(self, simulator: MatrixGame, n_environments: int, *, n_threads: int = 1) -> None:
        super().__init__(simulator, n_environments)
        self._payoff = simulator.payoff
        self._steps = np.zeros(n_environments, dtype=np.int64)
        self.shown.observations[:] = simulator.observations()
        self._step_all = on_threads(n_threads, step_all, step_all_threaded)

    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        """Episodes start alike, whatever the seed."""
        count = len(seeds)
        self._steps[:count] = 0
        self.shown.states[:count] = NO_ACTION_YET
        self.shown.truncated[:count] = False

    def _step(self, actions: NDArray[np.int64]) -> None:
        self._step_all(self._payoff, self._steps, self.time_limit, actions, self.shown)

    def load(self, b: int, snapshot: Saved) -> None:
        """Bring environment `b` to a snapshot of the simulator, and show it."""
        self._steps[b] = snapshot.steps
        self.shown.states[b] = snapshot.last
        self.shown.truncated[b] = False

    def save(self, b: int) -> Saved:
        """Environment `b` as a snapshot that the simulator can restore."""
        row, column = (int(action) for action in self.shown.states[b])
        return Saved(int(self._steps[b]), (row, column))


def _step_all(
    payoff: NDArray[np.float32], steps: NDArray[np.int64], time_limit: int, actions: NDArray[np.int64], shown: Shown
) -> None:
    for b in prange(len(actions)):
        _step_one(payoff, steps, time_limit, b, actions, shown)


@inlined
def _step_one(
    payoff: NDArray[np.float32],
    steps: NDArray[np.int64],
    time_limit: int,
    b: int,
    actions: NDArray[np.int64],
    shown: Shown,
) -> None:
    reward = 0.0
    if not shown.truncated[b]:
        steps[b] += 1
        reward = payoff[actions[b, 0], actions[b, 1]]
        for i in range(N_AGENTS):
            shown.states[b, i] = actions[b, i]
        shown.truncated[b] = steps[b] >= time_limit
    shown.rewards[b] = reward
    for i in range(N_AGENTS):
        shown.agent_rewards[b, i] = reward / N_AGENTS


step_all, step_all_threaded = loops(_step_all)
