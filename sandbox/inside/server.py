"""The fork server: a process with an empty environment that has everything loaded and forks once per job.

The parent starts it as `python -I -B -c BOOTSTRAP CONFIG` (`qredit.sandbox.jails.forkserver`). It shuts the ways out
(sockets, other programs, namespaces), reads all files that it will ever need, gives up root for good, says hello, and
then only waits: for an order to start a job, for a child's end, for the parent to give a job up, or for the parent's
end, which is its own. It sees no byte of any job.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import tempfile
from collections.abc import Mapping
from typing import Final

from qredit.sandbox.inside import child, compiler, hugepages, kernel, landlock, limits, probe, seccomp, wire

ENVIRONMENT: Final[Mapping[str, str]] = {
    # No thread may exist before a fork, and a job may not start one.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Jobs compute on the CPU; a GPU driver would start threads and map far more memory.
    "CUDA_VISIBLE_DEVICES": "",
    "HOME": "/nonexistent",
    # torch makes the folder of a cache that tracing never uses; this one exists and is nobody's to write.
    "TORCHINDUCTOR_CACHE_DIR": "/",
}


def main(config: Mapping[str, object]) -> None:
    """Run the server until the parent goes away.

    Args:
        config: `control` (descriptor of the control socket), `jobs` (module with `warm_up` and `run_job`) and
            `landlock_required`.
    """
    limits.limit_server()
    limits.die_with(os.getppid())
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.packed(seccomp.server_policy()))
    foreign = set(os.environ) - probe.OWN_VARIABLES
    if foreign:
        raise RuntimeError(f"the server inherited variables of its caller: {', '.join(sorted(foreign))}")
    os.environ.update(ENVIRONMENT)
    tempfile.tempdir = ENVIRONMENT["HOME"]  # torch asks for it; looking for a real one would write files
    compiler.leave_out()
    jobs = importlib.import_module(str(config["jobs"]))
    jobs.warm_up()
    for name in set(os.environ) - probe.OWN_VARIABLES:  # libraries leave some, with the paths of caches in them
        del os.environ[name]

    def run_job(name: str, payload: bytes) -> bytes:
        result = probe.run(payload) if name == probe.JOB else jobs.run_job(name, payload)
        if not isinstance(result, bytes):
            raise TypeError(f"a job must return bytes, not `{type(result).__name__}`")
        return result

    hello = wire.Hello.of_this_process(threads=limits.thread_count())
    lock = child.Lock(
        server_pid=os.getpid(),
        address_space_bytes=limits.mapped_bytes() + limits.HEADROOM_BYTES,
        job_filter=seccomp.packed(seccomp.job_policy()),
        landlock=bool(config["landlock_required"]) or landlock.version() > 0,
    )
    gc.collect()
    hugepages.collapse()
    _give_up_root()
    gc.freeze()
    with socket.socket(fileno=int(str(config["control"]))) as control:
        control.send(hello.to_bytes())
        Server(control, lock, run_job).serve()


def _give_up_root() -> None:
    parent = os.getppid()
    limits.drop_privileges()
    limits.die_with(parent)  # a change of identity clears it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


class Server:
    """The loop: one thread, one `poll`, never blocked by a job."""

    def __init__(self, control: socket.socket, lock: child.Lock, run_job: child.RunJob) -> None:
        self._control = control
        self._lock = lock
        self._run_job = run_job
        self._handles: dict[int, int] = {}
        """Process id of a running job -> descriptor of its handle."""
        self._poll = select.poll()

    def serve(self) -> None:
        """Start, reap and kill jobs until the parent closes the control socket; then leave none behind."""
        wake, wake_writer = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._poll.register(wake, select.POLLIN)
        self._poll.register(self._control, select.POLLIN)
        try:
            while self._turn(wake):
                pass
        finally:
            for pid in self._handles:
                _kill(pid)

    def _turn(self, wake: int) -> bool:
        """Handle what is ready; False when the parent is gone.

        The order matters: reaping closes handles, and a new job may get the number of one that was closed, so that an
        older event for that number would kill the wrong job.
        """
        ready = {descriptor for descriptor, _ in self._poll.poll()}
        for handle in ready - {wake, self._control.fileno()}:
            self._give_up(handle)
        if wake in ready:
            os.read(wake, 4096)
            self._reap()
        return self._control.fileno() not in ready or self._accept()

    def _accept(self) -> bool:
        """Take one order; False when the parent is gone."""
        message, descriptors, _, _ = socket.recv_fds(self._control, 64, 2)
        if not message:
            return False
        if len(descriptors) == 2:
            channel, handle = descriptors
            self._start(channel, handle, wire.Start.from_bytes(message))
            os.close(channel)
        else:  # out of descriptors: the parent sees its ends close and treats the server as lost
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, channel: int, handle: int, order: wire.Start) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            _send(handle, wire.Ended(0, fork_errno=error.errno or 1))
            os.close(handle)
            return
        if pid == 0:
            self._control.detach()  # its number is about to be reused; the object must never close it
            child.run(channel, order.cpu_seconds, self._lock, self._run_job)
        self._handles[pid] = handle
        self._poll.register(handle, select.POLLIN)

    def _give_up(self, handle: int) -> None:
        """Kill a job: the parent asked for it or closed its end."""
        self._poll.unregister(handle)
        for pid, its_handle in self._handles.items():
            if its_handle == handle:
                _kill(pid)

    def _reap(self) -> None:
        for pid in tuple(self._handles):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill(pid)  # its group, while the number is still its own
            _, status = os.waitpid(pid, 0)
            handle = self._handles.pop(pid)
            _send(handle, wire.Ended(status))
            with contextlib.suppress(KeyError):  # given up before
                self._poll.unregister(handle)
            os.close(handle)


def _send(handle: int, ended: wire.Ended) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent gave the job up
        os.write(handle, ended.to_bytes())


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):  # not yet a group of its own, or gone
            kill(pid, signal.SIGKILL)
