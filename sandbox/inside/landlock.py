"""Landlock without rules: from then on this process opens, creates, removes and executes no file at all.

Three raw system calls, no package. A ruleset that handles every access right of the kernel's version and holds no rule
denies every one of them, for good, for this process and all it starts. What is open already stays usable.

Covers: files, directories, links, devices; TCP bind and connect (version 4 on); abstract unix sockets and signals to
processes outside (version 6 on). Does not cover: `stat`, `chdir`, `readlink`, `chmod`, UDP and other sockets; the
seccomp filter refuses those.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from qredit.sandbox.inside import kernel

CREATE_RULESET: Final = 444
RESTRICT_SELF: Final = 446
CREATE_RULESET_VERSION: Final = 1

_FILE_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version -> how many file access rights it knows (the first ones are always the lowest bits)."""

_NETWORK_VERSION: Final = 4
_SCOPE_VERSION: Final = 6
_NETWORK_ALL: Final = 0b11
"""TCP bind, TCP connect."""
_SCOPE_ALL: Final = 0b11
"""Abstract unix sockets, signals."""


class _Attributes(ctypes.Structure):
    """`struct landlock_ruleset_attr`; an older kernel takes only its first fields."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def version() -> int:
    """Give the kernel's Landlock version, 0 where there is none (not built in, switched off, or refused)."""
    try:
        return kernel.syscall(
            CREATE_RULESET, ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint32(CREATE_RULESET_VERSION)
        )
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def handled(abi: int) -> tuple[int, int, int]:
    """Give all rights that a version knows, as bits: files, network, scopes.

    A version newer than the table is treated as the newest one in it: its new rights are not denied by Landlock.
    """
    file_bits = _FILE_BITS[min(abi, max(_FILE_BITS))]
    return (
        (1 << file_bits) - 1,
        _NETWORK_ALL if abi >= _NETWORK_VERSION else 0,
        _SCOPE_ALL if abi >= _SCOPE_VERSION else 0,
    )


def deny_everything() -> None:
    """Lock this process: no file, no TCP, no signal outwards. `no_new_privs` must be set before.

    Raises:
        OSError: the kernel has no Landlock or refused; nothing may run then.
    """
    abi = version()
    if abi < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    files, network, scopes = handled(abi)
    attributes = _Attributes(files, network, scopes)
    size = 24 if abi >= _SCOPE_VERSION else 16 if abi >= _NETWORK_VERSION else 8
    ruleset = kernel.syscall(
        CREATE_RULESET,
        ctypes.cast(ctypes.pointer(attributes), ctypes.c_void_p),
        ctypes.c_size_t(size),
        ctypes.c_uint32(0),
    )
    try:
        kernel.syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
