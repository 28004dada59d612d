"""Kernels draw numpy's own random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.kernels import random
from qredit.marl.kernels.batch import generator_state, load_generator

SEEDS = st.integers(0, 2**64 - 1)


def generator(seed: int) -> np.ndarray:
    made = np.zeros(random.WORDS, dtype=np.uint64)
    random.seed_generator(made, np.uint64(seed))
    return made


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
def test_seeding_is_numpys(seed: int) -> None:
    assert generator_state(generator(seed)) == np.random.default_rng(seed).bit_generator.state


@given(SEEDS, st.lists(st.tuples(st.integers(-1000, 1000), st.integers(1, 2**32 - 1)), max_size=30))
def test_integers_are_numpys(seed: int, ranges: list[tuple[int, int]]) -> None:
    ours, numpys = generator(seed), np.random.default_rng(seed)
    for low, values in ranges:
        assert random.integer(ours, low, low + values) == numpys.integers(low, low + values)
    assert generator_state(ours) == numpys.bit_generator.state


@given(SEEDS, st.floats(-10, 10), st.floats(-10, 10))
def test_uniform_numbers_are_numpys(seed: int, low: float, high: float) -> None:
    ours, numpys = generator(seed), np.random.default_rng(seed)
    low, high = min(low, high), max(low, high)
    for _ in range(5):
        assert random.uniform(ours, low, high) == numpys.uniform(low, high)


@given(SEEDS, st.integers(1, 60))
def test_permutations_are_numpys(seed: int, size: int) -> None:
    ours, numpys = generator(seed), np.random.default_rng(seed)
    found = np.zeros(size, dtype=np.int64)
    for _ in range(3):
        random.permutation(ours, found)
        assert np.array_equal(found, numpys.permutation(size))


@given(SEEDS, st.integers(1, 300), st.data())
def test_choices_without_replacement_are_numpys(seed: int, population: int, data: st.DataObject) -> None:
    ours, numpys = generator(seed), np.random.default_rng(seed)
    chosen = np.zeros(data.draw(st.integers(1, population)), dtype=np.int64)
    random.choose_without_replacement(ours, population, chosen)
    expected = numpys.choice(np.arange(population), size=len(chosen), replace=False)
    assert np.array_equal(chosen, expected)
    assert generator_state(ours) == numpys.bit_generator.state


def test_the_unused_half_of_a_number_is_kept() -> None:
    """A number of 32 bits leaves another one, which numpy uses for the next of 32 bits, past one of 64."""
    numpys = np.random.default_rng(7)
    ours = generator(7)
    for _ in range(3):
        assert random.integer(ours, 0, 10) == numpys.integers(0, 10)
        assert random.uniform(ours, 0.0, 1.0) == numpys.uniform(0, 1)
    copy = np.zeros(random.WORDS, dtype=np.uint64)
    load_generator(copy, numpys.bit_generator.state)
    assert np.array_equal(copy, ours)
