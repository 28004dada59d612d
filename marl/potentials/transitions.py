"""Transitions to rank: what happens to agents that know nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.marl.adapters import make_simulator
from qredit.marl.random_policy import random_actions
from qredit.marl.streams import Stream, episode_seeds, generator

if TYPE_CHECKING:
    from qredit.task import Task

MOST_STEPS = 200_000
"""Steps that are played at most for one set of transitions."""
EPISODES = 4
"""Episodes at least, so that not all transitions come from one start."""


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
    """Transitions of the random policy, evenly over its steps, each agent's turn to be the ego in equal parts.

    The episodes go on beyond the time limit until the world ends (LCA, section 4.1), so that also what comes late is
    among them; where it never ends, until `MOST_STEPS` are shared out over `EPISODES`.

    Raises:
        ConfigurationError: fewer steps than transitions.
    """
    simulator, rng = make_simulator(task), generator(Stream.TRANSITIONS, seed)
    seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    episodes = 0
    while episodes < EPISODES or len(seen) < count:
        simulator.reset(episode_seeds(Stream.TRANSITIONS, seed, episodes, 1)[0])
        episodes += 1
        for _ in range(MOST_STEPS // EPISODES):
            state = simulator.state()
            actions = random_actions(simulator.available_actions(), rng)
            over = simulator.step(actions.tolist()).terminated
            seen.append((state, actions, simulator.state()))
            if over:
                break
        if len(seen) >= MOST_STEPS:
            break
    if len(seen) < count:
        raise ConfigurationError(
            f"{count} transitions of `{task.name}`", cause=f"only {len(seen)} were played", remedy="Ask for fewer."
        )
    chosen = rng.permutation(len(seen))[:count]
    states, actions, next_states = (np.stack([seen[k][part] for k in chosen]) for part in range(3))
    egos = np.arange(count) % simulator.n_agents
    return Transitions(*(torch.from_numpy(np.asarray(part)) for part in (states, actions, next_states, egos)))
