"""The `bubblewrap` jail: the `lockdown` jail inside namespaces of its own (user, mount, process, network, IPC, UTS).

Covers what `lockdown` covers, and besides: the server and its jobs see a read-only file system of system folders,
Python and its packages, without the caller's home, data or sockets; they see no process of the host, have no network
device and no capability; and everything in the namespaces ends with their first process.

Does not cover: bugs of the kernel in the calls that remain; side channels through time and caches. Secrets that lie
inside the mounted folders (`/usr`, Python's prefix, site-packages) are visible to the server, not to a job.

Needs the program `bwrap` and a host that lets ordinary users make user namespaces.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from qredit.errors import JailError
from qredit.sandbox.inside import seccomp, syscalls
from qredit.sandbox.inside.limits import NOBODY
from qredit.sandbox.jails import lockdown
from qredit.sandbox.jails.forkserver import ForkServer, Launch
from qredit.sandbox.jails.host_folders import LOADER_CACHE, SYSTEM_LINKS, host_folders
from qredit.sandbox.jails.pool import JOBS_PER_SERVER, ServerJail

NAMESPACES: Final = (
    "--unshare-user",
    "--unshare-all",
    "--uid",
    str(NOBODY),
    "--gid",
    str(NOBODY),
    "--hostname",
    "jail",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
)
INSTALL: Final = "Install it, such as by `apt-get install bubblewrap`."

SWITCHES: Final = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids user namespaces (Ubuntu 23.10 and newer). Add an AppArmor profile for bwrap with `userns,`, "
        "or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`.",
    ),
    ("/proc/sys/user/max_user_namespaces", "0", "Set `sysctl user.max_user_namespaces=15000`."),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "Set `sysctl kernel.unprivileged_userns_clone=1`."),
)
"""File, value that forbids user namespaces, remedy."""


def open_bubblewrap(
    *,
    jobs: str | None = None,
    import_path: Sequence[str] = (),
    max_parallel: int | None = None,
    jobs_per_server: int = JOBS_PER_SERVER,
) -> ServerJail:
    """Open the jail and run the probe in it.

    Args:
        jobs, import_path, max_parallel, jobs_per_server: as for `open_lockdown`.

    Raises:
        JailUnavailableError: this machine lacks what the jail needs.
        JailError: the server could not be started or did not pass the probe.
    """
    program = require_support()

    def launch() -> ForkServer:
        return ForkServer(
            jobs=jobs or lockdown.JOBS,
            import_path=import_path,
            launch=lambda: namespaces(program, import_path),
            landlock_required=False,
        )

    try:
        return ServerJail("bubblewrap", launch, max_parallel=max_parallel, jobs_per_server=jobs_per_server)
    except JailError as error:
        raise JailError(error.what, cause=error.cause, remedy=remedy() or error.remedy) from error


def require_support() -> str:
    """Check for `bwrap` and system-call filters, and give the program's path.

    Raises:
        JailUnavailableError: with what is missing and what to do.
    """
    lockdown.require_filters("bubblewrap")
    program = shutil.which("bwrap")
    if program is None:
        raise lockdown.unavailable(
            "bubblewrap",
            "there is no program `bwrap`",
            INSTALL,
        )
    return program


def remedy() -> str:
    """What to change on a host that forbids user namespaces; empty if no switch says so."""
    for path, forbidden, advice in SWITCHES:
        try:
            value = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == forbidden:
            return advice
    return ""


@contextmanager
def namespaces(program: str, import_path: Sequence[str] = ()) -> Iterator[Launch]:
    """The command that starts a process in namespaces of its own, and the descriptors that it needs."""
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as pipe:  # noqa: PTH123  # a filter is far smaller than a pipe holds
            pipe.write(seccomp.packed(_policy_before_the_server()))
        yield Launch((program, *NAMESPACES, *mounts(import_path), "--seccomp", str(reader), "--"), (reader,))
    finally:
        os.close(reader)


def mounts(import_path: Sequence[str] = ()) -> list[str]:
    """The file system of the jail, as arguments of bwrap: read-only, without anything of the caller."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for link in map(Path, SYSTEM_LINKS):
        if link.is_symlink():
            arguments += ["--symlink", str(link.readlink()), str(link)]
        elif link.is_dir():
            arguments += ["--ro-bind", str(link), str(link)]
    if Path(LOADER_CACHE).exists():
        arguments += ["--ro-bind", LOADER_CACHE, LOADER_CACHE]
    for folder in host_folders("bubblewrap", import_path):
        arguments += ["--ro-bind", str(folder), str(folder)]
    # Last, so that no folder above hides them. /dev would keep a /dev/shm that is writable and without a limit.
    arguments += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*arguments, "--chdir", "/"]


def _policy_before_the_server() -> seccomp.Policy:
    """The server's own policy, but bwrap still has to start Python."""
    policy = seccomp.server_policy()
    answers = {name: answer for name, answer in policy.answers.items() if name not in syscalls.PROGRAMS}
    return replace(policy, answers=answers)
