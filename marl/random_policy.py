"""The random policy: a source of probe states, and the lowest line in every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.adapters import make_environment
from qredit.marl.streams import Stream, episode_seeds, generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.contracts import States
    from qredit.task import Task

N_ENVIRONMENTS = 16


@dataclass(frozen=True)
class RandomPolicyStates:
    """States that a random policy visits; a `qredit.contracts.StateSource`."""

    task: Task

    def sample(self, n: int, seed: int) -> States:
        """`n` states `[n, S]`, spread over the episodes of a random policy, the same for the same seed.

        More states than asked for are visited and a random part is kept, so that neighbours in time are rare.
        """
        environment = make_environment(self.task, N_ENVIRONMENTS)
        rng = generator(Stream.RANDOM_POLICY, seed)
        visited: list[NDArray[np.float32]] = []
        first_episode = 0
        while sum(len(part) for part in visited) < 4 * n:
            now = environment.reset(episode_seeds(Stream.PROBE_EPISODES, seed, first_episode, N_ENVIRONMENTS))
            first_episode += N_ENVIRONMENTS
            visited.append(now.states.copy())
            while not now.ended.all():
                alive = ~now.ended
                now = environment.step(random_actions(now.available_actions, rng))
                visited.append(now.states[alive].copy())
        states = np.concatenate(visited)
        return states[np.sort(rng.choice(len(states), n, replace=False))]


def random_actions(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Uniformly random available actions `[B, N]` for `available [B, N, A]`."""
    chosen: NDArray[np.int64] = (rng.random(available.shape) * available).argmax(axis=-1)
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
