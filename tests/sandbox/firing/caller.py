"""The caller whom the cases attack: a folder, an open descriptor, a listening port, and a process to sacrifice."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.package.package_exporter import PackageExporter

from tests.sandbox.firing.canaries import SECRETS, VARIABLE, found_in
from tests.sandbox.firing.case import Calls, Case, Changes, Ends, Leaks, Leaves, Says

SACRIFICE = Path(__file__).parent / "sacrifice.py"


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@dataclass(frozen=True)
class Grounds:
    """The caller's folder, where everybody may do everything, so that file modes protect nothing."""

    folder: Path
    """Its name ends in `/caller`."""
    contents: dict[str, bytes]
    """What lies in it, by relative path."""

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Lay out secrets, and traps that write a file `mark` when they are executed."""
        mark = folder / "mark"
        payload = Payload(f"touch {mark}")
        program = f"open({str(mark)!r}, 'w').close()\n"
        pickled, secret, package, array = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
        torch.save(payload, pickled)
        torch.save({"key": SECRETS["file"]}, secret)
        with PackageExporter(package) as exporter:
            exporter.save_source_string("trap", program)
        np.save(array, np.array([payload], dtype=object), allow_pickle=True)
        return cls(
            folder,
            {
                "secret.txt": SECRETS["file"].encode(),
                "secret.pt": secret.getvalue(),
                "payload.pt": pickled.getvalue(),
                "payload.pkl": pickle.dumps(payload),
                "payload.npy": array.getvalue(),
                "package.pt": package.getvalue(),
                "trap.py": program.encode(),
                "hubconf.py": f"{program}def model():\n    return None\n".encode(),
                "library.so": (Path(torch.__file__).parent / "lib" / "libshm.so").read_bytes(),
                "tools/ninja": f"#!/bin/sh\ntouch {mark}\necho 1.11\n".encode(),
            },
        )

    def reset(self) -> None:
        """Lay everything out anew, if need be."""
        if self.folder.exists() and not self.changed():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, content in self.contents.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o777)
            path.parent.chmod(0o777)

    def changed(self) -> bool:
        """Whether anything in it is not as it was laid out."""
        left = {str(p.relative_to(self.folder)): p for p in self.folder.rglob("*") if not p.is_dir() or p.is_symlink()}
        folders = {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_dir()}
        if set(left) != set(self.contents) or folders != {"tools"}:
            return True
        modes = {path.lstat().st_mode & 0o777 for path in left.values()}
        return modes != {0o777} or any(left[name].read_bytes() != self.contents[name] for name in left)


class Listener:
    """A port on loopback that keeps what comes to it, and answers nobody."""

    def __init__(self) -> None:
        self._received: list[bytes] = []
        self._stream = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._stream.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._stream.accept()
            except OSError:  # closed
                return
            with connection:
                connection.settimeout(5)
                self._received.append(b"")
                try:
                    self._received.append(connection.recv(1 << 16))
                except OSError:
                    continue

    def taken(self) -> list[bytes]:
        """What came since the last time."""
        self._knock()
        taken, self._received = self._received, []
        taken = taken[:-2]  # the knock itself
        self._datagrams.setblocking(False)
        while True:
            try:
                taken.append(self._datagrams.recv(1 << 16))
            except BlockingIOError:
                return taken

    def _knock(self) -> None:
        """Wait until every connection before this one is done with: they are taken in turn."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"knock")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(100):
                pass

    def close(self) -> None:
        """Listen no more."""
        self._stream.close()
        self._datagrams.close()


@dataclass(frozen=True)
class Outcome:
    """What a case did outside, with no layer at all."""

    said: bytes
    """What it wrote on the channel."""
    sent: tuple[bytes, ...]
    """What came to the caller's port; an empty piece for each connection."""
    code: int
    """Exit code; negative for a signal."""
    flooded: bool
    """Whether it wrote more than the control reads."""
    changes: frozenset[str]
    """Marks of the process that have another value now."""
    left: bool
    """Whether the caller's folder changed."""

    def shows(self, case: Case) -> bool:
        """Whether the case fired."""
        match case.sign:
            case Leaks(secret):
                return found_in(b" ".join((self.said, *self.sent)), SECRETS[secret])
            case Leaves():
                return self.left
            case Calls():
                return bool(self.sent)
            case Changes(mark):
                return mark in self.changes
            case Says(words):
                return words.encode() in self.said
            case Ends(how):
                return self._ended(how)

    def _ended(self, how: str) -> bool:
        timed, killed, xcpu, crashed = -27, -9, -24, -11
        lacking = b"MemoryError" in self.said or b"allocate memory" in self.said
        return {
            "processor": self.code in (timed, killed, xcpu),
            "memory": lacking,
            "crash": self.code == crashed,
            "silence": self.code == 0 and not self.said,
            "flood": self.flooded,
        }[how]


class Caller:
    """Somebody with secrets who runs a model's code."""

    def __init__(self, grounds: Grounds, listener: Listener, process: subprocess.Popen[str]) -> None:
        self.grounds = grounds
        self._listener = listener
        self._process = process

    def written(self, case: Case) -> str:
        """The case's source for this caller."""
        return case.source.replace("{folder}", str(self.grounds.folder)).replace("{port}", str(self._listener.port))

    def came(self) -> list[bytes]:
        """What came to the port since the last time."""
        return self._listener.taken()

    def outside(self, case: Case) -> Outcome:
        """Run a case in a plain process."""
        self.grounds.reset()
        self.came()
        endless = case.sign == Ends("processor")
        order = {"source": self.written(case), "folder": str(self.grounds.folder), "endless": endless}
        assert self._process.stdin is not None, "started with pipes"
        assert self._process.stdout is not None, "started with pipes"
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Outcome(
            said=bytes.fromhex(answer["said"]),
            sent=tuple(self.came()),
            code=answer["code"],
            flooded=answer["flooded"],
            changes=frozenset(answer["changes"]),
            left=self.grounds.changed(),
        )


@contextmanager
def open_caller() -> Iterator[Caller]:
    """Somebody with a secret in every place, and a process that is as careless as they are."""
    with tempfile.TemporaryDirectory(prefix="qredit-test-") as name, tempfile.TemporaryFile() as secret:
        Path(name).chmod(0o777)
        grounds = Grounds.make(Path(name) / "caller")
        grounds.reset()
        secret.write(SECRETS["descriptor"].encode())
        secret.flush()
        forgotten = fcntl.fcntl(secret.fileno(), fcntl.F_DUPFD, 50)  # children inherit it
        listener = Listener()
        process = subprocess.Popen(
            [sys.executable, "-B", str(SACRIFICE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, VARIABLE: SECRETS["environment"]},
            close_fds=False,
            text=True,
        )
        assert process.stdin is not None, "started with pipes"
        process.stdin.write(SECRETS["memory"] + "\n")
        try:
            yield Caller(grounds, listener, process)
        finally:
            process.communicate()
            listener.close()
            os.close(forgotten)
