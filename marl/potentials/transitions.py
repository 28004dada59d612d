"""Transitions to rank: what happens to agents that know nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.marl.adapters import make_simulator
from qredit.marl.random_policy import random_actions
from qredit.marl.streams import Stream, episode_seeds, generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.task import Task

STEPS = 200_000
"""Steps that are played for one set of transitions ..."""
STEPS_PER_EPISODE = 50_000
"""... and in one episode at most."""
LANDMARKS = 0.25
"""Share of the transitions that are landmarks, as far as there are so many."""


@dataclass(frozen=True)
class Transitions:
    """`M` transitions, each with the agent from whose point of view it is to be ranked."""

    states: Tensor
    """Before the actions, `[M, S]`."""
    actions: Tensor
    """What each agent chose, `[M, N]`."""
    next_states: Tensor
    """After them, `[M, S]`."""
    egos: Tensor
    """Number of the agent that is asked about, `[M]`."""

    def __len__(self) -> int:
        return len(self.states)


def sample_transitions(task: Task, count: int, seed: int) -> Transitions:
    """Transitions of the random policy, in random order, each agent the ego of an equal part of them.

    Episodes go on beyond the time limit until the world ends (LCA, section 4.1), so that also what comes late is among
    them. Landmarks, steps with another reward than most, are rare in random play, and nothing else says that what
    comes after one is better than what was before it: they make up a quarter. (The paper draws all steps alike.)

    Raises:
        ConfigurationError: fewer steps than transitions.
    """
    if count > STEPS:
        raise ConfigurationError(
            f"{count} transitions of `{task.name}`", cause=f"only {STEPS} steps are played", remedy="Ask for fewer."
        )
    rng = generator(Stream.TRANSITIONS, seed)
    states, actions, next_states, rewards = _played(task, seed, rng)
    values, counts = np.unique(rewards.round(6), return_counts=True)
    usual = values[counts.argmax()]
    rare = np.flatnonzero(rewards.round(6) != usual) if counts.max() > len(rewards) / 2 else np.empty(0, dtype=np.int64)
    landmarks = rng.permutation(rare)[: round(LANDMARKS * count)]
    others = rng.permutation(np.setdiff1d(np.arange(len(rewards)), landmarks))[: count - len(landmarks)]
    chosen = rng.permutation(np.concatenate([landmarks, others]))
    egos = np.arange(count) % actions.shape[1]
    parts = (states[chosen], actions[chosen], next_states[chosen], egos)
    return Transitions(*(torch.from_numpy(part) for part in parts))


def _played(task: Task, seed: int, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """States, actions, next states and team rewards of `STEPS` steps."""
    simulator, episodes, over = make_simulator(task), 0, True
    n, size = simulator.n_agents, simulator.layout.size
    states, next_states = (np.empty((STEPS, size), dtype=np.float32) for _ in range(2))
    actions, rewards = np.empty((STEPS, n), dtype=np.int64), np.empty(STEPS)
    for k in range(STEPS):
        if over:
            simulator.reset(episode_seeds(Stream.TRANSITIONS, seed, episodes, 1)[0])
            steps, episodes = 0, episodes + 1
        states[k], actions[k] = simulator.state(), random_actions(simulator.available_actions(), rng)
        result = simulator.step(actions[k].tolist())
        next_states[k], rewards[k] = simulator.state(), sum(result.agent_rewards)
        steps += 1
        over = result.terminated or steps >= STEPS_PER_EPISODE
    return states, actions, next_states, rewards
