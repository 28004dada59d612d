"""What a process holds: its descendants, descriptors, threads, memory and files, as the kernel counts them."""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qredit.sandbox.inside import kernel
from qredit.sandbox.inside.limits import NOBODY
from qredit.sandbox.jails.container_engine import LABEL, connect

PR_SET_CHILD_SUBREAPER: Final = 36
PROC: Final = Path("/proc")
SHARED_FOLDERS: Final = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
SERVER_MAIN: Final = b'"main": "qredit.sandbox.inside.server"'
"""What only a fork server has on its command line, besides its jobs and the `bwrap` around it."""


@dataclass(frozen=True)
class Process:
    """One entry of the kernel's list."""

    pid: int
    parent: int
    name: str
    state: str
    """One letter; `Z` is a zombie."""


@dataclass(frozen=True)
class Census:
    """What is there at one moment."""

    processes: int
    """Alive below this process, and in containers that it started."""
    zombies: int
    """Ended, and not yet waited for."""
    containers: int
    servers: tuple[int, ...]
    """Process ids of the fork servers among the processes."""
    threads: int
    """Of this process."""
    descriptors: int
    """Open in this process."""
    server_descriptors: float | None
    """Open in a server (median); None where the kernel does not tell (an ordinary user may not look)."""
    megabytes: float
    """Resident memory of this process."""
    server_megabytes: float | None
    """Resident memory of a server (median)."""
    files: int
    """In the given folders, and what the jail's user owns in the shared ones."""


def adopt_orphans(yes: bool) -> None:
    """Make whatever detaches itself from a descendant a child of this process, where `take` sees it."""
    kernel.prctl(PR_SET_CHILD_SUBREAPER, int(yes))


def take(folders: Sequence[Path], *, docker: bool) -> Census:
    """Count.

    Args:
        folders: where no file may be left.
        docker: whether to ask the engine for containers of this process.
    """
    everything = {process.pid: process for process in _all_processes()}
    containers = list(_containers()) if docker else []
    own = [*below(os.getpid(), everything), *(everything[p] for pids in containers for p in pids if p in everything)]
    servers = [process.pid for process in own if _is_server(process, everything)]
    descriptors = [count for pid in servers if (count := _descriptors(pid)) is not None]
    memory = [_megabytes(pid) for pid in servers]
    return Census(
        processes=len([process for process in own if process.state != "Z"]),
        zombies=len([process for process in own if process.state == "Z"]),
        containers=len(containers),
        servers=tuple(servers),
        threads=threading.active_count(),
        descriptors=_descriptors(os.getpid()) or 0,
        server_descriptors=statistics.median(descriptors) if descriptors else None,
        megabytes=_megabytes(os.getpid()),
        server_megabytes=statistics.median(memory) if memory else None,
        files=sum(1 for _ in _files(folders)),
    )


def reap_orphans() -> int:
    """Wait for what was adopted and has ended, as the system's first process does otherwise; give how many it were."""
    ended = [p.pid for p in _all_processes() if p.parent == os.getpid() and p.state == "Z"]
    for pid in ended:
        with contextlib.suppress(ChildProcessError):  # it was no orphan, and who started it has waited meanwhile
            os.waitpid(pid, os.WNOHANG)
    return len(ended)


def _all_processes() -> Iterator[Process]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended meanwhile
                head, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
                state, parent = rest.split()[:2]
                yield Process(int(folder.name), int(parent), head.partition("(")[2], state)


def below(root: int, everything: dict[int, Process] | None = None) -> list[Process]:
    """All descendants of a process."""
    children: dict[int, list[Process]] = {}
    for process in everything.values() if everything is not None else _all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    todo = [root]
    while todo:
        new = children.get(todo.pop(), [])
        found += new
        todo += [process.pid for process in new]
    return found


def _containers() -> Iterator[list[int]]:
    """The processes of each container that this process started, by their numbers on this machine."""
    import docker

    with contextlib.closing(connect()) as client:
        for container in client.containers.list(filters={"label": f"{LABEL}={os.getpid()}"}):
            with contextlib.suppress(docker.errors.APIError):  # it ended meanwhile
                top = container.top(ps_args="-o pid")
                yield [int(row[0]) for row in top["Processes"]]


def _is_server(process: Process, everything: dict[int, Process]) -> bool:
    """Whether it is a fork server, and neither a job, which is a fork of one, nor the program that started it."""
    parent = everything.get(process.parent)
    return _told_to_serve(process) and not (parent is not None and _told_to_serve(parent))


def _told_to_serve(process: Process) -> bool:
    with contextlib.suppress(OSError):
        return process.name != "bwrap" and SERVER_MAIN in (PROC / str(process.pid) / "cmdline").read_bytes()
    return False


def _descriptors(pid: int) -> int | None:
    try:
        return sum(1 for _ in (PROC / str(pid) / "fd").iterdir())
    except OSError:
        return None


def _megabytes(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    return 0.0


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.rglob("*")
    for folder in SHARED_FOLDERS:
        for path in folder.iterdir() if os.geteuid() == 0 and folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if path.lstat().st_uid == NOBODY:
                    yield path
