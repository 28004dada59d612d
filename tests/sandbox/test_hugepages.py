"""Huge pages for the fork server: nothing but speed changes."""

from __future__ import annotations

import subprocess
import sys

from qredit.sandbox.inside.hugepages import HUGE, _private

MAPS = """\
55d0c0000000-55d0c0400000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000200000 rw-p 00000000 00:00 0
7f0000200000-7f0000400000 r--p 00000000 08:01 123                        /usr/lib/a library.so
7f0000400000-7f0000600000 rw-p 00000000 08:01 123                        /usr/lib/a library.so
7f0000600000-7f0000800000 rw-s 00000000 00:01 7
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
"""

KEPT = """
import numpy as np
from qredit.sandbox.inside import hugepages

numbers = np.arange(3 * hugepages.HUGE // 8)
texts = [str(i) for i in range(200_000)]
hugepages.collapse()
assert numbers.sum() == (len(numbers) - 1) * len(numbers) // 2
assert texts == [str(i) for i in range(200_000)]
print("kept")
"""


def test_private_memory_without_a_file_is_meant() -> None:
    assert list(_private(MAPS)) == [(0x55D0C0000000, 0x55D0C0400000), (0x7F0000000000, 0x7F0000000000 + HUGE)]


def test_memory_keeps_its_content() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("kept\n", "")
