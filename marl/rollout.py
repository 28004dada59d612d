"""Playing episodes: all environments step together, one forward pass for all environments and agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from qredit.marl.random_policy import random_actions
from qredit.marl.replay import Episodes
from qredit.marl.streams import Stream, episode_seeds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environment import BatchedEnvironment, TimeStep
    from qredit.marl.networks import AgentNetwork


class Collector:
    """Plays one episode per environment with an epsilon-greedy policy; its storage is used again by the next call.

    Args:
        environment: where to play.
        network: the agents' values.
        device: where the network is.
    """

    def __init__(self, environment: BatchedEnvironment, network: AgentNetwork, device: torch.device) -> None:
        self._environment = environment
        self._policy = GreedyPolicy(network, device)
        self._episodes = Episodes.zeros(environment.n_environments, environment)
        self._arrays = {name: tensor.numpy() for name, tensor in self._episodes.tensors().items()}

    def collect(self, seeds: Sequence[int], *, epsilon: float, rng: np.random.Generator) -> Episodes:
        """One episode per seed; valid until the next call.

        Args:
            seeds: one per environment.
            epsilon: probability, per agent and step, of a random action.
            rng: exploration's random numbers.
        """
        store = self._arrays
        for name in ("rewards", "terminated", "filled"):
            store[name].fill(0)
        now = self._environment.reset(seeds)
        self._policy.reset()
        t = 0
        self._see(now, 0)
        while not (ended := now.ended).all():
            actions = self._policy.act(now)
            explore = rng.random(actions.shape) < epsilon
            actions = np.where(explore, random_actions(now.available_actions, rng), actions)
            alive = ~ended
            now = self._environment.step(actions)
            store["actions"][:, t] = actions
            store["rewards"][:, t] = now.rewards
            store["terminated"][:, t] = now.terminated & alive
            store["filled"][:, t] = alive
            t += 1
            self._see(now, t)
        return self._episodes

    def _see(self, now: TimeStep, t: int) -> None:
        self._arrays["observations"][:, t] = now.observations
        self._arrays["states"][:, t] = now.states
        self._arrays["available_actions"][:, t] = now.available_actions


class GreedyPolicy:
    """Greedy actions of all agents in all environments."""

    def __init__(self, network: AgentNetwork, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._hidden: torch.Tensor | None = None

    def reset(self) -> None:
        """Forget what was seen before."""
        self._hidden = None

    def act(self, now: TimeStep) -> NDArray[np.int64]:
        """Best available actions `[B, N]`."""
        with torch.inference_mode():
            observations = torch.from_numpy(now.observations).to(self._device).unsqueeze(0)  # [1, B, N, O]
            values, self._hidden = self._network(observations, self._hidden)
            q = values[0].cpu().numpy()  # [B, N, A]
        best: NDArray[np.int64] = np.where(now.available_actions, q, -np.inf).argmax(axis=-1)
        return best


def greedy_returns(
    environment: BatchedEnvironment, network: AgentNetwork, *, episodes: int, device: torch.device
) -> NDArray[np.float64]:
    """Undiscounted team return of greedy episodes, `[episodes]`, on the seeds that all algorithms share."""
    policy = GreedyPolicy(network, device)
    returns: list[NDArray[np.float64]] = []
    for first in range(0, episodes, environment.n_environments):
        count = min(environment.n_environments, episodes - first)
        now = environment.reset(episode_seeds(Stream.EVALUATION_EPISODES, 0, first, count))
        policy.reset()
        total = np.zeros(environment.n_environments)
        while not now.ended.all():
            now = environment.step(policy.act(now))
            total += now.rewards
        returns.append(total[:count])
    return np.concatenate(returns)
