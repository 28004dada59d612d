"""The parent's side of one fork server: start it, compare versions, give it jobs, end it.

The server is told where our code lies: it runs isolated (`-I`: no PYTHONPATH, no user site, no current directory), so
the parent's own search path goes along on the command line. That works for venv, system and relocated installs,
editable and wheel, and takes nothing from the current directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import qredit
from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails.exchange import Exchange, ServerLostError
from qredit.sandbox.jails.jail import JobResult

START_SECONDS: Final = 180.0
"""How long the server may take to load torch and warm up; a cold network file system needs a minute or two."""

BOOTSTRAP: Final = """
import importlib, json, sys
config = json.loads(sys.argv[1])
if config["root"]:  # the very package that the parent runs, whatever else is installed
    sys.path[:] = [config["root"], *config["path"]]
    import qredit
    sys.path.remove(config["root"])
    sys.path.append(config["root"])
importlib.import_module(config["main"]).main(config)
"""

PASSED_ON: Final = ("LD_LIBRARY_PATH",)
"""All that the server inherits of the caller's variables: without it some Pythons on clusters cannot start."""

_MESSAGE_LIMIT: Final = 4000


def search_path(extra: Sequence[str] = ()) -> list[str]:
    """Give this process's import path as the server may use it: absolute, existing, without the current directory."""
    here = Path.cwd()
    entries = [Path(entry) for entry in (*sys.path, *extra) if entry]
    return [str(entry) for entry in entries if entry.is_absolute() and entry.exists() and entry.resolve() != here]


def bootstrap_config(main: str, import_path: Sequence[str] = ()) -> dict[str, object]:
    """What `BOOTSTRAP` needs to start the `main` of one of our modules in another process."""
    root = str(Path(qredit.__file__ or "").parents[1])
    return {"main": main, "root": root, "path": search_path(import_path)}


def cpu_limit(timeout_seconds: float) -> int:
    """Give a job's processor time in seconds: never reached before the wall clock, there if the parent hangs."""
    return int(timeout_seconds) + 2


@dataclass(frozen=True)
class Launch:
    """What stands before the server's command line, and which descriptors it needs."""

    command: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


class ForkServer:
    """One running server process. Thread-safe: several jobs at once.

    Args:
        jobs: module with `warm_up()` and `run_job(name, payload)`.
        import_path: folders to look for it in, besides this process's own.
        launch: opens what starts the server in another surrounding; open until it is started.
        landlock_required: whether a kernel without Landlock is an error; elsewhere something besides it hides files.

    Raises:
        JailError: it could not be started, or it is not the same Python, torch or qredit as here.
    """

    def __init__(
        self,
        *,
        jobs: str,
        import_path: Sequence[str] = (),
        launch: Callable[[], AbstractContextManager[Launch]] = lambda: contextlib.nullcontext(Launch()),
        landlock_required: bool = True,
    ) -> None:
        self._launch = launch
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._send_lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_error: OSError | None = None
        self._errors = b""
        spawned = threading.Event()
        config = bootstrap_config("qredit.sandbox.inside.server", import_path) | {
            "jobs": jobs,
            "control": far.fileno(),
            "landlock_required": landlock_required,
        }
        # The kernel ends the server when the THREAD that started it ends, so the server gets a thread of its own.
        self._keeper = threading.Thread(
            target=self._keep, args=(json.dumps(config), far, spawned), name="qredit-jail", daemon=True
        )
        self._keeper.start()
        spawned.wait()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _keep(self, config: str, far: socket.socket, spawned: threading.Event) -> None:
        """Start the process, keep the end of what it says on standard error, reap it."""
        try:
            with far, self._launch() as launch:
                process = subprocess.Popen(
                    [*launch.command, sys.executable, "-I", "-B", "-c", BOOTSTRAP, config],
                    env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[far.fileno(), *launch.descriptors],
                    close_fds=True,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            self._start_error = error
            return
        finally:
            spawned.set()
        self._process = process
        assert process.stderr is not None, "it is a pipe"
        with process:
            while piece := os.read(process.stderr.fileno(), 4096):
                self._errors = (self._errors + piece)[-_MESSAGE_LIMIT:]

    def _greet(self) -> None:
        """Wait for the server's hello and compare it with this process."""
        if self._start_error is not None:
            raise JailError(
                "the jail's server could not be started",
                cause=f"`{sys.executable}`: {self._start_error.strerror}",
                remedy="Check that this Python can start itself.",
            )
        self._control.settimeout(START_SECONDS)
        try:
            message = self._control.recv(1 << 16)
        except TimeoutError:
            raise JailError(
                "the jail's server did not start",
                cause=f"it was not ready after {START_SECONDS:g} seconds",
                remedy="Look at the load of the machine and of the disk that Python lies on.",
            ) from None
        if not message:
            self._keeper.join(timeout=10)
            raise JailError(
                "the jail's server ended while it started",
                cause=self._errors.decode("utf-8", "replace").strip() or "it said nothing",
                remedy="Run `qredit doctor`; as root in a container, run as an ordinary user instead.",
            )
        compare(wire.Hello.from_bytes(message), wire.Hello.of_this_process(threads=1))

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int) -> JobResult:
        """Run one job in a fork of the server.

        Raises:
            ServerLostError: the server died; the job may be run again elsewhere.
            JailError: no process could be made, or it could not lock itself down.
        """
        order = wire.Start(cpu_limit(timeout_seconds)).to_bytes()
        channel, far_channel = socket.socketpair()
        handle, far_handle = socket.socketpair()
        with channel, handle:  # closing the handle, for whatever reason, makes the server kill the job
            with far_channel, far_handle:
                try:
                    with self._send_lock:
                        socket.send_fds(self._control, [order], [far_channel.fileno(), far_handle.fileno()])
                except OSError:
                    raise ServerLostError from None
            request = wire.frame(job.encode("ascii")) + wire.frame(payload)
            return Exchange(channel, handle, request, timeout_seconds, output_limit).run()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._process is not None, "set before the greeting"
        return self._process.pid

    def close(self) -> None:
        """End the server and with it every job. May be called twice."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # also for copies of the socket in forks of this process
        self._control.close()
        self._keeper.join(timeout=5)
        if self._keeper.is_alive() and self._process is not None:
            self._process.kill()
            self._keeper.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


EVERYTHING: Final = ("python", "torch", "qredit", "qredit_folder", "threads")
ONE_INSTALLATION: Final = "Install qredit and torch once, in one environment, and start qredit from there."


def compare(
    server: wire.Hello, here: wire.Hello, names: Sequence[str] = EVERYTHING, remedy: str = ONE_INSTALLATION
) -> None:
    """Check that the server is this very Python, torch and qredit, and that it has one thread.

    Raises:
        JailError: it is not.
    """
    for name in names:
        found, expected = getattr(server, name), getattr(here, name)
        if found != expected:
            raise JailError(
                f"the jail's server has another `{name}`",
                cause=f"it has `{found}`, expected `{expected}`",
                remedy=remedy,
            )
