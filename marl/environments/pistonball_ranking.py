"""The heuristic ranker of Pistonball: which of two states is better for one piston, as a person would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AFTER, BEFORE, UNSURE = 1.0, 0.0, 0.5
NEAR = 1.5
"""Widths of a piston between its middle and the ball's, up to which it acts on the ball or soon will."""
ROLLED = 0.05
"""Widths of a piston by which the ball has to move in a step for that to decide."""


def rank(
    heights: NDArray[np.floating],
    next_heights: NDArray[np.floating],
    edges: NDArray[np.floating],
    ball: tuple[float, float],
    ego: int,
) -> float:
    """Whether the state after a step is better from the ego's point of view: 1, 0, or 1/2 for unsure.

    A ball that has come nearer to the left wall is better for all, one that has gone away worse. Where it has hardly
    moved, a piston whose left edge is right of the ball's middle should rise and push it, that under the middle and
    those left of it should make way. One that is far from the ball has no part in what happens.

    Args:
        heights: of the pistons before the step, `[N]`, in pixels.
        next_heights: after it.
        edges: left edges of the pistons, `[N]`, in pixels.
        ball: where the ball's middle was before the step, and after it.
        ego: number of the piston.
    """
    (x, next_x), width = ball, edges[1] - edges[0]
    if abs(next_x - x) > ROLLED * width:
        return AFTER if next_x < x else BEFORE
    if abs(edges[ego] + width / 2 - x) > NEAR * width or next_heights[ego] == heights[ego]:
        return UNSURE
    rises = next_heights[ego] > heights[ego]
    return AFTER if rises == (edges[ego] > x) else BEFORE
