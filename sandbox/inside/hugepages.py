"""The server's memory in huge pages: a fork then copies far fewer page table entries."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qredit.sandbox.inside import kernel

MADV_COLLAPSE: Final = 25
"""Linux 6.1 and newer; asks for huge pages now, whatever the system's setting for them is."""
HUGE: Final = 2 * 1024 * 1024


def collapse() -> None:
    """Put what is private and lies in whole huge pages into such; where the kernel cannot, forks stay slower."""
    madvise = kernel.libc().madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in _private(Path("/proc/self/maps").read_text()):
        first, last = -(-start // HUGE) * HUGE, end // HUGE * HUGE
        if first < last:
            madvise(first, last - first, MADV_COLLAPSE)


def _private(maps: str) -> Iterator[tuple[int, int]]:
    """First and last address of each private writable mapping without a file."""
    for line in maps.splitlines():
        span, mode, _, _, _, *name = line.split(maxsplit=5)
        if mode == "rw-p" and (not name or name[0] == "[heap]"):
            start, _, end = span.partition("-")
            yield int(start, 16), int(end, 16)
