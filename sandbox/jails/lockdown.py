"""The `lockdown` jail: a process that locks itself down with what every recent Linux has. No root, no packages.

Covers, in each job's process, before it sees a byte of the job:

- files: Landlock without rules; nothing can be opened, created, removed or executed, and no path can be asked about
- network: no socket of any family can be made (killed)
- other processes: no signal, no ptrace, no foreign memory (killed); no fork, no thread, no program (refused or killed)
- secrets: the server starts with an empty environment, has only its control socket open, and gives up root
- resources: memory, processor time and wall clock, bytes sent, descriptors; files and core dumps have size 0
- leftovers: the server dies with its parent, each job with the server; nothing can detach itself

Does not cover: bugs of the kernel in the calls that remain; side channels through time and caches (jobs that run at
once can signal to each other that way); the host's process and mount namespaces are shared, so Landlock and seccomp are
what hides them. A job may use its processor and its memory up to the limits. Needs Linux 5.13 or newer with Landlock
switched on, x86_64 or aarch64.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from typing import Final

from qredit.errors import JailUnavailableError
from qredit.sandbox.inside import landlock, seccomp
from qredit.sandbox.jails.forkserver import ForkServer
from qredit.sandbox.jails.pool import JOBS_PER_SERVER, ServerJail

JOBS: Final = "qredit.sandbox.inside.jobs"
"""What runs in the jail: `warm_up()` before it is locked, `run_job(name, payload)` in each child."""


LANDLOCK_REMEDY: Final = (
    "Use Linux 5.13 or newer with `landlock` in the kernel's `lsm=` list (check /sys/kernel/security/lsm); "
    "in a container, use a runtime whose seccomp profile allows `landlock_create_ruleset`."
)
FILTERS_REMEDY: Final = "Use a kernel with CONFIG_SECCOMP_FILTER, or leave the container that forbids `prctl`."


def open_lockdown(
    *,
    jobs: str | None = None,
    import_path: Sequence[str] = (),
    max_parallel: int | None = None,
    jobs_per_server: int = JOBS_PER_SERVER,
) -> ServerJail:
    """Open the jail and run the probe in it.

    Args:
        jobs: module with `warm_up()` and `run_job(name, payload)`, in place of `JOBS`.
        import_path: folders to look for it in, besides this process's own import path.
        max_parallel: most jobs at once; by default what processors and free memory allow.
        jobs_per_server: after how many jobs the server is replaced.

    Raises:
        JailUnavailableError: this machine lacks what the jail needs.
        JailError: the server could not be started or did not pass the probe.
    """
    require_support()
    return ServerJail(
        "lockdown",
        lambda: ForkServer(jobs=jobs or JOBS, import_path=import_path),
        max_parallel=max_parallel,
        jobs_per_server=jobs_per_server,
    )


def require_support() -> None:
    """Check for Linux, the processor, system-call filters and Landlock.

    Raises:
        JailUnavailableError: with what is missing and what to do.
    """
    require_filters("lockdown")
    if landlock.version() < 1:
        raise unavailable(
            "lockdown",
            f"kernel {platform.release()} has no Landlock, or a container's filter refuses it",
            LANDLOCK_REMEDY,
        )


def require_filters(jail: str) -> None:
    """Check for Linux, the processor and system-call filters, which every jail needs.

    Raises:
        JailUnavailableError: with what is missing and what to do.
    """
    if sys.platform != "linux":
        raise unavailable(
            jail,
            f"it needs Linux, this is `{sys.platform}`",
            "Use a Linux machine, or a Linux container or virtual machine on this one (WSL 2 on Windows).",
        )
    if seccomp.this_machine() is None:
        raise unavailable(
            jail,
            f"there is no system-call table for `{platform.machine()}` with this Python",
            "Use 64-bit Python on x86_64 or aarch64.",
        )
    if not seccomp.available():
        raise unavailable(
            jail,
            f"kernel {platform.release()} has no system-call filters (seccomp)",
            FILTERS_REMEDY,
        )


def unavailable(jail: str, cause: str, remedy: str) -> JailUnavailableError:
    """The error of a jail that this machine cannot have."""
    return JailUnavailableError(f"jail `{jail}` is not available", cause=cause, remedy=remedy)
