"""Servers that die, wear out or lose their parent: jobs are not lost, no process is left."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qredit.errors import JailError
from qredit.sandbox.inside import child, server
from qredit.sandbox.jails import forkserver
from qredit.sandbox.jails.exchange import Exchange
from qredit.sandbox.jails.lockdown import open_lockdown
from qredit.sandbox.jails.pool import ServerJail

SERVER_JOBS = Path(__file__).parent / "server_jobs"
ANSWER = b'{"program": "programs.answer", "arguments": {"value": 42}}'
PAUSE = b'{"program": "programs.pause", "arguments": {"value": 42}}'
LOOP = b'{"program": "programs.loop_in_python", "arguments": {}}'

pytestmark = pytest.mark.usefixtures("lockdown_or_skip")


def open_plain(*, jobs_per_server: int = 300) -> ServerJail:
    return open_lockdown(
        jobs="plain_jobs", import_path=[str(SERVER_JOBS)], max_parallel=4, jobs_per_server=jobs_per_server
    )


@pytest.fixture
def jail() -> Iterator[ServerJail]:
    with open_plain() as jail:
        yield jail


def server_of(jail: ServerJail) -> int:
    server = jail._shift.server
    assert isinstance(server, forkserver.ForkServer)
    return server.pid


def children_of(pid: int) -> set[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in children.read_text().split()} if children.exists() else set()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that must happen; how long it takes does not matter."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_a_dead_server_is_replaced(jail: ServerJail) -> None:
    first = server_of(jail)
    os.kill(first, signal.SIGKILL)
    assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"
    assert server_of(jail) != first


def test_jobs_survive_the_death_of_their_server(jail: ServerJail) -> None:
    first = server_of(jail)
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(jail.run, "trace", PAUSE, timeout_seconds=20) for _ in range(10)]
        wait_until(lambda: bool(children_of(first)))
        os.kill(first, signal.SIGKILL)
        assert [future.result().output for future in futures] == [b"fired: 42"] * 10


def test_a_job_whose_server_dies_twice_is_our_error(jail: ServerJail) -> None:
    stop = threading.Event()

    def keep_killing() -> None:
        while not stop.wait(0.01):
            pid = server_of(jail)
            if children_of(pid) and jail._shift.started:  # a job of ours runs, not the probe
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=keep_killing)
    killer.start()
    try:
        with pytest.raises(JailError, match="lost twice under one job"):
            jail.run("trace", LOOP, timeout_seconds=60)
    finally:
        stop.set()
        killer.join()
    assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"


def test_a_server_is_replaced_when_it_has_served_long_enough() -> None:
    with open_plain(jobs_per_server=3) as jail:
        served = []
        for _ in range(7):
            jail.run("trace", ANSWER, timeout_seconds=20)
            served.append(server_of(jail))
        assert [served.count(pid) for pid in dict.fromkeys(served)] == [3, 3, 1]
        wait_until(lambda: not any(alive(pid) for pid in served[:6]))


def test_a_worn_server_finishes_its_jobs_first() -> None:
    with open_plain(jobs_per_server=1) as jail, ThreadPoolExecutor(1) as pool:
        first = server_of(jail)
        slow = pool.submit(jail.run, "trace", PAUSE, timeout_seconds=20)
        wait_until(lambda: bool(children_of(first)))
        assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"
        assert server_of(jail) != first
        assert slow.result().output == b"fired: 42"
        wait_until(lambda: not alive(first))


def test_no_process_and_no_descriptor_is_left_by_jobs(jail: ServerJail) -> None:
    pid = server_of(jail)

    def run() -> None:
        for payload, seconds in ((ANSWER, 20.0), (LOOP, 0.05)):
            jail.run("trace", payload, timeout_seconds=seconds)

    run()
    mine = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        run()
    assert children_of(pid) == set()
    assert len(list(Path("/proc/self/fd").iterdir())) == mine


def test_closing_ends_the_server_and_its_jobs(jail: ServerJail) -> None:
    pid = server_of(jail)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(jail.run, "trace", LOOP, timeout_seconds=60)
        wait_until(lambda: bool(children_of(pid)))
        children = children_of(pid)
        jail.close()
        with pytest.raises(JailError, match="closed"):
            running.result()
    wait_until(lambda: not any(alive(process) for process in {pid, *children}))
    jail.close()
    with pytest.raises(JailError, match="jail `lockdown` is closed"):
        jail.run("trace", ANSWER, timeout_seconds=20)


def test_a_job_that_the_caller_gives_up_is_killed(jail: ServerJail, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = server_of(jail)

    def interrupt(exchange: Exchange, seconds: float) -> None:
        wait_until(lambda: bool(children_of(pid)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "_turn", interrupt)
        with pytest.raises(KeyboardInterrupt):
            jail.run("trace", LOOP, timeout_seconds=60)
    wait_until(lambda: not children_of(pid))
    assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"


def test_a_server_outlives_the_thread_that_needed_it() -> None:
    """The kernel ties a child's life to the thread that started it, not to the process."""
    opened: list[ServerJail] = []
    thread = threading.Thread(target=lambda: opened.append(open_plain()))
    thread.start()
    thread.join()
    with opened[0] as jail:
        pid = server_of(jail)
        assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"
        assert server_of(jail) == pid


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_server_handles_old_events_before_it_takes_new_jobs(
    order: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A soak found it: an event for a closed handle killed the job that had got the same number."""
    acts: list[str] = []
    monkeypatch.setattr(server.Server, "_give_up", lambda self, handle: acts.append("give up"))
    monkeypatch.setattr(server.Server, "_reap", lambda self: acts.append("reap"))

    def accept(loop: server.Server) -> bool:
        acts.append("accept")
        return True

    monkeypatch.setattr(server.Server, "_accept", accept)
    control, far = socket.socketpair()
    wake, wake_writer = os.pipe()
    handle, far_handle = socket.socketpair()
    with control, far, handle, far_handle:
        lock = child.Lock(server_pid=os.getpid(), address_space_bytes=0, job_filter=b"", landlock=True)
        loop = server.Server(control, lock, lambda name, payload: payload)
        ends = (control.fileno(), wake, handle.fileno())
        for index in order:
            loop._poll.register(ends[index], select.POLLIN)
        far.send(b"x")
        far_handle.send(b"x")
        os.write(wake_writer, b"x")
        assert loop._turn(wake)
    os.close(wake)
    os.close(wake_writer)
    assert acts == ["give up", "reap", "accept"]


PARENT = """
import os, sys, threading
from qredit.sandbox.jails.lockdown import open_lockdown

jail = open_lockdown(jobs="plain_jobs", import_path=[sys.argv[1]])
threading.Thread(target=jail.run, args=("trace", sys.argv[2].encode()), kwargs={"timeout_seconds": 600}).start()
print(jail._shift.server.pid, flush=True)
if sys.argv[3] == "forked":  # a worker that inherited the control socket and lives on must not keep the server alive
    worker = os.fork()
    if worker == 0:
        import time
        time.sleep(600)
    print(worker, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("kind", ["alone", "forked"])
def test_a_parent_killed_with_9_leaves_no_process(kind: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(SERVER_JOBS), LOOP.decode(), kind],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        worker = int(parent.stdout.readline()) if kind == "forked" else None
        wait_until(lambda: bool(children_of(pid)))
        children = children_of(pid)
        parent.kill()
        wait_until(lambda: not any(alive(process) for process in {pid, *children}))
        if worker is not None:
            os.kill(worker, signal.SIGKILL)


def test_an_ordinary_end_of_the_parent_leaves_no_process() -> None:
    script = PARENT.replace("threading.Event().wait()", "os._exit(0)")
    done = subprocess.run(
        [sys.executable, "-c", script, str(SERVER_JOBS), LOOP.decode(), "alone"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    wait_until(lambda: not alive(int(done.stdout)))


def test_processor_time_is_limited_even_without_the_parent(jail: ServerJail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "cpu_limit", lambda timeout_seconds: 1)
    result = jail.run("trace", LOOP, timeout_seconds=60)
    assert (result.outcome, result.detail) == (
        "killed",
        "killed by SIGKILL: its processor time was used up, or the machine ran out of memory",
    )
