"""The order in which Python's sets iterate, which is a function of the hashes and of the order of adding alone.

A set is a table of `2**k` slots. An element goes to the slot that the lowest bits of its hash name or, if that is
taken, to one of the next nine, or else to a slot that the next bits of the hash are mixed into, and so on. Whenever
three fifths are taken, the elements move over to a table of more than four slots per element. Iterating goes through
the slots.

Source: CPython's `Objects/setobject.c` (`set_add_entry`, `set_insert_clean` and `set_table_resize`; the same since
3.7), for sets of less than 50 000 elements of which none is ever removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.compiling import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST_TABLE = 8
_NEIGHBOURS = 9
_SHIFT = 5
_SHIFTED = 2**59 - 1
"""The bits that a hash of 64 has left after a shift; Python shifts it as a number without a sign."""
_FREE = -1


@kernel
def order_as_set(elements: NDArray[np.int64], hashes: NDArray[np.int64]) -> None:
    """Reorder elements as a set iterates to which they were added one after the other.

    Args:
        elements: all different, `[E]`; each is the index of its hash.
        hashes: what Python's `hash` gives.
    """
    table = np.full(2 * _SMALLEST_TABLE * (len(elements) + 1), _FREE, dtype=np.int64)
    moving = np.empty(len(elements), dtype=np.int64)
    size = _SMALLEST_TABLE
    for k in range(len(elements)):
        _add(table, size, elements[k], hashes)
        used = k + 1
        if 5 * used >= 3 * (size - 1):
            _take_out(table, size, moving)
            while size <= 4 * used:
                size *= 2
            for m in range(used):
                _add(table, size, moving[m], hashes)
    _take_out(table, size, elements)


@kernel
def _add(table: NDArray[np.int64], size: int, element: int, hashes: NDArray[np.int64]) -> None:
    """Put an element into the first free one of its slots."""
    mask, rest = size - 1, hashes[element]
    slot = rest & mask
    while True:
        last = slot + _NEIGHBOURS if slot + _NEIGHBOURS <= mask else slot
        for near in range(slot, last + 1):
            if table[near] == _FREE:
                table[near] = element
                return
        rest = (rest >> _SHIFT) & _SHIFTED
        slot = (5 * slot + 1 + rest) & mask


@kernel
def _take_out(table: NDArray[np.int64], size: int, taken: NDArray[np.int64]) -> None:
    """Empty the table; its elements go to the front of `taken`, in the order of their slots."""
    found = 0
    for slot in range(size):
        if table[slot] != _FREE:
            taken[found] = table[slot]
            table[slot] = _FREE
            found += 1
