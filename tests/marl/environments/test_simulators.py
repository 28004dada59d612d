"""What holds for every simulator: shapes and ranges, the entities of its layout, seeds, snapshots, the scripted team.

An adapter joins by a line in `CASES` and its changes in `perturbations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qredit.marl.environments.inert import InertAgents
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.matrix import MatrixGame
from qredit.marl.environments.rware import Warehouse
from qredit.marl.random_policy import random_actions
from tests.marl.environments.particle_worlds import made
from tests.marl.environments.perturbations import (
    ADVERSARY,
    LBF,
    MATRIX,
    SPREAD,
    TAG,
    WAREHOUSE,
    Change,
    carry_a_request,
    inside,
)

if TYPE_CHECKING:
    from qredit.marl.environments.simulator import Simulator


@dataclass(frozen=True)
class Case:
    """One simulator under test."""

    name: str
    make: Callable[[], Simulator]
    changes: Mapping[str, Change] = field(default_factory=dict)
    """A change per entity that the layout declares."""
    episodes: int = 12
    """Over how many episodes the scripted team is compared with a random one."""
    steps_before: int = 2
    """Random steps before the entities are changed, so that what happens at the start is past."""
    prepare: Change = lambda simulator: None
    """Brings about a situation in which every entity is to be seen."""


CASES = (
    Case("lbf-5x5-2p-1f", lambda: LevelBasedForaging("Foraging-5x5-2p-1f-v3"), LBF, steps_before=0),
    Case("lbf-8x8-2p-2f-coop-2s", lambda: LevelBasedForaging("Foraging-2s-8x8-2p-2f-coop-v3"), LBF),
    Case("lbf-15x15-4p-3f-2s", lambda: LevelBasedForaging("Foraging-2s-15x15-4p-3f-v3"), LBF),
    Case("lbf-9x12-5p-4f", lambda: LevelBasedForaging("Foraging-9x12-5p-4f-v3"), LBF),
    Case("matrix-climbing", lambda: MatrixGame("climbing"), MATRIX),
    Case("matrix-penalty-25", lambda: MatrixGame("penalty-25"), MATRIX),
    Case("mpe-spread-3", lambda: made("simple_spread_v3"), SPREAD),
    Case("mpe-spread-6", lambda: made("simple_spread_v3", {"N": 6}), SPREAD, episodes=6),
    Case("mpe-tag", lambda: made("simple_tag_v3"), TAG),
    Case("mpe-adversary", lambda: made("simple_adversary_v3"), ADVERSARY),
    Case("rware-tiny-2ag", lambda: Warehouse("rware-tiny-2ag-v2"), WAREHOUSE, episodes=2, prepare=carry_a_request),
    Case("rware-tiny-4ag", lambda: Warehouse("rware-tiny-4ag-v2"), WAREHOUSE, episodes=2, prepare=carry_a_request),
    Case("rware-small-4ag", lambda: Warehouse("rware-small-4ag-v2"), WAREHOUSE, episodes=2, prepare=carry_a_request),
    Case("spread-inert-2", lambda: InertAgents(made("simple_spread_v3"), 2), inside(SPREAD)),
    Case("lbf-inert-3", lambda: InertAgents(LevelBasedForaging("Foraging-2s-8x8-2p-2f-coop-v3"), 3), inside(LBF)),
    Case("matrix-inert-1", lambda: InertAgents(MatrixGame("climbing"), 1), inside(MATRIX)),
)
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def random_team(simulator: Simulator, rng: np.random.Generator) -> list[int]:
    """Uniformly random available actions, `[N]`."""
    chosen: list[int] = random_actions(simulator.available_actions()[None], rng)[0].tolist()
    return chosen


def shown(simulator: Simulator) -> list[Any]:
    """All that a simulator shows now, as plain lists."""
    return [simulator.state().tolist(), simulator.observations().tolist(), simulator.available_actions().tolist()]


def story(simulator: Simulator, rng: np.random.Generator, most: int | None = None) -> list[Any]:
    """All that is shown from now on, under random actions, to the end of the episode or for `most` steps."""
    told: list[Any] = [shown(simulator)]
    for _ in range(simulator.time_limit if most is None else most):
        result = simulator.step(random_team(simulator, rng))
        told.append([*shown(simulator), result])
        if result.terminated or result.truncated:
            break
    return told


def team_return(simulator: Simulator, seed: int, *, scripted: bool) -> float:
    """Undiscounted return of one episode."""
    rng = np.random.default_rng(seed)
    simulator.reset(seed)
    total, ended = 0.0, False
    while not ended:
        result = simulator.step(simulator.scripted_actions(rng) if scripted else random_team(simulator, rng))
        total += sum(result.agent_rewards)
        ended = result.terminated or result.truncated
    return total


# What is shown


@EVERY
def test_shapes_types_and_ranges(case: Case) -> None:
    simulator = case.make()
    n, a = simulator.n_agents, simulator.n_actions
    rng = np.random.default_rng(0)
    for seed in range(3):
        simulator.reset(seed)
        for _ in range(20):
            state, seen, available = simulator.state(), simulator.observations(), simulator.available_actions()
            assert state.shape == (simulator.layout.size,)
            assert seen.shape == (n, simulator.observation_size)
            assert available.shape == (n, a)
            assert [array.dtype.name for array in (state, seen, available)] == ["float32", "float32", "bool"]
            assert available.any(axis=1).all()
            assert np.isfinite(seen).all()
            for part, where in simulator.layout.slices():
                assert (state[where] >= part.low).all(), part.name
                assert (state[where] <= part.high).all(), part.name
            result = simulator.step(random_team(simulator, rng))
            assert len(result.agent_rewards) == n
            if result.terminated or result.truncated:
                break


@EVERY
def test_agent_axes_are_as_long_as_the_team(case: Case) -> None:
    simulator = case.make()
    for part in simulator.layout.fields:
        assert all(part.shape[axis] == simulator.n_agents for axis in part.agent_axes), part.name
        assert part.meaning.endswith(".")
        assert part.unit


@EVERY
def test_what_is_shown_belongs_to_the_caller(case: Case) -> None:
    simulator = case.make()
    simulator.reset(3)
    before = shown(simulator)
    simulator.state().fill(99)
    simulator.observations().fill(99)
    assert shown(simulator) == before


@EVERY
def test_looking_changes_nothing(case: Case) -> None:
    simulator, twin = case.make(), case.make()
    told = []
    for looked_at in (simulator, twin):
        looked_at.reset(4)
        rng = np.random.default_rng(0)
        if looked_at is twin:
            for _ in range(3):
                looked_at.save()
                looked_at.scripted_actions(np.random.default_rng(1))
                shown(looked_at)
        told.append(story(looked_at, rng))
    assert told[0] == told[1]


# The layout's entities


@EVERY
def test_exactly_the_fields_that_declare_an_entity_follow_it(case: Case) -> None:
    simulator = case.make()
    declared = {entity for part in simulator.layout.fields for entity in part.entities}
    assert declared == set(case.changes)
    for entity, change in case.changes.items():
        simulator.reset(11)
        story(simulator, np.random.default_rng(0), case.steps_before)
        case.prepare(simulator)
        before = simulator.state()
        change(simulator)
        after = simulator.state()
        followed = {part.name for part, where in simulator.layout.slices() if (before[where] != after[where]).any()}
        assert followed == {part.name for part in simulator.layout.fields if entity in part.entities}, entity


# Ends


@EVERY
def test_an_episode_ends_once_by_the_world_or_by_the_limit(case: Case) -> None:
    simulator = case.make()
    for seed in range(3):
        simulator.reset(seed)
        told = story(simulator, np.random.default_rng(seed))
        results = [entry[-1] for entry in told[1:]]
        assert not any(r.terminated or r.truncated for r in results[:-1])
        assert results[-1].terminated != results[-1].truncated
        assert results[-1].truncated == (len(results) == simulator.time_limit and not results[-1].terminated)


# Seeds and snapshots


@EVERY
def test_an_episode_is_a_function_of_its_seed_and_actions_alone(case: Case) -> None:
    fresh, used = case.make(), case.make()
    for seed in (20, 21, 22):
        used.reset(seed)
        story(used, np.random.default_rng(seed))
    told = []
    for simulator in (fresh, used):
        simulator.reset(7)
        told.append(story(simulator, np.random.default_rng(1)))
    assert told[0] == told[1]


@EVERY
@settings(max_examples=10)
@given(seeds=st.tuples(*[st.integers(0, 2**31)] * 3), before=st.integers(0, 12), after=st.integers(1, 20))
def test_a_snapshot_leads_to_the_same_future(case: Case, seeds: tuple[int, int, int], before: int, after: int) -> None:
    """Also a second time, after the simulator has gone on, and in another one that was elsewhere."""
    simulator, other = case.make(), case.make()
    simulator.reset(seeds[0])
    other.reset(seeds[1])
    story(other, np.random.default_rng(0), 3)
    *_, last = story(simulator, np.random.default_rng(seeds[2]), before)
    if before and (last[-1].terminated or last[-1].truncated):
        simulator.reset(seeds[0])  # a snapshot is of an episode that goes on
    snapshot = simulator.save()
    first = story(simulator, np.random.default_rng(5), after)
    for again in (simulator, other, simulator):
        again.restore(snapshot)
        assert story(again, np.random.default_rng(5), after) == first
        again.restore(snapshot)
        scripted = again.scripted_actions(np.random.default_rng(6))
        simulator.restore(snapshot)
        assert simulator.scripted_actions(np.random.default_rng(6)) == scripted


@EVERY
def test_a_restored_episode_ends_when_the_first_one_did(case: Case) -> None:
    simulator, other = case.make(), case.make()
    simulator.reset(2)
    story(simulator, np.random.default_rng(0), 2)
    snapshot = simulator.save()
    ends = []
    for again in (simulator, other):
        again.restore(snapshot)
        ends.append([entry[-1] for entry in story(again, np.random.default_rng(1))[1:]])
    assert ends[0] == ends[1]
    assert ends[0][-1].terminated or ends[0][-1].truncated


# The scripted team


@EVERY
def test_the_scripted_team_earns_more_than_a_random_one(case: Case) -> None:
    simulator = case.make()
    scripted = [team_return(simulator, seed, scripted=True) for seed in range(case.episodes)]
    chance = [team_return(simulator, seed, scripted=False) for seed in range(case.episodes)]
    spread = np.std(np.array(scripted) - np.array(chance)) / np.sqrt(case.episodes)
    assert np.mean(scripted) - np.mean(chance) > 3 * spread


@EVERY
def test_scripted_actions_are_available(case: Case) -> None:
    simulator = case.make()
    rng = np.random.default_rng(0)
    simulator.reset(1)
    for _ in range(20):
        actions = simulator.scripted_actions(rng)
        assert len(actions) == simulator.n_agents
        assert simulator.available_actions()[np.arange(simulator.n_agents), actions].all()
        assert all(type(action) is int for action in actions)
        result = simulator.step(actions)
        if result.terminated or result.truncated:
            break
