"""A compiled world in lockstep with the official simulator: same state in, same actions, same state out."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from qredit.marl.environments.simulator import Simulator, Snapshot, StepResult
from qredit.marl.kernels.batch import CompiledBatch

Events: TypeAlias = Callable[[Snapshot, list[int], StepResult, Snapshot], dict[str, int]]
"""What happened in a step, out of the snapshots before and after it: name -> how often."""
STEPS = int(os.environ.get("PARITY_STEPS", "3000"))
"""Steps per configuration; `make parity` sets more."""
LONG = STEPS >= 100_000
"""Whether each event must have happened at least 200 times."""
RELATIVE = 1e-9
"""Where numbers are not equal to the last bit, in float64 and per step."""
RELATIVE_SHOWN = 1e-6
"""The same for what is shown in float32."""


class ParityError(AssertionError):
    """The two differ; the message says where."""


def lockstep(
    simulator: Simulator,
    batch: CompiledBatch,
    *,
    steps: int,
    seed: int,
    events: Events = lambda before, actions, result, after: {},
    exact: bool = True,
) -> Counter[str]:
    """Play both for so many steps, half of them scripted, half at random, and count what happened.

    Episodes begin with the same seed in both. With `exact` the two go on by themselves, and everything is equal to the
    last bit; else the compiled world starts each step from the official one's snapshot.

    Raises:
        ParityError: state, observations, rewards, ends or random generators differ.
    """
    rng, counts, episode = np.random.default_rng(seed), Counter[str](), 0
    over = True
    for _ in range(steps):
        if over:
            simulator.reset(seed + episode)
            batch.reset([seed + episode] * batch.n_environments)
            _compare(simulator, batch, None, exact=exact)
            episode += 1
        before = simulator.save()
        if not exact:
            batch.load(0, before)
        scripted = rng.random() < 0.5
        chosen = (
            simulator.scripted_actions(rng) if scripted else rng.integers(0, simulator.n_actions, simulator.n_agents)
        )
        actions = [int(action) for action in chosen]
        result = simulator.step(actions)
        batch.step(np.array([actions] * batch.n_environments))
        _compare(simulator, batch, result, exact=exact)
        counts.update(events(before, actions, result, simulator.save()))
        counts["truncation"] += result.truncated
        over = result.terminated or result.truncated
    counts["episodes"] = episode
    return counts


def _compare(simulator: Simulator, batch: CompiledBatch, result: StepResult | None, *, exact: bool) -> None:
    shown = batch.shown
    _equal("state", shown.states[0], simulator.state(), exact)
    _equal("observations", shown.observations[0], simulator.observations(), exact)
    if result is not None:
        rewards = np.array(result.agent_rewards)
        _equal("agents' rewards", shown.agent_rewards[0], rewards.astype(np.float32), exact)
        _equal("reward", shown.rewards[0], np.float32(sum(result.agent_rewards)), exact)
        _equal("terminated", shown.terminated[0], np.bool_(result.terminated), True)
        _equal("truncated", shown.truncated[0], np.bool_(result.truncated), True)
    _same_snapshots(simulator.save(), batch.save(0), exact)


def _equal(what: str, found: Any, expected: Any, exact: bool, tolerance: float = RELATIVE_SHOWN) -> None:
    same = (
        _bits(found) == _bits(expected)  # 0 and -0 are equal, and not the same
        if exact
        else np.allclose(found, expected, rtol=tolerance, atol=tolerance * 1e-3)
    )
    if not same:
        raise ParityError(f"{what}: compiled {np.asarray(found).tolist()}, official {np.asarray(expected).tolist()}")


def _bits(value: Any) -> tuple[tuple[int, ...], str, bytes]:
    array = np.asarray(value)
    return array.shape, array.dtype.str, array.tobytes()


def _same_snapshots(official: Any, compiled: Any, exact: bool) -> None:
    for field in dataclasses.fields(official):
        a, b = getattr(official, field.name), getattr(compiled, field.name)
        if isinstance(a, np.ndarray) or (isinstance(a, tuple) and a and isinstance(a[0], np.ndarray)):
            _equal(field.name, np.array(b), np.array(a), exact, RELATIVE)
        elif a != b:
            raise ParityError(f"{field.name}: compiled {b}, official {a}")
