"""How much an action matters: the variance of the expected return over actions, out of a few noisy returns.

The mean of `K` returns is noisy, and the variance of noisy means is too large. Products of two DIFFERENT continuations
are not: the estimate is the covariance over actions of continuations `k` and `l`, averaged over all pairs `k != l`
(what two halves of the continuations give, averaged over all halvings). It can be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class ActionVariance:
    """Estimates of `Var_a E_k[G_k(a)]` for one agent."""

    value: float
    """From all continuations; without bias, so it can be negative."""
    without: NDArray[np.float64]
    """With one continuation left out, `[K]`."""


def action_variance(returns: NDArray[np.float64]) -> ActionVariance:
    """The variance over actions (uniform) of the expected return, from `returns [K, A]`, `K >= 3`.

    Actions whose returns are equal in every continuation give exactly 0.
    """
    k, n_actions = returns.shape
    # Against the first action first: differences of equal numbers are exactly 0, differences from their mean are not.
    centred = returns - returns[:, :1]
    centred = centred - centred.mean(axis=1, keepdims=True)
    total, squares = centred.sum(axis=0), np.square(centred).sum(axis=1)  # [A], [K]
    value = (np.square(total).sum() - squares.sum()) / (k * (k - 1) * n_actions)
    rest = np.square(total - centred).sum(axis=1) - (squares.sum() - squares)  # [K]
    return ActionVariance(float(value), rest / ((k - 1) * (k - 2) * n_actions))


def standard_error(variances: Sequence[ActionVariance]) -> float:
    """Standard error of the sum of several agents' values, by the jackknife over continuations."""
    sums = np.sum([variance.without for variance in variances], axis=0)  # [K]
    return float(np.sqrt((len(sums) - 1) / len(sums) * np.square(sums - sums.mean()).sum()))
