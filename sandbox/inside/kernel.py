"""The few calls into Linux that Python has no function for: `prctl` and raw system calls, through ctypes."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_GET_SECCOMP: Final = 21
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38


@functools.cache
def libc() -> ctypes.CDLL:
    """Open the C library of this process. Call it once before the file system is locked."""
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, argument: int = 0) -> int:
    """Call `prctl(2)`.

    Raises:
        OSError: the kernel refused.
    """
    zero = ctypes.c_ulong(0)
    return _checked(libc().prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero), "prctl")


def prctl_pointer(option: int, mode: int, pointer: ctypes.c_void_p) -> int:
    """Call `prctl(2)` with a pointer as third argument.

    Raises:
        OSError: the kernel refused.
    """
    zero = ctypes.c_ulong(0)
    return _checked(libc().prctl(ctypes.c_int(option), ctypes.c_ulong(mode), pointer, zero, zero), "prctl")


def syscall(number: int, *arguments: ctypes.c_void_p | ctypes.c_size_t | ctypes.c_int | ctypes.c_uint32) -> int:
    """Make a system call by number.

    Raises:
        OSError: the kernel refused, or does not know the call (ENOSYS).
    """
    return _checked(libc().syscall(ctypes.c_long(number), *arguments), f"system call {number}")


def _checked(result: int, name: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result
