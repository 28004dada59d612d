"""How many cores this process may use: its affinity and its cgroups' quota, not what the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores this process may use, at least 1: in a container with a quota of 1.5 cores that is 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(affinity, quota_cores(_CGROUPS, _OWN_CGROUP))))


def quota_cores(cgroups: Path, own_cgroup: Path) -> float:
    """The tightest CPU quota of our cgroup and those above it, in cores; infinite where there is none.

    Args:
        cgroups: where the cgroup file system is mounted (version 2, or version 1 with its `cpu` controller).
        own_cgroup: lines `id:controllers:path` that say which cgroup is ours.
    """
    quotas = [math.inf]
    for line in _read(own_cgroup).splitlines():
        _, _, controllers_and_path = line.partition(":")
        controllers, _, path = controllers_and_path.partition(":")
        if not controllers:
            quotas += [_quota_v2(folder / "cpu.max") for folder in _upwards(cgroups, path)]
        elif "cpu" in controllers.split(","):
            for mount in (cgroups / controllers, cgroups / "cpu"):
                quotas += [_quota_v1(folder) for folder in _upwards(mount, path)]
    return min(quotas)


def _upwards(mount: Path, path: str) -> list[Path]:
    """The folder of a cgroup and of all above it; inside a container only the mount itself may exist."""
    folder = mount / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(mount))]


def _quota_v2(file: Path) -> float:
    quota, _, period = _read(file).strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: Path) -> float:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float:
    """Quota over period; `max` (version 2) and -1 (version 1) mean that there is no limit."""
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return math.inf
    return cores if cores > 0 else math.inf


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # no such controller, or not readable for us: no limit that we know of
        return ""
