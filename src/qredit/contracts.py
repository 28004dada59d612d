"""Types that several rooms share without knowing each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    States = NDArray[np.float32]
    """Global states, `[M, S]`, float32."""
