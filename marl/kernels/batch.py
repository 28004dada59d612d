"""What compiled worlds share: arrays that kernels write, behind the batched interface of training.

Shapes: `B` environments, `N` agents, `O` observation, `S` state, `A` actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numba
import numpy as np

from qredit.errors import ConfigurationError
from qredit.marl.environment import TimeStep
from qredit.marl.kernels.compiling import kernel, usable_threads
from qredit.marl.kernels.random import WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.simulator import Simulator, Snapshot

Loop: TypeAlias = Callable[..., None]
LARGEST_SEED = 2**64 - 1


class Shown(NamedTuple):
    """The arrays of a `TimeStep` that kernels write; all but the available actions, which are all actions."""

    observations: NDArray[np.float32]
    """`[B, N, O]`"""
    states: NDArray[np.float32]
    """`[B, S]`"""
    rewards: NDArray[np.float32]
    """`[B]`"""
    agent_rewards: NDArray[np.float32]
    """`[B, N]`"""
    terminated: NDArray[np.bool_]
    """`[B]`"""
    truncated: NDArray[np.bool_]
    """`[B]`"""


class CompiledBatch(ABC):
    """`B` compiled copies of an official simulator; a `BatchedEnvironment`.

    A seed stands for the same episode as in the official simulator.

    Args:
        simulator: gives the sizes; it is not stepped.
        n_environments: `B`.
    """

    def __init__(self, simulator: Simulator, n_environments: int) -> None:
        self.layout = simulator.layout
        self.n_environments = n_environments
        self.n_agents = simulator.n_agents
        self.n_actions = simulator.n_actions
        self.observation_size = simulator.observation_size
        self.time_limit = simulator.time_limit
        b, n = n_environments, self.n_agents
        self.shown = Shown(
            observations=np.zeros((b, n, self.observation_size), dtype=np.float32),
            states=np.zeros((b, self.layout.size), dtype=np.float32),
            rewards=np.zeros(b, dtype=np.float32),
            agent_rewards=np.zeros((b, n), dtype=np.float32),
            terminated=np.zeros(b, dtype=np.bool_),
            truncated=np.ones(b, dtype=np.bool_),
        )
        self.generators = np.zeros((b, WORDS), dtype=np.uint64)
        """The random generator of each environment, see `random.py`."""
        self._now = TimeStep(available_actions=np.ones((b, n, self.n_actions), dtype=np.bool_), **self.shown._asdict())

    def reset(self, seeds: Sequence[int]) -> TimeStep:
        """Start an episode in the first `len(seeds)` environments; the others count as ended.

        Raises:
            ConfigurationError: a seed below 0 or above 2**64 - 1.
        """
        try:
            chosen = np.array(seeds, dtype=np.uint64)
        except OverflowError as error:
            raise ConfigurationError(
                f"seeds {list(seeds)} of episodes",
                cause=f"one of them is not between 0 and {LARGEST_SEED}",
                remedy="Take others.",
            ) from error
        shown = self.shown
        shown.rewards.fill(0)
        shown.agent_rewards.fill(0)
        shown.terminated.fill(False)
        shown.truncated.fill(True)
        self._reset(chosen)
        return self._now

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step the environments whose episode is not over with `actions [B, N]`.

        Raises:
            ConfigurationError: an action that does not exist.
        """
        chosen = np.ascontiguousarray(actions, dtype=np.int64)
        if chosen.shape != (self.n_environments, self.n_agents) or not _all_exist(chosen, self.n_actions):
            raise ConfigurationError(
                f"actions of shape {chosen.shape} from {chosen.min()} to {chosen.max()}",
                cause=f"expected [{self.n_environments}, {self.n_agents}] from 0 to {self.n_actions - 1}",
                remedy="Choose one of the available actions for every agent.",
            )
        self._step(chosen)
        return self._now

    @abstractmethod
    def _reset(self, seeds: NDArray[np.uint64]) -> None:
        """Start an episode in the first environments and show it; `truncated` becomes false there."""

    @abstractmethod
    def _step(self, actions: NDArray[np.int64]) -> None:
        """Step where no episode is over and show what came of it; elsewhere rewards become 0, the rest stays."""

    @abstractmethod
    def load(self, b: int, snapshot: Snapshot) -> None:
        """Bring environment `b` to a snapshot of the official simulator, and show it.

        The generator of the environment goes on where the simulator's stood.
        """

    @abstractmethod
    def save(self, b: int) -> Snapshot:
        """Environment `b` as a snapshot that the official simulator can restore."""


@kernel
def _all_exist(actions: NDArray[np.int64], n_actions: int) -> bool:
    for b in range(actions.shape[0]):
        for i in range(actions.shape[1]):
            if not 0 <= actions[b, i] < n_actions:
                return False
    return True


def on_threads(n_threads: int, one: Loop, several: Loop) -> Loop:
    """The loop over environments for so many threads.

    numba's threads are those of the whole process, and two threads of Python must not enter such loops at once: one
    batch of several threads per process, which is one training.

    Raises:
        ConfigurationError: there are not so many.
    """
    if not 1 <= n_threads <= usable_threads():
        raise ConfigurationError(
            f"{n_threads} threads",
            cause=f"kernels may use 1 to {usable_threads()} here",
            remedy="Take fewer, or set NUMBA_NUM_THREADS.",
        )
    if n_threads == 1:
        return one

    def threaded(*arguments: Any) -> None:
        numba.set_num_threads(n_threads)
        several(*arguments)

    return threaded


def load_generator(generator: NDArray[np.uint64], state: Any) -> None:
    """Bring a generator `[6]` to where numpy's stands, given as `bit_generator.state` of a PCG64."""
    half = 2**64
    position, increment = state["state"]["state"], state["state"]["inc"]
    generator[:] = [
        position // half,
        position % half,
        increment // half,
        increment % half,
        state["has_uint32"],
        state["uinteger"],
    ]


def generator_state(generator: NDArray[np.uint64]) -> dict[str, Any]:
    """The reverse of `load_generator`."""
    high, low, step_high, step_low, has_half, unused = (int(word) for word in generator)
    return {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": step_high << 64 | step_low},
        "has_uint32": has_half,
        "uinteger": unused,
    }
