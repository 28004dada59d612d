"""Compiled particle worlds equal the official package within 1e-9 per step, and their starts to the last bit."""

from __future__ import annotations

import sys
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from qredit.marl.environments import opponents as official_opponents
from qredit.marl.environments.mpe import ParticleWorld
from qredit.marl.environments.particles import Scene
from qredit.marl.kernels import adversary, mpe, opponents, particle_batch, particles, spread, tag
from qredit.marl.kernels.compiling import usable_threads
from qredit.marl.kernels.opponents import Steering
from tests.marl.environments.particle_worlds import Arguments, made
from tests.marl.kernels.mutants import mutant
from tests.marl.kernels.parity import LONG, STEPS, ParityError, lockstep
from tests.marl.kernels.particle_events import events_of

CONFIGURATIONS: dict[str, tuple[str, Arguments]] = {
    "spread": ("simple_spread_v3", {}),
    "spread alone": ("simple_spread_v3", {"N": 1, "max_cycles": 7}),
    "spread of six": ("simple_spread_v3", {"N": 6, "local_ratio": 0.2}),
    "adversary": ("simple_adversary_v3", {}),
    "adversary of three": ("simple_adversary_v3", {"N": 3, "max_cycles": 10}),
    "tag": ("simple_tag_v3", {}),
    "tag without obstacles": ("simple_tag_v3", {"num_adversaries": 2, "num_obstacles": 0, "max_cycles": 60}),
    "tag of many": ("simple_tag_v3", {"num_adversaries": 6, "num_obstacles": 3, "max_cycles": 40}),
}
EVENTS = (
    *("agents touch", "agents nearly touch", "obstacle touched", "speed limit", "truncation"),
    *("collision penalty", "two collisions of one agent", "landmark covered", "target changed", "target is the goal"),
    *("prey caught", "prey caught by several", "prey near the border", "prey beyond the border"),
)


def world(name: str) -> ParticleWorld:
    return made(*CONFIGURATIONS[name])


def play(name: str, kernels: Any, steps: int) -> Counter[str]:
    simulator = world(name)
    batch = kernels.compiled_particles(simulator, 1)
    return lockstep(simulator, batch, steps=steps, seed=0, events=events_of(simulator), exact=False)


def test_every_configuration_in_lockstep() -> None:
    counts = Counter[str]()
    for name in CONFIGURATIONS:
        found = play(name, mpe, STEPS)
        print(name, dict(found))
        counts += found
    print("all", dict(counts))
    enough = 200 if LONG else 10
    assert all(counts[event] >= enough for event in EVENTS), counts


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_whole_episodes_are_the_official_ones(name: str) -> None:
    """Nothing drifts: what the kernels leave out is too small to ever reach a position."""
    simulator = world(name)
    batch, rng = mpe.compiled_particles(simulator, 1), np.random.default_rng(0)
    for seed in range(20):
        simulator.reset(seed)
        batch.reset([seed])
        over = False
        while not over:
            actions = simulator.scripted_actions(rng) if rng.random() < 0.5 else _random_actions(simulator, rng)
            over = simulator.step(actions).truncated
            now = batch.step(np.array([actions]))
            assert np.allclose(batch.save(0).positions, simulator.save().positions, rtol=1e-12, atol=1e-14)
        assert now.truncated[0]


def _random_actions(simulator: ParticleWorld, rng: np.random.Generator) -> list[int]:
    actions: list[int] = rng.integers(0, simulator.n_actions, simulator.n_agents).tolist()
    return actions


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_starts_are_the_official_ones_to_the_last_bit(name: str) -> None:
    simulator = world(name)
    batch = mpe.compiled_particles(simulator, 50)
    seeds = [*range(48), 2**32, 2**64 - 1]
    batch.reset(seeds)
    for b, seed in enumerate(seeds):
        simulator.reset(seed)
        ours, official = batch.save(b), simulator.save()
        for part in ("positions", "velocities", "messages"):
            assert np.array_equal(getattr(ours, part), getattr(official, part))
        assert (ours.goal, ours.steps, ours.generator) == (official.goal, official.steps, official.generator)
        assert np.array_equal(batch.shown.observations[b], simulator.observations())
        assert np.array_equal(batch.shown.states[b], simulator.state())


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_snapshots_go_both_ways(name: str) -> None:
    simulator = world(name)
    batch = mpe.compiled_particles(simulator, 2)
    batch.reset([3, 4])
    batch.step(np.full((2, batch.n_agents), 2))
    simulator.reset(5)
    simulator.restore(batch.save(1))
    assert np.array_equal(simulator.state(), batch.shown.states[1])
    batch.load(0, simulator.save())
    assert np.array_equal(batch.shown.observations[0], batch.shown.observations[1])
    assert np.array_equal(batch.shown.states[0], batch.shown.states[1])
    assert batch.shown.rewards[0] == 0


