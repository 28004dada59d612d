"""The replay ring, compared with a plain list."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qredit.layout import StateField, StateLayout
from qredit.marl.environment import TimeStep
from qredit.marl.replay import Episodes, ReplayBuffer

T, N, S, A = 5, 2, 4, 6
OBSERVATION, C = 3, 2


class Shapes:
    """Nothing but the sizes of an environment."""

    layout = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
    n_environments, n_agents, n_actions, observation_size, time_limit = 1, N, A, OBSERVATION, T

    def reset(self, seeds: object) -> TimeStep:
        raise NotImplementedError

    def step(self, actions: object) -> TimeStep:
        raise NotImplementedError


def episodes(first: int, lengths: list[int]) -> Episodes:
    """Episodes whose every number tells which episode and which step it is: `100 * number + t`."""
    made = Episodes.zeros(len(lengths), Shapes(), credit_size=C)
    for e, length in enumerate(lengths):
        number = 100.0 * (first + e)
        made.rewards[e] = number + torch.arange(T)
        made.actions[e] = (first + e) % A
        made.observations[e] = (number + torch.arange(T + 1)).reshape(-1, 1, 1)
        made.states[e] = (number + torch.arange(T + 1)).reshape(-1, 1)
        made.credit[e] = made.states[e, :, :C]
        made.available_actions[e] = (first + e) % 2 == 0
        made.filled[e, :length] = True
        made.terminated[e, length - 1] = True
    return made


def numbers_of(sample: Episodes) -> list[int]:
    return (sample.rewards[:, 0] / 100).round().int().tolist()


LENGTHS = st.lists(st.integers(1, T), min_size=1, max_size=6)


@given(st.integers(1, 6), st.lists(LENGTHS, max_size=8), st.integers(0, 2**32 - 1))
def test_the_ring_holds_the_latest_episodes_like_a_list(capacity: int, additions: list[list[int]], seed: int) -> None:
    ring = ReplayBuffer(capacity, Shapes(), credit_size=C)
    model: list[tuple[int, int]] = []  # (number, length)
    for lengths in additions:
        lengths = lengths[:capacity]
        ring.add(episodes(len(model), lengths))
        model += [(len(model) + e, length) for e, length in enumerate(lengths)]
    held = model[-capacity:] if model else []
    assert (len(ring), ring.added) == (len(held), len(model))
    rng = np.random.default_rng(seed)
    for count in range(1, len(held) + 1):
        sample = ring.sample(count, rng)
        numbers = numbers_of(sample)
        assert len(set(numbers)) == count, "without replacement"
        assert set(numbers) <= {number for number, _ in held}
        length_of = dict(held)
        lengths = [length_of[number] for number in numbers]
        _assert_whole(sample, numbers, lengths)
    if held:
        assert sorted(numbers_of(ring.sample(len(held), rng))) == [number for number, _ in held]


def _assert_whole(sample: Episodes, numbers: list[int], lengths: list[int]) -> None:
    """Every tensor belongs to the same episodes and is cut to the longest."""
    steps, count = max(lengths), len(numbers)
    assert {name: tuple(tensor.shape) for name, tensor in sample.tensors().items()} == {
        "observations": (count, steps + 1, N, OBSERVATION),
        "states": (count, steps + 1, S),
        "available_actions": (count, steps + 1, N, A),
        "actions": (count, steps, N),
        "rewards": (count, steps),
        "agent_rewards": (count, steps, N),
        "terminated": (count, steps),
        "filled": (count, steps),
        "credit": (count, steps + 1, C),
    }
    for e, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
        assert sample.rewards[e].tolist() == [100 * number + t for t in range(steps)]
        assert sample.states[e, :, 0].tolist() == [100 * number + t for t in range(steps + 1)]
        assert sample.credit[e, :, C - 1].tolist() == [100 * number + t for t in range(steps + 1)]
        assert sample.observations[e, :, 1, 2].tolist() == [100 * number + t for t in range(steps + 1)]
        assert set(sample.actions[e].flatten().tolist()) == {number % A}
        assert set(sample.available_actions[e].flatten().tolist()) == {number % 2 == 0}
        assert sample.filled[e].tolist() == [t < length for t in range(steps)]
        assert sample.terminated[e].tolist() == [t == length - 1 for t in range(steps)]


@given(st.integers(1, 5), st.lists(LENGTHS, max_size=5), st.integers(1, 40))
def test_visited_states_are_those_in_which_an_action_was_taken(
    capacity: int, additions: list[list[int]], limit: int
) -> None:
    ring = ReplayBuffer(capacity, Shapes(), credit_size=C)
    model: list[tuple[int, int]] = []
    for lengths in additions:
        ring.add(episodes(len(model), lengths[:capacity]))
        model += [(len(model) + e, length) for e, length in enumerate(lengths[:capacity])]
    expected = {100 * number + t for number, length in model[-capacity:] for t in range(length)}
    everything = ring.visited_states(10_000)
    assert everything.shape == (len(expected), S)
    assert set(everything[:, 0].int().tolist()) == expected
    some = ring.visited_states(limit)
    assert len(some) <= limit
    assert set(some[:, 0].int().tolist()) <= expected
    if expected:
        assert len(some) >= min(len(expected), limit / 2), "from all that is held, not from a corner"


@given(st.integers(1, 5), st.lists(LENGTHS, min_size=1, max_size=5), LENGTHS)
def test_a_restored_ring_goes_on_like_the_original(
    capacity: int, additions: list[list[int]], further: list[int]
) -> None:
    ring, added = ReplayBuffer(capacity, Shapes(), credit_size=C), 0
    for lengths in additions:
        ring.add(episodes(added, lengths[:capacity]))
        added += len(lengths[:capacity])
    copy = ReplayBuffer(capacity, Shapes(), credit_size=C)
    copy.restore({name: tensor.clone() for name, tensor in ring.contents().items()}, ring.added)
    for buffer in (ring, copy):
        buffer.add(episodes(added, further[:capacity]))
    assert (len(copy), copy.added) == (len(ring), ring.added)
    a, b = (buffer.sample(len(ring), np.random.default_rng(3)) for buffer in (ring, copy))
    assert numbers_of(a) == numbers_of(b)
    assert torch.equal(a.filled, b.filled)
    for name, tensor in a.tensors().items():
        for e, length in enumerate(a.filled.sum(dim=1).tolist()):
            end = length + 1 if name in ("observations", "states", "available_actions", "credit") else length
            assert torch.equal(tensor[e, :end], b.tensors()[name][e, :end]), name  # what follows is padding


def test_sampling_is_uniform_over_what_is_held() -> None:
    ring = ReplayBuffer(6, Shapes(), credit_size=C)
    for first in range(0, 9, 3):
        ring.add(episodes(first, [1, 2, 3]))
    rng = np.random.default_rng(0)
    drawn = Counter(number for _ in range(2000) for number in numbers_of(ring.sample(2, rng)))
    assert set(drawn) == set(range(3, 9))
    assert [count / 4000 for count in drawn.values()] == pytest.approx([1 / 6] * 6, abs=0.02)


def test_sampling_is_a_function_of_the_generator() -> None:
    ring = ReplayBuffer(8, Shapes(), credit_size=C)
    ring.add(episodes(0, [1] * 8))
    draw = [numbers_of(ring.sample(4, np.random.default_rng(seed))) for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


def test_what_is_added_is_copied() -> None:
    """The collector uses its storage again for the next episodes."""
    ring, source = ReplayBuffer(2, Shapes(), credit_size=C), episodes(3, [2])
    ring.add(source)
    for tensor in source.tensors().values():
        tensor.zero_()
    assert numbers_of(ring.sample(1, np.random.default_rng(0))) == [3]


def test_a_sample_does_not_change_when_the_ring_moves_on() -> None:
    ring = ReplayBuffer(1, Shapes(), credit_size=C)
    ring.add(episodes(1, [2]))
    sample = ring.sample(1, np.random.default_rng(0))
    ring.add(episodes(2, [2]))
    assert numbers_of(sample) == [1]


def test_more_than_is_there_cannot_be_sampled() -> None:
    ring = ReplayBuffer(4, Shapes(), credit_size=C)
    ring.add(episodes(0, [1, 1]))
    with pytest.raises(ValueError, match="3 episodes wanted, 2 are there"):
        ring.sample(3, np.random.default_rng(0))


def test_more_than_fits_cannot_be_added() -> None:
    ring = ReplayBuffer(2, Shapes(), credit_size=C)
    with pytest.raises(ValueError, match="3 episodes do not fit into a ring of 2"):
        ring.add(episodes(0, [1, 1, 1]))
    assert len(ring) == 0


def test_moving_to_a_device_keeps_every_number() -> None:
    moved = episodes(4, [2, 3]).to(torch.device("cpu")).tensors()
    for name, tensor in episodes(4, [2, 3]).tensors().items():
        assert torch.equal(moved[name], tensor)
        assert moved[name].dtype == tensor.dtype


def test_dtypes_of_what_is_stored() -> None:
    dtypes = {name: tensor.dtype for name, tensor in Episodes.zeros(1, Shapes(), credit_size=C).tensors().items()}
    floats = dict.fromkeys(("observations", "states", "rewards", "agent_rewards", "credit"), torch.float32)
    flags = dict.fromkeys(("available_actions", "terminated", "filled"), torch.bool)
    assert dtypes == {**floats, **flags, "actions": torch.int64}
