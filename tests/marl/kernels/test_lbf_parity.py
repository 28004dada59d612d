"""Compiled level-based foraging equals the official package to the last bit, seeds included."""

from __future__ import annotations

import types
from collections import Counter
from typing import Any

import numpy as np
import pytest

from qredit.errors import ConfigurationError
from qredit.marl.environments.lbf import LevelBasedForaging, Saved
from qredit.marl.environments.simulator import StepResult
from qredit.marl.kernels import lbf, lbf_showing, lbf_spawning, lbf_worlds
from qredit.marl.kernels.compiling import usable_threads
from tests.marl.kernels.mutants import mutants
from tests.marl.kernels.parity import LONG, STEPS, ParityError, lockstep

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "5x5-2p-1f": ("Foraging-5x5-2p-1f-v3", {}),
    "8x8-2p-2f-coop-2s": ("Foraging-2s-8x8-2p-2f-coop-v3", {}),
    "10x10-3p-3f-2s": ("Foraging-2s-10x10-3p-3f-v3", {}),
    "15x15-4p-3f-2s": ("Foraging-2s-15x15-4p-3f-v3", {}),
    "crowded": ("Foraging-5x5-6p-2f-v3", {"max_episode_steps": 20}),
    "levels of rewards": ("Foraging-6x6-3p-2f-v3", {"normalize_reward": False, "penalty": 0.25}),
    "no levels seen": ("Foraging-1s-7x7-3p-3f-v3", {"observe_agent_levels": False}),
    "one-sided board": ("Foraging-4x9-2p-2f-v3", {"max_player_level": 4, "min_food_level": 2}),
}
EVENTS = ("load", "load in vain", "collision", "move into food or edge", "two loads at once", "truncation", "all eaten")


def world(name: str) -> LevelBasedForaging:
    environment_id, arguments = CONFIGURATIONS[name]
    return LevelBasedForaging(environment_id, arguments)


def events(before: Saved, actions: list[int], result: StepResult, after: Saved) -> dict[str, int]:
    """What happened, from the official side alone."""
    targets = [_target(before, i, action) for i, action in enumerate(actions)]
    loads = int(np.count_nonzero(before.field) - np.count_nonzero(after.field))
    tried = sum(action == lbf_worlds.LOAD and _food_beside(before, i) for i, action in enumerate(actions))
    blocked = sum(
        1 <= action <= 4 and _target(before, i, action) == before.agents[i][:2] for i, action in enumerate(actions)
    )
    return {
        "load": loads,
        "load in vain": tried > 0 and loads == 0,
        "two loads at once": loads > 1,
        "collision": any(n > 1 for n in Counter(targets).values()),
        "move into food or edge": blocked,
        "all eaten": result.terminated,
    }


def _target(before: Saved, i: int, action: int) -> tuple[int, int]:
    row, column, _ = before.agents[i]
    down, right = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}.get(action, (0, 0))
    there = (row + down, column + right)
    rows, columns = before.field.shape
    on_board = 0 <= there[0] < rows and 0 <= there[1] < columns
    return there if on_board and before.field[there] == 0 else (row, column)


def _food_beside(before: Saved, i: int) -> bool:
    row, column, _ = before.agents[i]
    return any(abs(r - row) + abs(c - column) == 1 for r, c in np.argwhere(before.field > 0))


def test_every_configuration_in_lockstep() -> None:
    counts = Counter[str]()
    for name in CONFIGURATIONS:
        simulator = world(name)
        counts += lockstep(simulator, lbf.CompiledForaging(simulator, 1), steps=STEPS, seed=0, events=events)
    print(dict(counts))
    enough = 200 if LONG else 3
    assert all(counts[event] >= enough for event in EVENTS), counts


MODULES = (lbf_spawning, lbf_showing, lbf)
"""Each after those that it imports."""


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (lbf, "if strength >= level:\n            foods", "if strength > level:\n            foods"),
        (lbf, "reward = 0.0 - penalty", "reward = 0.0"),
        (lbf, "reward = 0.0 - penalty", "reward = -penalty"),
        (lbf, "reward /= strength * unit", "reward /= unit"),
        (lbf, "        if alone:\n", "        if True:\n"),
        (lbf, "if not on_board or _food_at(foods, b, r, c):", "if not on_board:"),
        (lbf, "on_board = 0 <= r < rows and 0 <= c < columns", "on_board = 0 <= r < columns and 0 <= c < rows"),
        (lbf, "food_left and w.steps[b] >= rules.time_limit", "food_left and w.steps[b] > rules.time_limit"),
        (lbf, "shown.terminated[b] = not food_left", "shown.terminated[b] = False"),
        (lbf_showing, "(abs(column - own_column) <= sight)", "(abs(column - own_column) < sight)"),
        (lbf_showing, "(row <= 2 * sight)", "(row < 2 * sight)"),
        (lbf_spawning, "(right == 0 and down <= 2)", "(right == 0 and down <= 1)"),
        (lbf_spawning, "lowest = highest", "lowest = 1"),
        (lbf_spawning, "_STRONGEST_TEAM = 3", "_STRONGEST_TEAM = 2"),
    ],
)
def test_a_mistake_in_the_kernel_is_noticed(module: types.ModuleType, old: str, new: str) -> None:
    def caught() -> bool:
        with mutants(MODULES, module, old, new) as wrong:
            for name in CONFIGURATIONS:
                simulator = world(name)
                try:
                    lockstep(simulator, wrong.CompiledForaging(simulator, 1), steps=200, seed=0)
                except ParityError:
                    return True
        return False

    assert caught()


def test_resets_are_the_official_ones() -> None:
    for name in CONFIGURATIONS:
        simulator = world(name)
        batch = lbf.CompiledForaging(simulator, 50)
        seeds = [*range(48), 2**32, 2**64 - 1]
        batch.reset(seeds)
        for b, seed in enumerate(seeds):
            simulator.reset(seed)
            ours, official = batch.save(b), simulator.save()
            assert ours.agents == official.agents
            assert ours.food_cells == official.food_cells
            assert np.array_equal(ours.field, official.field)
            assert ours.generator == official.generator


def test_snapshots_go_both_ways() -> None:
    simulator = world("10x10-3p-3f-2s")
    batch = lbf.CompiledForaging(simulator, 2)
    batch.reset([3, 4])
    simulator.reset(5)
    simulator.restore(batch.save(1))
    assert np.array_equal(simulator.state(), batch.shown.states[1])
    batch.load(0, simulator.save())
    assert np.array_equal(batch.shown.states[0], batch.shown.states[1])
    assert np.array_equal(batch.shown.observations[0], batch.shown.observations[1])


@pytest.mark.skipif(usable_threads() < 2, reason="this process may use one core")
def test_several_threads_play_the_same_episodes() -> None:
    simulator = world("10x10-3p-3f-2s")
    one, two = (lbf.CompiledForaging(simulator, 40, n_threads=n) for n in (1, 2))
    rng = np.random.default_rng(0)
    for batch in (one, two):
        batch.reset(range(40))
    for _ in range(50):
        actions = rng.integers(0, 6, (40, 3))
        a, b = one.step(actions), two.step(actions)
        assert np.array_equal(a.observations, b.observations)
        assert np.array_equal(a.rewards, b.rewards)


def test_more_threads_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="999 threads"):
        lbf.CompiledForaging(world("5x5-2p-1f"), 1, n_threads=999)
