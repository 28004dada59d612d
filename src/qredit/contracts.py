"""What one room asks of another: Protocols with one method, implemented in `marl` and passed in by `qredit.api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.layout import StateLayout

    States = NDArray[np.float32]
    """Global states, `[M, S]`, float32."""


class StateSource(Protocol):
    """Where probe states come from."""

    def sample(self, n: int, seed: int) -> States:
        """`n` states `[n, S]` from rollouts of a random policy, the same for the same seed."""
        ...


class HasLayout(Protocol):
    """What knows the layout of its global state."""

    @property
    def layout(self) -> StateLayout:
        """The named fields of the state `[S]`."""
        ...
