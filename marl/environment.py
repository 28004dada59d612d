"""The batched interface of every environment.

Shapes: `B` environments, `N` agents, `O` observation, `S` state, `A` actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.layout import StateLayout


@dataclass(frozen=True)
class TimeStep:
    """What all environments show after a reset or a step.

    The arrays belong to the environment and are overwritten by its next step: copy what is to be kept.
    """

    observations: NDArray[np.float32]
    """`[B, N, O]`"""
    states: NDArray[np.float32]
    """Global state for credit, `[B, S]`."""
    available_actions: NDArray[np.bool_]
    """`[B, N, A]`"""
    rewards: NDArray[np.float32]
    """Team reward of the step, the SUM of the agents' rewards, `[B]`."""
    agent_rewards: NDArray[np.float32]
    """The environment's own reward per agent, `[B, N]`."""
    terminated: NDArray[np.bool_]
    """The world has ended: no value follows, `[B]`."""
    truncated: NDArray[np.bool_]
    """The time limit cut the episode off: learners bootstrap from this state, `[B]`."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Whether the episode is over, `[B]`."""
        return self.terminated | self.truncated


class Sized(Protocol):
    """What never changes about an environment, one or many copies of it."""

    @property
    def layout(self) -> StateLayout:
        """The named fields of the state `[S]`."""
        ...

    @property
    def n_agents(self) -> int:
        """`N`."""
        ...

    @property
    def n_actions(self) -> int:
        """`A`."""
        ...

    @property
    def observation_size(self) -> int:
        """`O`."""
        ...

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut off."""
        ...


class BatchedEnvironment(Sized, Protocol):
    """`B` copies of an environment that are reset together and step together.

    There is no automatic reset: an environment whose episode is over ignores its actions, keeps its arrays and gives
    reward 0 until all are reset. Each episode is a function of its seed alone, whatever was played before.
    """

    @property
    def n_environments(self) -> int:
        """`B`."""
        ...

    def reset(self, seeds: Sequence[int]) -> TimeStep:
        """Start an episode in the first `len(seeds)` environments; the others count as ended."""
        ...

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step with `actions [B, N]`."""
        ...
