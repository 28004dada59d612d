"""The order of Python's own sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.kernels.set_order import order_as_set

Cell = tuple[int, int]


def ordered(cells: list[Cell]) -> list[Cell]:
    elements = np.arange(len(cells))
    order_as_set(elements, np.array([hash(cell) for cell in cells], dtype=np.int64))
    return [cells[k] for k in elements]


def added(cells: list[Cell]) -> set[Cell]:
    """A set to which the cells are added one after the other."""
    made = set()
    for cell in cells:
        made.add(cell)
    return made


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), unique=True, max_size=200))
def test_cells_come_in_the_order_of_a_set(cells: list[Cell]) -> None:
    once = ordered(cells)
    assert once == list(added(cells)) == list(set(iter(cells)))
    assert ordered(once) == list(set(iter(added(cells))))


@pytest.mark.parametrize("seed", range(20))
def test_also_neighbours_and_numbers_of_numpy(seed: int) -> None:
    """The agents of the package stand on numbers of numpy first and on Python's later."""
    rng = np.random.default_rng(seed)
    for size in (1, 4, 5, 18, 19, 76, 77, 150):
        x, y = rng.integers(0, 60, 2)
        near = [(x + right, y + down) for right in range(13) for down in range(13)]
        cells = [near[k] for k in rng.permutation(len(near))[:size]]
        plain = [(int(x), int(y)) for x, y in cells]
        assert ordered(plain) == list(added(plain)) == list(added(cells))


@given(st.lists(st.integers(0, 2**60), unique=True, max_size=60))
def test_full_slots_are_passed_over(numbers: list[int]) -> None:
    """Numbers are their own hashes below 2**61 - 1, so that many of them want the same slot."""
    crowded = list(dict.fromkeys(number - number % 32 for number in numbers))
    elements = np.arange(len(crowded))
    order_as_set(elements, np.array(crowded, dtype=np.int64))
    made = set()
    for number in crowded:
        made.add(number)
    assert [crowded[k] for k in elements] == list(made)
