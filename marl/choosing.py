"""How scores of actions become actions: the best one, one at random now and then, or one drawn from the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from qredit.marl.kernels.acting import explore

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose: TypeAlias = "Callable[[NDArray[np.float32], NDArray[np.bool_], np.random.Generator], NDArray[np.int64]]"
"""From scores `[B, N, A]` (values or logits) and available actions `[B, N, A]` to actions `[B, N]`.

The random numbers are for this alone: more may be drawn than one step needs.
"""
_AHEAD = 16
"""Steps whose random numbers are drawn at once: a call of numpy takes longer than the numbers."""


def greedy(
    scores: NDArray[np.floating], available: NDArray[np.bool_], rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """The available action with the largest score."""
    best: NDArray[np.int64] = np.where(available, scores, -np.inf).argmax(axis=-1)
    return best


def epsilon_greedy(epsilon: float) -> Choose:
    """With probability `epsilon`, per agent and step, a random available action, else the greedy one.

    What is returned is for one collection.
    """
    if epsilon == 0:
        return greedy
    drawn: Iterator[NDArray[np.float64]] = iter(())

    def choose(
        scores: NDArray[np.float32], available: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        nonlocal drawn
        environments, agents, n_actions = scores.shape
        numbers = next(drawn, None)
        if numbers is None:
            drawn = iter(rng.random((_AHEAD, environments * agents * (1 + n_actions))))
            numbers = next(drawn)
        actions = np.empty((environments, agents), dtype=np.int64)
        explore(scores, available, numbers, epsilon, actions)
        return actions

    return choose


def sampled(scores: NDArray[np.float32], available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """An action drawn from the softmax of the scores over the available actions, by the Gumbel-max trick."""
    return greedy(scores + rng.gumbel(size=scores.shape), available)