@pytest.mark.parametrize("name", ["spread alone", "adversary of three", "tag"])
def test_an_ended_environment_ignores_its_actions(name: str) -> None:
    batch = mpe.compiled_particles(world(name), 2)
    batch.reset([1])
    for _ in range(batch.time_limit):
        now = batch.step(np.full((2, batch.n_agents), 1))
    assert now.truncated.all()
    assert not now.terminated.any()
    seen, saved = now.observations.copy(), batch.save(0)
    now = batch.step(np.full((2, batch.n_agents), 2))
    assert np.array_equal(now.observations, seen)
    assert not now.rewards.any()
    assert not now.agent_rewards.any()
    assert batch.save(0).steps == saved.steps == batch.time_limit


@pytest.mark.skipif(usable_threads() < 2, reason="this process may use one core")
@pytest.mark.parametrize("name", ["spread", "adversary", "tag"])
def test_several_threads_play_the_same_episodes(name: str) -> None:
    if name != "spread" and not LONG:
        pytest.skip("`make parity` does it: compiling for several threads takes 7 s each")
    simulator = world(name)
    one, two = (mpe.compiled_particles(simulator, 40, n_threads=n) for n in (1, 2))
    rng = np.random.default_rng(0)
    for batch in (one, two):
        batch.reset(range(40))
    for _ in range(25):
        actions = rng.integers(0, simulator.n_actions, (40, simulator.n_agents))
        a, b = one.step(actions), two.step(actions)
        for part in ("observations", "states", "rewards", "agent_rewards", "truncated"):
            assert np.array_equal(getattr(a, part), getattr(b, part))


# The opponents


@numba.njit(error_model="numpy")
def _prey_actions(positions: NDArray[np.float64], velocities: NDArray[np.float64], me: Steering) -> NDArray[np.int64]:
    chosen = np.zeros(len(positions), dtype=np.int64)
    for k in range(len(positions)):
        chosen[k] = opponents.prey_action(positions[k], velocities[k], me)
    return chosen


@numba.njit(error_model="numpy")
def _adversary_actions(
    positions: NDArray[np.float64], velocities: NDArray[np.float64], me: Steering
) -> NDArray[np.int64]:
    chosen = np.zeros(len(positions), dtype=np.int64)
    for k in range(len(positions)):
        chosen[k] = opponents.adversary_action(positions[k], velocities[k], me)
    return chosen


