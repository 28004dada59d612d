"""Probes: what generated programs are tried on. Real transitions of rollouts and, where a simulator told it, the
credit that each agent truly has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.contracts import States


@dataclass(frozen=True)
class Probes:
    """`M` states of rollouts, and what is known about them."""

    states: States
    """`[M, S]`, float32."""
    actions: NDArray[np.int64] | None = None
    """What the agents did there, `[M, N]`; `None` when only states are known."""
    next_states: States | None = None
    """The states that followed, `[M, S]`."""
    rewards: NDArray[np.float32] | None = None
    """The team's reward of each step, `[M]`."""
    true_credit: NDArray[np.float32] | None = None
    """Each agent's share in the variance of the return, `[M, N]`, found by varying its action in the simulator. Rows
    sum to 1; a row of NaN is a state in which it is not known, or in which no agent's action matters."""
