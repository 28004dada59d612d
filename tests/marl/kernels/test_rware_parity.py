"""Compiled warehouses equal the official package to the last bit, seeds included."""

from __future__ import annotations

import dataclasses
import types
from collections import Counter
from typing import Any

import numpy as np
import pytest
from rware.warehouse import Direction

from qredit.marl.environments.rware import Warehouse
from qredit.marl.environments.rware_script import FORWARD, TOGGLE, WAIT
from qredit.marl.kernels import rware, rware_moves, rware_showing, rware_ties, set_order
from qredit.marl.kernels.compiling import usable_threads
from tests.marl.kernels.mutants import mutants
from tests.marl.kernels.parity import LONG, STEPS, ParityError, lockstep
from tests.marl.kernels.warehouse_events import events_of


class Throng(Warehouse):
    """A warehouse in which scripted agents push forward: queues, ties and cycles are its daily life."""

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Forward in nine of ten cases, `[N]`."""
        return [FORWARD if rng.random() < 0.9 else int(rng.integers(TOGGLE + 1)) for _ in range(self.n_agents)]


CONFIGURATIONS: dict[str, tuple[type[Warehouse], str, dict[str, Any]]] = {
    "tiny-2ag": (Warehouse, "rware-tiny-2ag-v2", {}),
    "two stages": (Warehouse, "rware-tiny-4ag-v2", {"reward_type": "two_stage"}),
    "all rewarded": (Warehouse, "rware-small-4ag-v2", {"reward_type": "global"}),
    "far sight": (Warehouse, "rware-2s-tiny-4ag-easy-v2", {"normalised_coordinates": True}),
    "short episodes": (Warehouse, "rware-tiny-6ag-v2", {"max_steps": 60}),
    "narrow": (Warehouse, "rware-1x3-1h-8ag-3req-twostage-v2", {"max_steps": 200}),
    "throng": (Throng, "rware-1x3-2h-22ag-4req-indiv-v2", {"max_steps": 100}),
}
EVENTS = (
    *("pick-up", "put-down", "put-down after delivery", "put-down in an aisle refused", "delivery", "truncation"),
    *("blocked move", "cancelled move", "move after another agent", "change of places refused", "cycle"),
    *("tie in the graph", "tie in a set", "tie in a set that grew", "tie of queues of several"),
)


def world(name: str) -> Warehouse:
    kind, environment_id, arguments = CONFIGURATIONS[name]
    return kind(environment_id, arguments)


def huddle(kernels: Any, steps: int) -> Counter[str]:
    """As `lockstep`, of eight agents in a part of a small warehouse that nearly all go forward, each step anew."""
    simulator, rng, counts = Warehouse("rware-1x3-1h-8ag-1req-indiv-v2"), np.random.default_rng(0), Counter[str]()
    batch, events, start = kernels.CompiledWarehouse(simulator, 1), events_of(simulator), simulator.save()
    for _ in range(steps):
        rows, columns = rng.integers(2, 5), rng.integers(4, 11)
        places = rng.choice(rows * columns, size=simulator.n_agents, replace=False).tolist()
        agents = tuple(
            (place % columns, place // columns, list(Direction)[rng.integers(4)], 0, False) for place in places
        )
        before = dataclasses.replace(start, agents=agents)
        actions = [FORWARD if rng.random() < 0.9 else WAIT for _ in agents]
        simulator.restore(before)
        batch.load(0, before)
        result = simulator.step(actions)
        batch.step(np.array([actions]))
        if batch.save(0) != simulator.save():
            raise ParityError(f"from {before} with {actions}")
        counts.update(events(before, actions, result, simulator.save()))
    return counts


def play(name: str, kernels: Any, steps: int) -> Counter[str]:
    if name == "huddle":
        return huddle(kernels, steps)
    simulator = world(name)
    batch = kernels.CompiledWarehouse(simulator, 2)
    return lockstep(simulator, batch, steps=steps, seed=0, events=events_of(simulator))


def test_every_configuration_in_lockstep() -> None:
    counts = Counter[str]()
    for name in (*CONFIGURATIONS, "huddle"):
        found = play(name, rware, STEPS)
        print(name, dict(found))
        counts += found
    print("all", dict(counts))
    enough = 200 if LONG else 5
    assert all(counts[event] >= enough for event in EVENTS), counts
    assert counts["two deliveries at once"], counts


MODULES = (set_order, rware_ties, rware_moves, rware_showing, rware)
"""Each after those that it imports."""


@pytest.mark.parametrize(
    ("name", "module", "old", "new"),
    [
        ("tiny-2ag", rware, "w.carried[b, i] = w.shelf_at[b, cell]", "pass"),
        ("tiny-2ag", rware, "action == TOGGLE and not rules.highways[cell]", "action == TOGGLE"),
        ("tiny-2ag", rware, "to_pass -= not w.requested[b, shelf]", "to_pass -= 1"),
        ("tiny-2ag", rware, "n_shelves - n_requests)", "n_shelves - n_requests + 1)"),
        ("tiny-2ag", rware, "0 if _deliver(w, rules, b) else", "0 * _deliver(w, rules, b) +"),
        ("tiny-2ag", rware, "(2, 3, 1, 0), (3, 2, 0, 1)", "(3, 2, 0, 1), (2, 3, 1, 0)"),
        ("two stages", rware, "            w.delivered[b, i] = False\n", ""),
        ("two stages", rware, "if w.delivered[b, i] and", "if"),
        ("two stages", rware, "w.rewards[b, carrier] += 0.5", "w.rewards[b, carrier] += 1.0"),
        ("all rewarded", rware, "w.rewards[b, i] += 1\n", "w.rewards[b, i] += i == carrier\n"),
        ("far sight", rware_showing, "column / (rules.columns - 1)", "column / rules.columns"),
        ("far sight", rware_showing, "column + rules.sight + 1", "column + rules.sight"),
        ("far sight", rware_showing, "if agent > 0 else 0", "if agent > 0 else 1"),
        ("short episodes", rware, "w.steps[b] >= rules.time_limit", "w.steps[b] > rules.time_limit"),
        ("throng", rware_moves, "and not under_load", ""),
        ("throng", rware_moves, "and w.carried[b, i] > 0", ""),
        ("throng", rware_moves, "and w.shelf_at[b, target] > 0", ""),
        ("huddle", rware_moves, "_CHANGE_OF_PLACES = 2", "_CHANGE_OF_PLACES = 1"),
        ("huddle", rware_moves, "_CHANGE_OF_PLACES = 2", "_CHANGE_OF_PLACES = 4"),
        ("huddle", rware_moves, "cell = w.cells[b, first]", "return"),
        ("huddle", rware_moves, "w.behind[b, i] > w.behind[b, rival]", "w.behind[b, i] < w.behind[b, rival]"),
        ("huddle", rware_moves, "return comes_first(w, rules, b, i, rival)", "return i < rival"),
        ("huddle", rware_ties, "if 2 * size >= n_nodes:", "if True:"),
        ("huddle", rware_ties, "if 2 * size >= n_nodes:", "if 2 * size > n_nodes:"),
        ("huddle", rware_ties, "if 2 * size >= n_nodes:", "if False:"),
        ("huddle", rware_ties, "starts[i] < starts[rival]", "i < rival"),
        ("throng", set_order, "3 * (size - 1)", "4 * (size - 1)"),
        ("throng", set_order, "4 * used", "2 * used"),
    ],
)
def test_a_mistake_in_the_kernel_is_noticed(name: str, module: types.ModuleType, old: str, new: str) -> None:
    with mutants(MODULES, module, old, new) as wrong, pytest.raises(ParityError):
        play(name, wrong, 1500)


def test_resets_are_the_official_ones() -> None:
    for name in CONFIGURATIONS:
        simulator = world(name)
        batch = rware.CompiledWarehouse(simulator, 50)
        seeds = [*range(48), 2**32, 2**64 - 1]
        batch.reset(seeds)
        for b, seed in enumerate(seeds):
            simulator.reset(seed)
            assert batch.save(b) == simulator.save()


def test_snapshots_go_both_ways() -> None:
    """In the middle of the work, with shelves away from their places."""
    simulator, rng = world("two stages"), np.random.default_rng(0)
    batch = rware.CompiledWarehouse(simulator, 2)
    batch.reset([3, 4])
    simulator.reset(4)
    for _ in range(300):
        actions = simulator.scripted_actions(rng)
        batch.step(np.array([actions, actions]))
        simulator.step(actions)
    other = world("two stages")
    other.restore(batch.save(1))
    batch.load(0, simulator.save())
    assert any(carried for *_, carried, _ in other.save().agents)
    assert other.save() == batch.save(0)
    for _ in range(100):
        actions = other.scripted_actions(rng)
        now = batch.step(np.array([actions, actions]))
        other.step(actions)
        assert np.array_equal(now.states[0], other.state())
        assert np.array_equal(now.observations[0], other.observations())
        assert batch.save(0) == batch.save(1)


def test_who_has_ended_stays_as_it_is() -> None:
    batch = rware.CompiledWarehouse(world("short episodes"), 2)
    now = batch.reset([1])
    before = batch.save(1)
    for _ in range(60):
        assert now.ended.tolist() == [False, True]
        now = batch.step(np.full((2, 6), FORWARD))
    ended = batch.save(0)
    now = batch.step(np.full((2, 6), FORWARD))
    assert now.ended.all()
    assert (batch.save(0), batch.save(1)) == (ended, before)


@pytest.mark.skipif(not LONG, reason="`make parity` does it: compiling for several threads takes 40 s")
@pytest.mark.skipif(usable_threads() < 2, reason="this process may use one core")
def test_several_threads_play_the_same_episodes() -> None:
    simulator = world("throng")
    one, two = (rware.CompiledWarehouse(simulator, 40, n_threads=n) for n in (1, 2))
    rng = np.random.default_rng(0)
    for batch in (one, two):
        batch.reset(range(40))
    for _ in range(50):
        actions = rng.integers(0, 5, (40, simulator.n_agents))
        a, b = one.step(actions), two.step(actions)
        assert np.array_equal(a.observations, b.observations)
        assert np.array_equal(a.states, b.states)
        assert np.array_equal(a.rewards, b.rewards)