def scenes(n_agents: int, n_entities: int, *, coarse: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions `[3000, E, 2]` and velocities; on a coarse grid many actions are equally good."""
    rng = np.random.default_rng(n_agents)
    positions = rng.normal(0, 1, (3000, n_entities, 2))
    velocities = rng.normal(0, 0.5, (3000, n_agents, 2))
    if coarse:
        return np.round(positions * 2) / 2, np.round(velocities * 2) / 2
    return positions, velocities


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("n_agents", [2, 4, 9])
def test_opponents_choose_the_same_actions(n_agents: int, coarse: bool) -> None:
    positions, velocities = scenes(n_agents, 2 * n_agents - 1, coarse=coarse)
    for policy, chosen in (
        ("prey", _prey_actions(positions, velocities, opponents.steering(official_opponents.PREY))),
        ("adversary", _adversary_actions(positions, velocities, opponents.steering(official_opponents.ADVERSARY))),
    ):
        expected = [_official_action(policy, *scene) for scene in zip(positions, velocities, strict=True)]
        assert chosen.tolist() == expected


def _official_action(policy: str, positions: NDArray[np.float64], velocities: NDArray[np.float64]) -> int:
    n_agents = len(velocities)
    me = n_agents - 1 if policy == "prey" else 0
    scene = Scene(
        positions=np.delete(positions[:n_agents], me, axis=0),
        velocities=np.delete(velocities, me, axis=0),
        landmarks=positions[n_agents:],
        opponent_position=positions[me],
        opponent_velocity=velocities[me],
    )
    return official_opponents.prey_action(scene) if policy == "prey" else official_opponents.adversary_action(scene)


def choose(policy: str, kernels: types.ModuleType) -> None:
    """Opponents of kernels that are plain Python, among equally good actions.

    Raises:
        ParityError: another action than the official one.
    """
    positions, velocities = scenes(3, 5, coarse=True)
    motion = official_opponents.PREY if policy == "prey" else official_opponents.ADVERSARY
    action, me = getattr(kernels, f"{policy}_action"), kernels.steering(motion)
    for places, speeds in zip(positions, velocities, strict=True):
        if action(places, speeds, me) != _official_action(policy, places, speeds):
            raise ParityError(f"{policy} at {places.tolist()}")


# Mistakes

MODULES = (particles, opponents, particle_batch, spread, adversary, tag, mpe)
"""Each after those that it imports."""


@contextmanager
def kernels_with(mistaken: types.ModuleType, old: str, new: str) -> Iterator[tuple[Any, Any]]:
    """The kernels of the particle worlds and of the opponents with a mistake in one module."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        plain = {}
        for module in MODULES:
            changed = (old, new) if module is mistaken else ("from __future__", "from __future__")
            plain[module] = stack.enter_context(mutant(module, *changed))
            patch.setitem(sys.modules, module.__name__, plain[module])
        yield plain[mpe], plain[opponents]


@pytest.mark.parametrize(
    ("name", "module", "old", "new"),
    [
        ("spread", particles, "-(distance - touching) / margin", "(distance - touching) / margin"),
        ("spread", particles, "return math.log1p(math.exp(y))", "return 0.0"),
        ("spread", particles, "return y + math.log1p(math.exp(-y))", "return y"),
        ("spread", particles, "_OUT_OF_REACH = 60.0", "_OUT_OF_REACH = 0.0"),
        ("spread", particles, "forces[other, X] -= fx", "forces[other, X] += fx"),
        ("spread", particles, "for other in range(one + 1, physics.n_bodies)", "for other in range(0)"),
        ("spread", particles, "vx * kept", "vx"),
        ("spread", particles, "    p.velocities[b] = 0.0\n", ""),
        ("spread", particles, "positions[agent, Y] += vy * step", "positions[agent, Y] += vx * step"),
        ("tag", particles, "far = 1.0 if entity < n_agents else spread_of_landmarks", "far = 1.0"),
        ("tag", particles, "range(one + 1, physics.n_bodies)", "range(one + 1, len(forces))"),
        ("tag", particles, "            if speed > limit:\n", "            if False:\n"),
        ("tag", particles, "* physics.accelerations[agent]\n    p", "* 5.0\n    p"),
        ("spread", spread, "                shown.agent_rewards[b, j] -= 1\n", ""),
        ("spread of six", spread, "shown.agent_rewards[b, i] -= 1", "shown.agent_rewards[b, i] = -1"),
        ("spread", spread, "for j in range(i + 1, n)", "for j in range(i, n)"),
        ("spread", spread, "* shares.own", "* shares.common * 2"),
        ("spread of six", spread, "* shares.own", "* shares.common"),
        ("spread", spread, "reward -= math.sqrt(nearest)", "reward -= nearest"),
        ("spread", spread, "nearest = min(nearest,", "nearest = max(0.0,"),
        ("spread alone", spread, "p.steps[b] >= physics.time_limit", "p.steps[b] > physics.time_limit"),
        ("spread", spread, "at = write_pair(seen, 0, p.velocities[b, i])", "at = 2"),
        ("adversary", adversary, "integer(p.generators[b], 0, shown.agent_rewards.shape[1])", "0"),
        ("adversary", adversary, "reward = -math.sqrt(nearest) +", "reward = -math.sqrt(nearest) -"),
        ("adversary", adversary, "nearest = min(nearest,", "nearest = max(0.0,"),
        ("adversary", adversary, "for i in range(1, 1 + n):", "for i in range(n):"),
        ("adversary of three", adversary, "1 + i, 1 + n + p.goals[b])", "1 + i, 1 + n)"),
        ("adversary", adversary, "p.steps[b] >= physics.time_limit", "p.steps[b] > physics.time_limit"),
        ("tag", tag, "reward += 10", "reward = 10.0"),
        ("tag", tag, "physics.sizes[n] + physics.sizes[i]", "2 * physics.sizes[n]"),
        ("tag", tag, "write_pair(seen, at, p.velocities[b, n])", "write_pair(seen, at, p.velocities[b, i])"),
        ("tag", tag, "p.steps[b] >= physics.time_limit", "p.steps[b] > physics.time_limit"),
        ("tag", opponents, "me.look_ahead - 1", "me.look_ahead"),
        ("tag", opponents, "if far < 0.9:", "if far < 1.0:"),
        ("tag", opponents, "return (far - 0.9) * 10", "return 0.0"),
        ("tag", opponents, "slower = min(1.0, me.max_speed", "slower = max(1.0, me.max_speed"),
        ("tag without obstacles", opponents, "min(math.exp(2 * min(far, 10.0) - 2), 10.0)", "1.0"),
        ("adversary", opponents, "for i in range(1, n_agents):", "for i in range(n_agents):"),
        ("adversary", opponents, "+ me.time_step / me.damping * ax", "+ ax"),
        ("the prey chooses", opponents, "if gain > best:", "if gain >= best:"),
        ("the prey chooses", opponents, "min(far, 10.0) - 2), 10.0)", "min(far, 10.0) - 2), 9.0)"),
        (
            "the adversary chooses",
            opponents,
            "if distance < best:\n            best, chosen",
            "if distance <= best:\n            best, chosen",
        ),
        (
            "the adversary chooses",
            opponents,
            "if distance < best:\n            best, nearest",
            "if distance <= best:\n            best, nearest",
        ),
    ],
)
def test_a_mistake_in_the_kernel_is_noticed(name: str, module: types.ModuleType, old: str, new: str) -> None:
    with kernels_with(module, old, new) as plain, pytest.raises(ParityError):
        examine(name, *plain)


@pytest.mark.parametrize("name", ["spread", "adversary", "tag", "the prey chooses", "the adversary chooses"])
def test_plain_kernels_without_a_mistake_pass(name: str) -> None:
    with kernels_with(mpe, "from __future__", "from __future__") as plain:
        examine(name, *plain, steps=100)


def examine(name: str, worlds: Any, policies: Any, *, steps: int = 1500) -> None:
    """One of the configurations, or an opponent among equally good actions."""
    if name in CONFIGURATIONS:
        play(name, worlds, steps)
    else:
        choose(name.split()[1], policies)
