"""Simulators behind the batched interface: who is stepped, what is kept, what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.batch import SimulatorBatch
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.simulator import Snapshot, StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 4


@dataclass
class Clock:
    """Shows its seed and its time; the world of an even seed ends after `seed` steps, others run to the limit."""

    n_agents: int = 2
    n_actions: int = 3
    observation_size: int = 1
    time_limit: int = LIMIT
    layout: StateLayout = field(
        default=StateLayout((StateField("seed_and_time", (2,), "steps", 0, 99, "Seed and time."),))
    )
    seed: int = -1
    time: int = 0
    chosen: list[Sequence[int]] = field(default_factory=list)
    """What was chosen since the last reset."""

    def reset(self, seed: int) -> None:
        self.seed, self.time, self.chosen = seed, 0, []

    def step(self, actions: Sequence[int]) -> StepResult:
        self.time += 1
        self.chosen.append(actions)
        over = self.seed % 2 == 0 and self.time >= self.seed
        rewards = (self.time, 0.5 * actions[1])
        return StepResult(rewards, terminated=over, truncated=not over and self.time >= LIMIT)

    def state(self) -> NDArray[np.float32]:
        return np.array([self.seed, self.time], dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        return np.array([[self.seed], [self.time]], dtype=np.float32)

    def available_actions(self) -> NDArray[np.bool_]:
        numbers = np.array([[0, 1, 2], [3, 4, 5]])
        free: NDArray[np.bool_] = numbers != self.time
        return free

    def save(self) -> Snapshot:
        raise NotImplementedError

    def restore(self, snapshot: Snapshot) -> None:
        raise NotImplementedError

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        raise NotImplementedError


def clocks(count: int) -> tuple[SimulatorBatch, list[Clock]]:
    simulators = [Clock() for _ in range(count)]
    return SimulatorBatch(simulators), simulators


def test_sizes_come_from_the_simulators() -> None:
    batch, simulators = clocks(3)
    assert (batch.n_environments, batch.n_agents, batch.n_actions) == (3, 2, 3)
    assert (batch.observation_size, batch.time_limit) == (1, LIMIT)
    assert batch.layout == simulators[0].layout


def test_each_place_shows_its_own_simulator() -> None:
    batch, _ = clocks(3)
    now = batch.reset([2, 5, 7])
    assert now.states.tolist() == [[2, 0], [5, 0], [7, 0]]
    assert not now.ended.any()
    now = batch.step(np.array([[0, 1], [1, 0], [2, 2]]))
    assert now.states.tolist() == [[2, 1], [5, 1], [7, 1]]
    assert now.observations.tolist() == [[[2], [1]], [[5], [1]], [[7], [1]]]
    assert now.available_actions[0].tolist() == [[True, False, True], [True, True, True]]
    assert now.agent_rewards.tolist() == [[1, 0.5], [1, 0], [1, 1]]
    assert now.rewards.tolist() == [1.5, 1, 2]


def test_each_simulator_gets_its_own_actions_as_plain_numbers() -> None:
    batch, simulators = clocks(2)
    batch.reset([5, 7])
    batch.step(np.array([[0, 1], [1, 2]]))
    assert [simulator.chosen for simulator in simulators] == [[[0, 1]], [[1, 2]]]
    assert all(type(action) is int for simulator in simulators for action in simulator.chosen[0])


def test_an_ended_environment_is_frozen_while_the_others_play_on() -> None:
    batch, simulators = clocks(3)
    batch.reset([2, 5, 4])
    ended = []
    for _ in range(LIMIT + 1):
        now = batch.step(np.ones((3, 2), dtype=np.int64))
        ended.append((now.terminated.tolist(), now.truncated.tolist(), now.rewards.tolist()))
    assert ended == [
        ([False, False, False], [False, False, False], [1.5, 1.5, 1.5]),
        ([True, False, False], [False, False, False], [2.5, 2.5, 2.5]),
        ([True, False, False], [False, False, False], [0, 3.5, 3.5]),
        ([True, False, True], [False, True, False], [0, 4.5, 4.5]),
        ([True, False, True], [False, True, False], [0, 0, 0]),
    ]
    assert now.states.tolist() == [[2, 2], [5, 4], [4, 4]]
    assert [simulator.time for simulator in simulators] == [2, 4, 4]
    assert not now.agent_rewards.any()


def test_a_reset_with_fewer_seeds_leaves_the_rest_ended_and_out_of_the_way() -> None:
    batch, simulators = clocks(3)
    batch.reset([5, 7, 9])
    batch.step(np.zeros((3, 2), dtype=np.int64))
    now = batch.reset([11])
    assert now.ended.tolist() == [False, True, True]
    assert now.terminated.tolist() == [False, False, False]
    assert not now.rewards.any()
    assert not now.agent_rewards.any()
    now = batch.step(np.zeros((3, 2), dtype=np.int64))
    assert now.rewards.tolist() == [1, 0, 0]
    assert [simulator.time for simulator in simulators] == [1, 1, 1]
    assert [simulator.seed for simulator in simulators] == [11, 7, 9]


def test_before_the_first_reset_everything_counts_as_ended() -> None:
    batch, simulators = clocks(2)
    now = batch.step(np.zeros((2, 2), dtype=np.int64))
    assert now.ended.all()
    assert [simulator.time for simulator in simulators] == [0, 0]


def test_the_arrays_are_reused() -> None:
    batch, _ = clocks(2)
    first = batch.reset([5, 7])
    states = first.states
    assert batch.step(np.zeros((2, 2), dtype=np.int64)) is first
    assert batch.reset([1, 3]).states is states


@pytest.mark.parametrize("board", ["Foraging-5x5-2p-1f-v3", "Foraging-2s-10x10-3p-3f-v3"])
def test_an_episode_does_not_depend_on_its_place(board: str) -> None:
    alone = SimulatorBatch([LevelBasedForaging(board)])
    several = SimulatorBatch([LevelBasedForaging(board) for _ in range(3)])
    one, many = alone.reset([7]), several.reset([8, 9, 7])
    rng = np.random.default_rng(0)
    while not one.ended.all():
        assert np.array_equal(many.states[2], one.states[0])
        assert np.array_equal(many.observations[2], one.observations[0])
        actions = rng.integers(0, 6, (3, several.n_agents))
        one, many = alone.step(actions[2:]), several.step(actions)
        assert many.rewards[2] == one.rewards[0]
    assert many.ended[2]


class Crowd(Clock):
    """From its second step on there is one agent more than there was."""

    def step(self, actions: Sequence[int]) -> StepResult:
        result = super().step(actions)
        rewards = (*result.agent_rewards, 1.0) if self.time > 1 else result.agent_rewards
        return StepResult(rewards, result.terminated, result.truncated)


class Growing(Clock):
    """From its first step on it shows one row for both agents, which numpy would stretch."""

    def observations(self) -> NDArray[np.float32]:
        seen = super().observations()
        return seen[:1] if self.time else seen


@pytest.mark.parametrize(("kind", "message"), [(Crowd, "rewards"), (Growing, "observations")])
def test_an_environment_that_changes_its_number_of_agents_is_refused(kind: type[Clock], message: str) -> None:
    batch = SimulatorBatch([kind()])
    batch.reset([7])
    stay = np.zeros((1, 2), dtype=np.int64)
    if kind is Crowd:
        batch.step(stay)
    with pytest.raises(ConfigurationError, match=f"{message} of the environment"):
        batch.step(stay)


def test_masks_can_be_left_out() -> None:
    masked, free = SimulatorBatch([Clock()]), SimulatorBatch([Clock()], mask_actions=False)
    assert not masked.reset([7]).available_actions.all()
    assert free.reset([7]).available_actions.all()
    assert free.step(np.zeros((1, 2), dtype=np.int64)).available_actions.all()
