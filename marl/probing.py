"""Probes of a task with an environment: transitions of rollouts, of random teams and of ones that know what they do.

Shapes: `M` situations, `N` agents, `A` actions, `S` state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.adapters import make_simulator
from qredit.marl.random_policy import random_actions
from qredit.marl.streams import Stream, episode_seeds, generator
from qredit.probes import Probes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.simulator import Simulator, Snapshot
    from qredit.task import Task

EPSILON = 0.3
"""How often an agent of the scripted team acts at random instead: then it shows what each action leads to."""
VISITS_PER_PROBE = 4
"""Transitions visited for each one kept, at the least: neighbours in time are rare then."""
EPISODES = 32
"""Whole episodes that are visited at the least ..."""
MOST_VISITS_PER_PROBE = 16
"""... unless they are so long that this many transitions per probe come first."""


@dataclass(frozen=True)
class Situation:
    """One step of a rollout, and the way back to the moment before it."""

    snapshot: Snapshot
    """The simulator before the step."""
    state: NDArray[np.float32]
    """`[S]`"""
    actions: NDArray[np.int64]
    """What the agents did, `[N]`."""
    next_state: NDArray[np.float32]
    """`[S]`"""
    reward: float
    """The team's reward of the step."""


def sample_probes(task: Task, n: int, seed: int) -> Probes:
    """`n` transitions of a task's rollouts, the same for the same seed; see `sample_situations`.

    Raises:
        QreditError: see `make_simulator`.
    """
    return probes_of(sample_situations(make_simulator(task), n, seed))


def sample_situations(simulator: Simulator, n: int, seed: int) -> list[Situation]:
    """`n` steps of rollouts in the order in which they were visited, a random part of all that were.

    Every other episode is played by a uniformly random team, the others by the scripted team, each of whose agents
    takes a random action with probability 0.3 in each step.
    """
    longest = max(VISITS_PER_PROBE * n, min(EPISODES * simulator.time_limit, MOST_VISITS_PER_PROBE * n))
    rng = generator(Stream.RANDOM_POLICY, seed)
    kept = iter(np.sort(rng.choice(longest, n, replace=False)).tolist())
    situations: list[Situation] = []
    visited, wanted = 0, next(kept, None)
    for episode in count():
        simulator.reset(episode_seeds(Stream.PROBE_EPISODES, seed, episode, 1)[0])
        ended = False
        while not ended:
            if wanted is None:
                return situations
            actions = team_actions(simulator, 1.0 if episode % 2 == 0 else EPSILON, rng)
            before = (simulator.save(), simulator.state()) if visited == wanted else None
            result = simulator.step(actions)
            ended = result.terminated or result.truncated
            if before is not None:
                reward = float(sum(result.agent_rewards))
                situations.append(Situation(*before, np.array(actions), simulator.state(), reward))
                wanted = next(kept, None)
            visited += 1
    raise AssertionError("episodes never run out")


def team_actions(simulator: Simulator, epsilon: float, rng: np.random.Generator) -> list[int]:
    """What the scripted team does, `[N]`; each agent takes a random action instead with probability `epsilon`."""
    explores = rng.random(simulator.n_agents) < epsilon
    return mixed_actions(simulator, explores, random_actions(simulator.available_actions(), rng), rng)


def mixed_actions(
    simulator: Simulator, explores: NDArray[np.bool_], explored: NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    """The actions `explored [N]` of the agents that explore, and the scripted team's of the others, `[N]`."""
    if explores.all():
        return [int(action) for action in explored]
    scripted = simulator.scripted_actions(rng)
    return [int(e) if explores_now else s for e, s, explores_now in zip(explored, scripted, explores, strict=True)]


def probes_of(situations: Sequence[Situation]) -> Probes:
    """The situations as arrays, without what only a simulator can read."""
    return Probes(
        states=np.stack([s.state for s in situations]),
        actions=np.stack([s.actions for s in situations]),
        next_states=np.stack([s.next_state for s in situations]),
        rewards=np.array([s.reward for s in situations], dtype=np.float32),
    )
