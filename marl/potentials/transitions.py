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

    from qredit.layout import StateLayout
    from qredit.task import Task

STEPS = 200_000
"""Steps that are played at most for one set of transitions: fewer, once they hold enough landmarks ..."""
BLOCK = 10_000
"""Steps after which that is looked at; ten times as many as transitions are played at least."""
STEPS_PER_EPISODE = 50_000
"""... and in one episode at most."""
MOST_KEY_STEPS, MOST_NUMBERS = 12, 12
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
    gains: Tensor
    """Whether the ego's own reward was above (1) or below (-1) what it usually is; 0 also where all agents got the
    same, which does not tell whose doing it was, `[M]`."""
    key_steps: tuple[str, ...]
    """What happened in steps with another team reward than usual, in words, in the order in which it first did."""

    def __len__(self) -> int:
        return len(self.states)


def sample_transitions(task: Task, count: int, seed: int, *, of_earners: bool = False) -> Transitions:
    """Transitions of the random policy, in random order, each agent the ego of an equal part of them.

    Episodes go on beyond the time limit until the world ends (LCA, section 4.1), so that also what comes late is among
    them. The paper draws all steps alike; here they are drawn so that each teaches something (decision 0018):

    - Landmarks, steps with another reward than most, make up a quarter, as far as there are so many: nothing else says
      that what comes after one is better than what was before it.
    - In the others something about the ego has changed, and situations of the ego count alike, however often the random
      policy was in them: what is about the ego, and what is about no agent.

    Args:
        task: a task with an environment.
        count: `M`.
        seed: of everything that is random in it.
        of_earners: whether the ego of a landmark is the agent that earned most by it, so that the answer is known.

    Raises:
        ConfigurationError: more than are played.
    """
    if count > STEPS:
        raise ConfigurationError(
            f"{count} transitions of `{task.name}`", cause=f"only {STEPS} steps are played", remedy="Ask for fewer."
        )
    rng = generator(Stream.TRANSITIONS, seed)
    layout, (states, actions, next_states, agent_rewards) = _played(task, count, seed, rng)
    rewards = agent_rewards.sum(axis=1)
    rare = np.flatnonzero(_unusual(rewards))
    landmarks = rng.permutation(rare)[: round(LANDMARKS * count)]
    egos = np.arange(count) % actions.shape[1]
    chosen = np.concatenate([landmarks, np.zeros(count - len(landmarks), dtype=np.int64)])
    for ego in range(actions.shape[1]):
        mine = np.flatnonzero(egos[len(landmarks) :] == ego) + len(landmarks)
        chosen[mine] = _evenly(layout, states, next_states, ego, len(mine), rng)
    order = rng.permutation(count)
    chosen, egos = chosen[order], egos[order]
    if of_earners:
        egos = np.where(_unusual(rewards)[chosen] != 0, np.abs(agent_rewards[chosen]).argmax(axis=1), egos)
    gains = np.stack([_unusual(own) for own in agent_rewards.T], axis=1)[chosen, egos]
    gains[np.ptp(agent_rewards[chosen], axis=1) == 0] = 0
    return Transitions(
        states=torch.from_numpy(states[chosen]),
        actions=torch.from_numpy(actions[chosen]),
        next_states=torch.from_numpy(next_states[chosen]),
        egos=torch.from_numpy(egos),
        gains=torch.from_numpy(gains),
        key_steps=key_steps(layout, states[rare], next_states[rare], rewards[rare]),
    )


