"""Run folders: what a command did, kept so that it can be inspected and resumed.

runs/<kind>-<name>-<number>/
    run.json      settings, status, spend
    trace.jsonl   append-only story of a generation
    lock          exists while a process writes here: host, pid, start time, and the attempt where an engine made one
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import qredit
from qredit.errors import ArtifactError, RunFolderError, UnknownNameError
from qredit.files import read_json_untrusted, storage_errors, write_json

SCHEMA = 1
ATTEMPT_VARIABLE = "QREDIT_ATTEMPT"
"""Names the attempt at a job that an engine has started in this process, for the locks that it takes."""
Status = Literal["waiting", "running", "finished", "failed", "interrupted"]
_PLAIN = re.compile(r"[^a-z0-9]+")


def runs_root() -> Path:
    """Where runs live: `$QREDIT_RUNS`, or `./runs`."""
    return Path(os.environ.get("QREDIT_RUNS") or "runs")


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return read_json_untrusted(self.path / "run.json")

    @property
    def trace_path(self) -> Path:
        """The append-only story of the run."""
        return self.path / "trace.jsonl"

    def update(self, **changes: Any) -> None:
        """Change entries of `run.json` atomically."""
        write_json(self.path / "run.json", {**self.record, **changes})

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock while writing; sets the status when the block ends.

        Raises:
            RunFolderError: another live process writes here.
        """
        lock = self.path / "lock"
        _take_lock(lock)
        try:
            # An error of an earlier attempt would read as if this one had failed.
            write_json(self.path / "run.json", {k: v for k, v in self.record.items() if k != "error"})
            self.update(status="running")
            yield
        except (KeyboardInterrupt, GeneratorExit, SystemExit):  # the last: the reader of our output has gone
            self._note_end(status="interrupted")
            raise
        except BaseException as error:
            self._note_end(status="failed", error=str(error)[:2000])
            raise
        else:
            self.update(status="finished")
        finally:
            lock.unlink(missing_ok=True)

    def _note_end(self, **changes: str) -> None:
        try:
            self.update(**changes)
        except (OSError, qredit.QreditError):  # a full disk must not hide why the run ended
            return


def outwait_attempt(folder: Path, *, patience_seconds: float) -> None:
    """Free a folder from the lock of an earlier attempt at the same job.

    Whether a process on another host is dead cannot be seen from here. But a live attempt lets go as soon as it learns
    that there is a newer one, which the caller has announced. Whoever still holds the lock in the end is gone. The
    lock of anything but an attempt stays: a person may be at work there.
    """
    lock = folder / "lock"
    first = _holder(lock)
    deadline = time.monotonic() + patience_seconds
    while first.get("attempt") and _holder(lock) == first and not _is_dead(first):
        if time.monotonic() > deadline:
            with storage_errors(lock):
                lock.unlink(missing_ok=True)
            return
        time.sleep(min(0.2, patience_seconds))


def create_run(kind: str, name: str, settings: Mapping[str, Any], *, root: Path | None = None) -> Run:
    """Make a new run folder `<kind>-<name>-<number>`.

    Raises:
        StorageError: the folder cannot be made.
    """
    folder = root if root is not None else runs_root()
    stem = f"{kind}-{_PLAIN.sub('-', name.lower()).strip('-')}"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = folder / f"{stem}-{number:03d}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                number += 1
    run = Run(path)
    write_json(
        path / "run.json",
        {
            "schema": SCHEMA,
            "qredit": qredit.__version__,
            "kind": kind,
            "name": name,
            "status": "running",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "settings": dict(settings),
        },
    )
    return run


def open_run(name_or_path: str | Path, *, kind: str | tuple[str, ...] | None = None) -> Run:
    """Open an existing run by its path or its name in the runs folder.

    Raises:
        UnknownNameError: no such run.
        RunFolderError: a run of another kind, or of another version.
    """
    path = Path(name_or_path)
    if not (path / "run.json").exists():
        path = runs_root() / str(name_or_path)
    if not (path / "run.json").exists():
        raise UnknownNameError("run", str(name_or_path), (r.path.name for r in list_runs()))
    record = Run(path).record
    if record.get("schema") != SCHEMA:
        raise RunFolderError(
            f"run `{path}`",
            cause=f"it has schema version {record.get('schema')!r}, this qredit reads {SCHEMA}",
            remedy=f"Use qredit {record.get('qredit', 'of that time')}, or start a new run.",
        )
    kinds = (kind,) if isinstance(kind, str) else kind
    if kinds is not None and record.get("kind") not in kinds:
        raise RunFolderError(
            f"run `{path}`",
            cause=f"it is a `{record.get('kind')}` run",
            remedy=f"Give a {' or '.join(f'`{name}`' for name in kinds)} run; `qredit runs` lists them.",
        )
    return Run(path)


def list_runs(root: Path | None = None) -> list[Run]:
    """All readable run folders, oldest first."""
    folder = root if root is not None else runs_root()
    runs = [Run(p.parent) for p in folder.glob("*/run.json")]
    return sorted(runs, key=_created)


def _created(run: Run) -> tuple[str, str]:
    try:
        return str(run.record.get("created", "")), run.path.name
    except ArtifactError:
        return "", run.path.name


def _take_lock(lock: Path) -> None:
    if _create_lock(lock):
        return
    # The holder may be gone. Only one process at a time may find that out and take over: with two, the slower one
    # would delete the lock that the faster one has just made.
    takeover = lock.with_name("lock.takeover")
    if not _create_lock(takeover):
        raise _in_use(lock, _holder(takeover), delete=f"`{lock}` and `{takeover}`")
    try:
        holder = _holder(lock)
        if not _is_dead(holder):
            raise _in_use(lock, holder, delete=f"`{lock}`")
        with storage_errors(lock):
            lock.unlink(missing_ok=True)
        if not _create_lock(lock):
            raise _in_use(lock, _holder(lock), delete=f"`{lock}`")
    finally:
        takeover.unlink(missing_ok=True)


def _create_lock(lock: Path) -> bool:
    """Make the lock unless there is one."""
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "started": _start_time(os.getpid())}
    if attempt := os.environ.get(ATTEMPT_VARIABLE):
        mine["attempt"] = attempt
    with storage_errors(lock):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(mine, file)
        except OSError:
            lock.unlink(missing_ok=True)
            raise
    return True


def _holder(lock: Path) -> Mapping[str, Any]:
    """Who holds a lock; empty when it cannot be told, as in the moment between making the file and filling it."""
    try:
        return read_json_untrusted(lock)
    except ArtifactError:
        return {}


def _in_use(lock: Path, holder: Mapping[str, Any], *, delete: str) -> RunFolderError:
    who = f"process {holder['pid']} on {holder.get('host')}" if "pid" in holder else "another process"
    return RunFolderError(
        f"run `{lock.parent}`",
        cause=f"{who} is writing to it",
        remedy=f"Wait for it or stop it; if that process is gone, delete {delete}.",
    )


def _is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether the lock's process is known to be gone.

    A process on another host, and one that the lock does not name, is taken to be alive.
    """
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or not 0 < pid < 2**31:
        return False
    return _start_time(pid) != holder.get("started")


def _start_time(pid: int) -> str | None:
    """When a process started, so that a recycled pid is not taken for the old one; `None` if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"
