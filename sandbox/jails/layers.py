"""What the jails are built from, one by one: whether this machine has it, or why not and what to do."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator

from qredit.sandbox.inside import landlock, seccomp
from qredit.sandbox.jails import bubblewrap, lockdown
from qredit.sandbox.jails.jail import JailStatus


def layers() -> Iterator[JailStatus]:
    """Look at the kernel and the programs; nothing is started. Empty where no jail but `docker` can be."""
    if sys.platform != "linux":
        return
    kernel = f"kernel {platform.release()}"
    version = landlock.version()
    yield JailStatus(
        "landlock",
        available=version > 0,
        detail=f"{kernel}, version {version}" if version else f"{kernel} has none, or refuses it",
        remedy="" if version else lockdown.LANDLOCK_REMEDY,
    )
    filters = seccomp.available() and seccomp.this_machine() is not None
    yield JailStatus(
        "seccomp",
        available=filters,
        detail=f"{kernel}, {platform.machine()}",
        remedy="" if filters else lockdown.FILTERS_REMEDY,
    )
    forbidden = bubblewrap.remedy()
    yield JailStatus(
        "user namespaces",
        available=not forbidden,
        detail="a switch of the kernel forbids them" if forbidden else "no switch of the kernel forbids them",
        remedy=forbidden,
    )
    program = shutil.which("bwrap")
    yield JailStatus(
        "bwrap",
        available=program is not None,
        detail=program or "not installed",
        remedy="" if program else bubblewrap.INSTALL,
    )
