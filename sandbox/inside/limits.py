"""Resource limits of a job and the loss of every privilege.

As root `RLIMIT_NPROC` 0 does not stop a fork; as uid 65534 it does. So a root server gives up its identity for good
after its files are read, and stops if it cannot.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from qredit.sandbox.inside import kernel

NOBODY: Final = 65534
"""User and group of the server and its children when they are started by root."""

HEADROOM_BYTES: Final = 3 * 2**29
"""Memory that a job may map beyond what the warm server maps: 1.5 GiB."""

SERVER_DESCRIPTORS: Final = 1024
JOB_DESCRIPTORS: Final = 16


def mapped_bytes() -> int:
    """Give the address space that this process maps (VmSize)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def thread_count() -> int:
    """Give how many threads this process has."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def limit_server() -> None:
    """Limit the server: no core dump, few descriptors; first in line when the machine runs out of memory."""
    import resource  # not at the top: Windows has none, and must still be told that it has no jail

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = SERVER_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(SERVER_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def limit_job(*, address_space_bytes: int, cpu_seconds: int) -> None:
    """Limit a job's child, for good: soft and hard limits are the same."""
    import resource

    limits = {
        resource.RLIMIT_AS: address_space_bytes,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: JOB_DESCRIPTORS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def drop_privileges() -> None:
    """Become nobody if this is root: no group, no capability, no way back.

    Raises:
        OSError: root cannot change its identity here (a container without CAP_SETUID, an unmapped uid).
    """
    if os.geteuid() != 0:
        return
    os.setgroups([])
    for capability in range(64):
        try:
            present = kernel.prctl(kernel.PR_CAPBSET_READ, capability)
        except OSError:  # EINVAL: past the kernel's last capability
            break
        if present:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; end at once if it died already.

    A change of identity clears this, so call it afterwards.

    Args:
        parent: process id that the parent must still have.
    """
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(1)
