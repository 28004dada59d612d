"""What a training sets for the whole process that it runs in."""

from __future__ import annotations

import ctypes

import torch

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of glibc's `mallopt` options."""
_KEPT = 1 << 30


def prepare_process() -> None:
    """One thread of torch, and memory that stays with the process once it has been used.

    Each update makes and drops the same large arrays. glibc would give each back to the system and ask for it again,
    page by page, which takes a fifth of an update. Other C libraries are left as they are.
    """
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)
