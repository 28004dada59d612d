"""The arithmetic of one step of a GRU (Cho et al. 2014) besides its matrix products, forward and backward.

As in torch: `r = s(x_r + p_r)`, `z = s(x_z + p_z)`, `c = tanh(x_n + r p_n)`, `h' = c + z (h - c)`, where `x` is what
the inputs give, `p` what the state before gives, biases included, and `s` the logistic function.

Shapes: `R` rows, `H` hidden. Of the gates `[4, R, H]` the forward step keeps `r`, `z`, `c` and `p_n`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.compiling import fused_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_ONE, _HALF = np.float32(1), np.float32(0.5)
# A ratio of polynomials in x^2, so that the compiler does several numbers at once; it is off by 3e-7 at most.
_FLAT = np.float32(7.9)
"""Beyond this tanh is 1 in single precision."""
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(c)
    for c in (4.893525e-3, 6.3726193e-4, 1.4857224e-5, 5.122297e-8, -8.604672e-11, 2.000188e-13, -2.7607685e-16)
)
_Q0, _Q1, _Q2, _Q3 = (np.float32(c) for c in (4.893525e-3, 2.2684347e-3, 1.1853471e-4, 1.1982584e-6))


@fused_kernel
def tanh(x: np.float32) -> np.float32:
    """Hyperbolic tangent in single precision."""
    x = min(max(x, -_FLAT), _FLAT)
    s = x * x
    p = x * (_P0 + s * (_P1 + s * (_P2 + s * (_P3 + s * (_P4 + s * (_P5 + s * _P6))))))
    return p / (_Q0 + s * (_Q1 + s * (_Q2 + s * _Q3)))


@fused_kernel
def remember(x: Floats, p: Floats, before: Floats, after: Floats, gates: Floats) -> None:
    """Write the state `[R, H]` after a step, and the gates.

    Args:
        x: from the inputs, `[R, 3H]`.
        p: from the state before, `[R, 3H]`.
        before: that state, `[R, H]`.
        after: is written, `[R, H]`.
        gates: are written, `[4, R, H]`.
    """
    rows, size = before.shape
    for i in range(rows):
        for j in range(size):  # one loop per gate: several numbers at once
            gates[0, i, j] = _HALF + _HALF * tanh(_HALF * (x[i, j] + p[i, j]))
        for j in range(size):
            gates[1, i, j] = _HALF + _HALF * tanh(_HALF * (x[i, size + j] + p[i, size + j]))
        for j in range(size):
            gates[3, i, j] = p[i, 2 * size + j]
            gates[2, i, j] = tanh(x[i, 2 * size + j] + gates[0, i, j] * p[i, 2 * size + j])
        for j in range(size):
            after[i, j] = gates[2, i, j] + gates[1, i, j] * (before[i, j] - gates[2, i, j])


@fused_kernel
def remember_backward(
    loss_by_output: Floats,
    loss_by_after: Floats,
    before: Floats,
    gates: Floats,
    loss_by_x: Floats,
    loss_by_p: Floats,
    loss_by_before: Floats,
) -> None:
    """Write the gradients of one step.

    Args:
        loss_by_output: by the state after the step, as what stands above the GRU uses it, `[R, H]`.
        loss_by_after: by the same, as the next step uses it, `[R, H]`.
        before: the state before the step, `[R, H]`.
        gates: what `remember` wrote, `[4, R, H]`.
        loss_by_x: is written, `[R, 3H]`.
        loss_by_p: is written, `[R, 3H]`.
        loss_by_before: is written: by the state before, without what goes through `p`, `[R, H]`.
    """
    rows, size = before.shape
    for i in range(rows):
        for j in range(size):
            loss_by_before[i, j] = loss_by_output[i, j] + loss_by_after[i, j]
        for j in range(size):
            c = gates[2, i, j]
            loss_by_x[i, 2 * size + j] = loss_by_before[i, j] * (_ONE - gates[1, i, j]) * (_ONE - c * c)
        for j in range(size):
            r, by_c = gates[0, i, j], loss_by_x[i, 2 * size + j]
            loss_by_p[i, 2 * size + j] = by_c * r
            loss_by_x[i, j] = by_c * gates[3, i, j] * r * (_ONE - r)
        for j in range(size):
            z = gates[1, i, j]
            loss_by_x[i, size + j] = loss_by_before[i, j] * (before[i, j] - gates[2, i, j]) * z * (_ONE - z)
        for j in range(size):
            loss_by_before[i, j] *= gates[1, i, j]
        for j in range(2 * size):
            loss_by_p[i, j] = loss_by_x[i, j]
