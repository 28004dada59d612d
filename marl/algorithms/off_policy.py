"""Learning from a replay buffer: what all off-policy algorithms share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qredit.marl.algorithms.algorithm import Algorithm, Learned, Problem
from qredit.marl.choosing import Choose, epsilon_greedy
from qredit.marl.replay import Episodes, ReplayBuffer
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters

MOST_REPLAY_STEPS = 250_000
"""Environment steps that a replay buffer has room for, so that long episodes do not fill the memory."""


class OffPolicy(Algorithm):
    """Keeps episodes, and learns from random batches of them after every collection.

    Args:
        problem: what it is made for.
        credit_size: numbers of credit per state that `credit_of` gives.
    """

    def __init__(self, problem: Problem, *, credit_size: int = 0) -> None:
        super().__init__(problem)
        self.replay = replay_for(problem, credit_size=credit_size)

    @abstractmethod
    def update(self, batch: Episodes, environment_steps: int) -> Tensor:
        """One optimiser step on a batch on the networks' device; returns the loss."""

    @abstractmethod
    def update_target(self) -> None:
        """Move the target networks towards the online networks."""

    def credit_of(self, episodes: Episodes, collection: int) -> Tensor:
        """Numbers of credit `[E, T + 1, C]` to keep beside the episodes."""
        return episodes.credit

    def rewards_of(self, episodes: Episodes) -> Tensor:
        """What teaches the agents, in the environment's units: the team's `[E, T]`, or their own `[E, T, N]`."""
        individual = self.settings.rewards == "individual"
        return self.problem.sizes.n_agents * episodes.agent_rewards if individual else episodes.rewards

    def explore(self, environment_steps: int) -> Choose:
        """Epsilon-greedy."""
        return epsilon_greedy(self.settings.epsilon(environment_steps))

    def learn(self, episodes: Episodes, done: Counters) -> Learned:
        """Add the episodes, then take `updates_per_collection` steps, once there is a batch."""
        settings = self.settings
        self.replay.add(replace(episodes, credit=self.credit_of(episodes, done.collections)))
        if settings.reward_statistics == "collected":
            self.reward_scale.see(self.rewards_of(episodes), episodes.filled)
        updates, loss = done.updates, torch.tensor(done.loss)
        if len(self.replay) >= settings.batch_episodes:
            for _ in range(settings.updates_per_collection):
                rng = generator(Stream.REPLAY, settings.seed, updates)
                batch = self.replay.sample(settings.batch_episodes, rng)
                if settings.reward_statistics == "batches":
                    rewards = self.rewards_of(batch)
                    padding = ~batch.filled.reshape(*batch.filled.shape, *[1] * (rewards.dim() - 2))
                    self.reward_scale.see(rewards.masked_fill(padding, 0.0), torch.ones_like(batch.filled))
                batch = batch.to(self.problem.device)
                loss = self.update(batch, done.environment_steps)
                updates += 1
                if updates % settings.target_update_interval == 0:
                    self.update_target()
        return Learned(loss, updates)

    def more_tensors(self) -> dict[str, Tensor]:
        """The replay buffer, without padding."""
        return {f"replay.{name}": tensor for name, tensor in self.replay.contents().items()}

    def restore_more(self, tensors: Mapping[str, Tensor], counters: Counters) -> None:
        """Fill the replay buffer; every episode collected was added to it."""
        prefix = "replay."
        held = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        self.replay.restore(held, counters.episodes)


def replay_for(problem: Problem, *, credit_size: int) -> ReplayBuffer:
    """A replay buffer of as many episodes as the settings say, or as fit."""
    settings = problem.settings
    fitting = max(MOST_REPLAY_STEPS // problem.sizes.time_limit, settings.batch_episodes, settings.n_environments)
    return ReplayBuffer(min(settings.buffer_episodes, fitting), problem.sizes, credit_size=credit_size)
