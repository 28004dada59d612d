"""The `docker` jail: the `lockdown` jail inside a hardened container of a Docker engine.

Covers what `lockdown` covers, and besides: no network, a read-only file system of system folders, Python and its
packages, no capability, no new privileges, limits of processes and memory, and with the runtime `runsc`, where the
engine has it, a kernel of its own. The container ends with this process, however it ends, and removes itself.

Does not cover: whoever may talk to the engine is root on its machine, which is the engine's rule and not ours; bugs of
the kernel (without `runsc`); side channels through time and caches.

No registry is needed: the image is a few hundred bytes of empty folders, and the machine's own Python is mounted into
it. Where that cannot be (macOS, Windows, a remote engine), name an image with this very qredit and torch in it.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.inside.limits import HEADROOM_BYTES
from qredit.sandbox.jails import lockdown
from qredit.sandbox.jails.container_engine import REMEDY, connect, create_container, start
from qredit.sandbox.jails.exchange import GRACE_SECONDS, ServerLostError
from qredit.sandbox.jails.forkserver import START_SECONDS, compare
from qredit.sandbox.jails.jail import JobResult
from qredit.sandbox.jails.order import HEAD_LIMIT, Answer, Order, read_frame
from qredit.sandbox.jails.pool import JOBS_PER_SERVER, ServerJail

if TYPE_CHECKING:
    import docker


def open_docker(
    *,
    jobs: str | None = None,
    import_path: Sequence[str] = (),
    max_parallel: int | None = None,
    jobs_per_server: int = JOBS_PER_SERVER,
    image: str | None = None,
) -> ServerJail:
    """Open the jail and run the probe in it.

    Args:
        jobs, import_path, max_parallel, jobs_per_server: as for `open_lockdown`.
        image: image with this very qredit and torch in it; by default this machine's Python is mounted.

    Raises:
        JailUnavailableError: there is no engine, or it cannot run the container.
        JailError: the server could not be started or did not pass the probe.
    """
    with contextlib.closing(connect()) as client:
        host = client.info()
    parallel = max_parallel or max(1, min(host["NCPU"], host["MemTotal"] // HEADROOM_BYTES - 1))

    def launch() -> ContainerServer:
        return ContainerServer(
            connect(), jobs=jobs or lockdown.JOBS, import_path=import_path, parallel=parallel, image=image
        )

    return ServerJail("docker", launch, max_parallel=parallel, jobs_per_server=jobs_per_server)


class ContainerServer:
    """One running container with a fork server in it. Thread-safe: several jobs at once.

    Args:
        client: the engine; closed with the server.
        jobs: module with `warm_up()` and `run_job(name, payload)`.
        import_path: folders to look for it in.
        parallel: most jobs at once.
        image: image with Python and qredit; `None` mounts this machine's.

    Raises:
        JailUnavailableError: the engine refused the container.
        JailError: the container did not start, or holds another Python, torch or qredit.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        jobs: str,
        import_path: Sequence[str],
        parallel: int,
        image: str | None,
    ) -> None:
        self._lock = threading.Lock()
        self._answers: dict[int, _Waiting] = {}
        self._next = 0
        self._lost = False
        self._errors = b""
        self._client = client
        try:
            self._container = create_container(
                client, jobs=jobs, import_path=import_path, parallel=parallel, image=image
            )
            # The engine closes the container's input with this connection, which ends the relay and so the container.
            self._attached: Any = self._container.attach_socket(
                params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            self._socket: socket.socket = getattr(self._attached, "_sock", self._attached)
            self._socket.settimeout(START_SECONDS)
            start(self._container)
            self._stream = io.BufferedReader(_Demultiplexed(self._socket, self._complain))
            self._greet(mounted=image is None)
            self._socket.settimeout(None)
        except BaseException:
            self.close()
            raise
        self._reader = threading.Thread(target=self._read, name="qredit-jail", daemon=True)
        self._reader.start()

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int) -> JobResult:
        """Run one job in a fork of the container's server.

        Raises:
            ServerLostError: the container or its server died; the job may be run again elsewhere.
            JailError: no process could be made, or it could not lock itself down.
        """
        waiting = _Waiting()
        with self._lock:
            if self._lost:
                raise ServerLostError
            self._next += 1
            order = Order(self._next, job, payload, timeout_seconds, output_limit)
            self._answers[order.number] = waiting
            try:
                self._socket.sendall(order.to_bytes())
            except OSError:
                raise ServerLostError from None
        # Three waits of the relay's own (start, job, end), then it counts as lost.
        if not waiting.done.wait(timeout_seconds + 3 * GRACE_SECONDS):
            raise ServerLostError("the jail's container did not answer in time")
        answer = waiting.answer
        if answer is None or answer.lost:
            raise ServerLostError
        if answer.error is not None:
            raise answer.error
        assert answer.result is not None, "neither an error nor a result"
        if len(answer.result.output) > output_limit:
            raise JailError(
                "the jail's container broke its word",
                cause=f"it sent {len(answer.result.output)} bytes, more than {output_limit}",
                remedy="Nothing of it was used. Report this with the output of `qredit doctor`.",
            )
        return answer.result

    def close(self) -> None:
        """End the container and with it every job. May be called twice."""
        import docker

        with contextlib.suppress(AttributeError, OSError):  # it may never have come so far
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader
        with contextlib.suppress(AttributeError):
            self._reader.join(timeout=5)
        with contextlib.suppress(AttributeError, OSError):
            self._attached.close()
            self._socket.close()
        with contextlib.suppress(AttributeError, docker.errors.APIError, OSError):  # it may be gone, or going
            self._container.remove(force=True)
        self._client.close()

    def _greet(self, *, mounted: bool) -> None:
        try:
            hello = wire.Hello.from_bytes(read_frame(self._stream, HEAD_LIMIT))
        except (EOFError, OSError, ValueError, TypeError) as error:
            raise JailError(
                "the jail's container ended while it started",
                cause=self._errors.decode("utf-8", "replace").strip() or f"it said nothing ({type(error).__name__})",
                remedy=REMEDY,
            ) from error
        here = wire.Hello.of_this_process(threads=1)
        if mounted:
            compare(hello, here, ("python", "qredit", "qredit_folder", "torch"))
        else:  # a CUDA build here is a CPU build there
            hello, here = (replace(each, torch=wire.public(each.torch)) for each in (hello, here))
            compare(hello, here, ("qredit", "torch"), REMEDY)

    def _complain(self, text: bytes) -> None:
        self._errors = (self._errors + text)[-4000:]

    def _read(self) -> None:
        """Hand every answer to whoever waits for it, until the container ends."""
        try:
            while True:
                answer = Answer.read(self._stream)
                with self._lock:
                    waiting = self._answers.pop(answer.number, None)
                if waiting is not None:
                    waiting.answer = answer
                    waiting.done.set()
        except (EOFError, OSError, ValueError, KeyError, TypeError):
            with self._lock:
                self._lost = True
                left = list(self._answers.values())
                self._answers.clear()
            for waiting in left:
                waiting.done.set()


class _Waiting:
    """Somebody who waits for an answer; none is set when the container was lost."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None


class _Demultiplexed(io.RawIOBase):
    """Standard output of a container, out of the engine's stream of both (8 bytes of head: which one, length)."""

    def __init__(self, connection: socket.socket, complain: Callable[[bytes], None]) -> None:
        self._connection = connection
        self._complain = complain
        self._left = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there of standard output; 0 at the end."""
        while self._left == 0:
            head = self._exactly(8)
            if len(head) < 8:
                return 0
            size = int.from_bytes(head[4:], "big")
            if head[0] == 1:
                self._left = size
            else:
                self._complain(self._exactly(size))
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            piece = self._connection.recv(size - len(content))
            if not piece:
                break
            content += piece
        return content
