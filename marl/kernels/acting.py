"""Acting without torch: the agents' network and the choice of actions for the few rows of one step.

A call of torch takes longer than the arithmetic of eight environments; these kernels take what the arithmetic takes.

Shapes: `R = B * N` rows, `N` agents, `O` observation, `H` hidden, `A` actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qredit.marl.kernels.compiling import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_TOGETHER = 4
"""Rows that are multiplied together, so that each weight is read once for all of them."""


class Layers(NamedTuple):
    """The weights of an `AgentNetwork` without memory, inputs first, so that inner loops run over outputs."""

    encoder: Floats
    """`[O, H]`"""
    encoder_bias: Floats
    """That of the layer and the agent's own, `[N, H]`."""
    middle: Floats
    """`[H, H]`"""
    middle_bias: Floats
    """The same for all agents, `[N, H]`."""
    head: Floats
    """`[H, A]`"""
    head_bias: Floats
    """`[N, A]`"""


@kernel
def scores_of(layers: Layers, observations: Floats, hidden: Floats, hidden_2: Floats, scores: Floats) -> None:
    """Write the scores `[R, A]` of observations `[R, O]`.

    Args:
        layers: the weights.
        observations: rows of environments, within them of agents.
        hidden: room, `[R, H]`.
        hidden_2: the same.
        scores: are written.
    """
    _layer(layers.encoder, layers.encoder_bias, observations, hidden, True)
    _layer(layers.middle, layers.middle_bias, hidden, hidden_2, True)
    _layer(layers.head, layers.head_bias, hidden_2, scores, False)


@kernel
def _layer(weights: Floats, bias: Floats, inputs: Floats, outputs: Floats, rectified: bool) -> None:
    """`outputs [R, Y] = inputs [R, X] @ weights [X, Y] + bias [r mod N, Y]`, rectified or not."""
    rows, n_in, n_out, n = inputs.shape[0], weights.shape[0], weights.shape[1], bias.shape[0]
    whole = rows - rows % _TOGETHER
    for first in range(0, whole, _TOGETHER):
        for r in range(first, first + _TOGETHER):
            for y in range(n_out):
                outputs[r, y] = bias[r % n, y]
        for x in range(n_in):
            a, b, c, d = inputs[first, x], inputs[first + 1, x], inputs[first + 2, x], inputs[first + 3, x]
            for y in range(n_out):
                w = weights[x, y]
                outputs[first, y] += a * w
                outputs[first + 1, y] += b * w
                outputs[first + 2, y] += c * w
                outputs[first + 3, y] += d * w
    for r in range(whole, rows):
        for y in range(n_out):
            outputs[r, y] = bias[r % n, y]
        for x in range(n_in):
            a = inputs[r, x]
            for y in range(n_out):
                outputs[r, y] += a * weights[x, y]
    if rectified:
        for r in range(rows):
            for y in range(n_out):
                outputs[r, y] = max(outputs[r, y], np.float32(0))


@kernel
def explore(
    scores: Floats,
    available: NDArray[np.bool_],
    numbers: NDArray[np.float64],
    epsilon: float,
    actions: NDArray[np.int64],
) -> None:
    """Choose actions `[B, N]`: with probability `epsilon` a random available one, else that with the largest score.

    Args:
        scores: of all actions, `[B, N, A]`.
        available: which there are, `[B, N, A]`.
        numbers: uniform random numbers; `[B * N]` that say who explores, then `[B * N * A]` whose largest wins.
        epsilon: exploration rate.
        actions: are written.
    """
    b_all, n_all, a_all = scores.shape
    for b in range(b_all):
        for i in range(n_all):
            row = b * n_all + i
            explores, ranks = numbers[row] < epsilon, (b_all * n_all) + row * a_all
            chosen, highest = 0, -np.inf
            for a in range(a_all):
                if available[b, i, a]:
                    rank = numbers[ranks + a] if explores else np.float64(scores[b, i, a])
                    if rank > highest:
                        chosen, highest = a, rank
            actions[b, i] = chosen


def compile_acting() -> None:
    """Compile what scores and chooses actions, by doing so once."""
    one = np.zeros((1, 1), dtype=np.float32)
    scores_of(Layers(one, one, one, one, one, one), one, one.copy(), one.copy(), one.copy())
    explore(one[None], np.ones((1, 1, 1), dtype=np.bool_), np.zeros(2), 0.5, np.zeros((1, 1), dtype=np.int64))
