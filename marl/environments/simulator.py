"""One environment of a team: what an adapter implements, and all that the rest of the room knows about it.

Shapes: `N` agents, `O` observation, `S` state, `A` actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from qredit.marl.environment import Sized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Snapshot: TypeAlias = Any
"""All that decides an environment's future, its random generators included. Only its own adapter reads it."""


@dataclass(frozen=True)
class StepResult:
    """What one step brought."""

    agent_rewards: tuple[float, ...]
    """The environment's own reward of each agent, `[N]`; the team's reward is their SUM."""
    terminated: bool
    """The world has ended: no value follows."""
    truncated: bool
    """The time limit cut the episode off, and the world had not ended: learners bootstrap from the state."""


class Simulator(Sized, Protocol):
    """One environment. An episode is a function of its seed and of the actions alone, whatever was played before."""

    def reset(self, seed: int) -> None:
        """Start an episode."""
        ...

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`."""
        ...

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`, in the order of the layout; a new array."""
        ...

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`; a new array."""
        ...

    def available_actions(self) -> NDArray[np.bool_]:
        """Which actions each agent may choose, `[N, A]`."""
        ...

    def save(self) -> Snapshot:
        """A copy of all that decides the future; it survives later steps, and may be restored many times."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this simulator, or of another one of the same environment."""
        ...

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Actions of a simple scripted team that earns rewards far more often than chance, `[N]`.

        It looks at the simulator itself. Probe states and counterfactual credit come from it, so that they are about
        situations that matter; no algorithm trains with it.
        """
        ...
