"""The random policy: exploration, and the lowest line in every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.adapters import make_environment
from qredit.marl.streams import Stream, episode_seeds, generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.task import Task

N_ENVIRONMENTS = 16


def random_actions(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Uniformly random available actions `[..., N]` for `available [..., N, A]`."""
    return largest_available(available, rng.random(available.shape))


def largest_available(available: NDArray[np.bool_], numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The available action with the largest of the positive `numbers`, `[..., N]` for arrays `[..., N, A]`."""
    chosen: NDArray[np.int64] = (numbers * available).argmax(axis=-1)
    return chosen


def random_policy_returns(task: Task, *, episodes: int, seed: int) -> NDArray[np.float64]:
    """Undiscounted team return of each of `episodes` episodes of the random policy, `[episodes]`.

    The episodes are the very ones that every algorithm is evaluated on.
    """
    environment = make_environment(task, min(N_ENVIRONMENTS, episodes))
    rng = generator(Stream.RANDOM_POLICY, seed)
    returns: list[NDArray[np.float64]] = []
    for first in range(0, episodes, environment.n_environments):
        count = min(environment.n_environments, episodes - first)
        now = environment.reset(episode_seeds(Stream.EVALUATION_EPISODES, 0, first, count))
        total = np.zeros(environment.n_environments)
        while not now.ended.all():
            now = environment.step(random_actions(now.available_actions, rng))
            total += now.rewards
        returns.append(total[:count])
    return np.concatenate(returns)