def _evenly(
    layout: StateLayout,
    states: NDArray[np.float32],
    next_states: NDArray[np.float32],
    ego: int,
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Numbers of steps in which something about the ego has changed, evenly over its situations, `[count]`."""
    before, after = torch.from_numpy(states), torch.from_numpy(next_states)
    about_agents = any(field.agent_axes for field in layout.fields)
    moved = (~layout.unchanged(before, after)[:, ego]).numpy() if about_agents else (states != next_states).any(axis=1)
    steps = rng.permutation(np.flatnonzero(moved) if moved.any() else np.arange(len(states)))
    _, situations = np.unique(_situations(layout, states[steps], ego).round(2), axis=0, return_inverse=True)
    # The k-th step in a situation comes in the k-th round, after the (k - 1)-th of all others.
    order = np.argsort(situations, kind="stable")
    first = np.r_[0, np.flatnonzero(np.diff(situations[order])) + 1]
    rounds = np.empty(len(steps), dtype=np.int64)
    rounds[order] = np.arange(len(steps)) - np.repeat(first, np.diff(np.r_[first, len(steps)]))
    chosen: NDArray[np.int64] = steps[np.argsort(rounds, kind="stable")]
    return np.resize(chosen, count)


def _situations(layout: StateLayout, states: NDArray[np.float32], ego: int) -> NDArray[np.float32]:
    """What is about the ego and what is about no agent, `[K, ...]` of states `[K, S]`."""
    parts = []
    for field, part in layout.slices():
        values = states[:, part].reshape(len(states), *field.shape)
        if field.agent_axes:
            values = np.take(values, ego, axis=field.agent_axes[0] + 1)
        parts.append(values.reshape(len(states), -1))
    return np.concatenate(parts, axis=1)


def key_steps(
    layout: StateLayout,
    states: NDArray[np.float32],
    next_states: NDArray[np.float32],
    rewards: NDArray[np.float64],
) -> tuple[str, ...]:
    """Landmarks in words: reward and changes of the world, each kind of change once (LCA, section 4.1).

    Args:
        layout: of the states.
        states: before the steps, in their order, `[K, S]`.
        next_states: after them.
        rewards: of the team, `[K]`.
    """
    found: dict[tuple[object, ...], str] = {}
    for before, after, reward in zip(states, next_states, rewards, strict=True):
        changed = [(f, before[part], after[part]) for f, part in layout.slices() if (before[part] != after[part]).any()]
        world = [change for change in changed if not change[0].agent_axes]
        # Which food or switch it was makes a kind of change; where agents have gone does not.
        where = tuple((f.name, *np.flatnonzero(a != b).tolist()) for f, a, b in world)
        kind: tuple[object, ...] = where or tuple(f.name for f, _, _ in changed)
        if kind not in found:
            texts = (f"`{f.name}` {_numbers(a)} -> {_numbers(b)}" for f, a, b in world or changed)
            found[kind] = f"team reward {reward:.2f}: {'; '.join(texts) or 'nothing that is seen has changed'}"
        if len(found) == MOST_KEY_STEPS:
            break
    return tuple(found.values())


def _numbers(values: NDArray[np.float32]) -> str:
    shown = [f"{value:.3g}" for value in values[:MOST_NUMBERS]]
    return f"[{', '.join(shown)}{', ...' if len(values) > MOST_NUMBERS else ''}]"


def _unusual(rewards: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 where a reward is above that of most steps, -1 below; 0 everywhere if no reward is that of most, `[K]`."""
    values, counts = np.unique(rewards.round(6), return_counts=True)
    if counts.max() <= len(rewards) / 2:
        return np.zeros(len(rewards), dtype=np.int64)
    unusual: NDArray[np.int64] = np.sign(rewards.round(6) - values[counts.argmax()]).astype(np.int64)
    return unusual


def _played(
    task: Task, count: int, seed: int, rng: np.random.Generator
) -> tuple[StateLayout, tuple[NDArray[Any], ...]]:
    """The layout; states, actions, next states and agents' rewards of enough steps."""
    simulator, episodes, over = make_simulator(task), 0, True
    n, size = simulator.n_agents, simulator.layout.size
    states, next_states = (np.empty((STEPS, size), dtype=np.float32) for _ in range(2))
    actions, rewards = np.empty((STEPS, n), dtype=np.int64), np.empty((STEPS, n))
    for k in range(STEPS):
        if over:
            simulator.reset(episode_seeds(Stream.TRANSITIONS, seed, episodes, 1)[0])
            steps, episodes = 0, episodes + 1
        states[k], actions[k] = simulator.state(), random_actions(simulator.available_actions(), rng)
        result = simulator.step(actions[k].tolist())
        next_states[k], rewards[k] = simulator.state(), result.agent_rewards
        steps += 1
        over = result.terminated or steps >= STEPS_PER_EPISODE
        done = k + 1
        if done % BLOCK == 0 and done >= 10 * count:
            landmarks = np.count_nonzero(_unusual(rewards[:done].sum(axis=1)))
            if landmarks >= LANDMARKS * count:
                break
    return simulator.layout, (states[:done], actions[:done], next_states[:done], rewards[:done])
