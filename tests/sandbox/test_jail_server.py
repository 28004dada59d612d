"""Servers that die, wear out, lose their parent or cannot start: jobs are not lost, no process is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import qredit
from qredit.errors import JailError
from qredit.sandbox import forkserver, wire
from qredit.sandbox.exchange import Exchange
from qredit.sandbox.lockdown import open_lockdown
from qredit.sandbox.pool import ServerJail

SERVER_JOBS = Path(__file__).parent / "server_jobs"
ANSWER = b'{"program": "programs.answer", "arguments": {"value": 42}}'
PAUSE = b'{"program": "programs.pause", "arguments": {"value": 42}}'
LOOP = b'{"program": "programs.loop_in_python", "arguments": {}}'

pytestmark = pytest.mark.usefixtures("lockdown_or_skip")


def open_plain(*, jobs: str = "plain_jobs", jobs_per_server: int = 300) -> ServerJail:
    return open_lockdown(jobs=jobs, import_path=[str(SERVER_JOBS)], max_parallel=4, jobs_per_server=jobs_per_server)


@pytest.fixture
def jail() -> Iterator[ServerJail]:
    with open_plain() as jail:
        yield jail


def server_of(jail: ServerJail) -> int:
    return jail._shift.server.pid


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


PARENT = """
import os, sys, threading
from qredit.sandbox.lockdown import open_lockdown

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
        server = int(parent.stdout.readline())
        worker = int(parent.stdout.readline()) if kind == "forked" else None
        wait_until(lambda: bool(children_of(server)))
        children = children_of(server)
        parent.kill()
        wait_until(lambda: not any(alive(pid) for pid in {server, *children}))
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


def test_a_job_of_ours_that_returns_no_bytes_is_named() -> None:
    with open_plain(jobs="odd_jobs") as jail:
        result = jail.run("trace", b"", timeout_seconds=20)
        assert result.outcome == "silent_exit"
        assert "TypeError: a job must return bytes, not `str`" in result.detail


def test_variables_that_libraries_set_are_removed() -> None:
    with open_plain(jobs="odd_jobs") as jail:
        names = jail.run("verify", b"", timeout_seconds=20).output.decode().split()
    assert set(names) - {"LC_CTYPE", "LD_LIBRARY_PATH"} == {
        "CUDA_VISIBLE_DEVICES",
        "HOME",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    }


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ("broken_jobs", "ended while it started: .*libtorch_cpu.so: cannot open shared object file"),
        ("threaded_jobs", "another `threads`: it has `2`, expected `1`"),
        ("no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_a_server_that_cannot_be_trusted_does_not_start(jobs: str, message: str) -> None:
    with pytest.raises(JailError, match=f"(?s){message}"):
        open_plain(jobs=jobs)


def test_a_server_that_never_gets_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "START_SECONDS", 0.001)
    with pytest.raises(JailError, match="it was not ready after"):
        open_plain()


def test_a_python_that_cannot_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(JailError, match="`/nonexistent/python`: No such file or directory"):
        open_plain()


@pytest.mark.parametrize("name", ["python", "torch", "qredit", "qredit_folder"])
def test_a_server_of_another_version_is_refused(name: str) -> None:
    here = wire.Hello.of_this_process(threads=1)
    forkserver.compare(here, here)
    other = wire.Hello(**{**vars(here), name: "other"})
    with pytest.raises(JailError, match=f"another `{name}`: it has `other`, expected"):
        forkserver.compare(other, here)


def test_the_current_directory_is_not_on_the_servers_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "relative", str(other), "/nonexistent"])
    assert forkserver.search_path([str(SERVER_JOBS)]) == [str(other), str(SERVER_JOBS)]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_server_runs_the_very_package_of_its_parent(tmp_path: Path, kind: str) -> None:
    """An installation that only PYTHONPATH knows (`pip install --target`, a zip) wins over the one in this venv."""
    target = tmp_path / "target"
    source = Path(qredit.__file__ or "").parent
    shutil.copytree(source, target / "qredit", ignore=shutil.ignore_patterns("__pycache__", "recordings"))
    if kind == "zip":
        target = Path(shutil.make_archive(str(tmp_path / "package"), "zip", target))
    script = """
import sys, qredit
from qredit.sandbox.lockdown import open_lockdown
with open_lockdown(jobs="plain_jobs", import_path=[sys.argv[1]]) as jail:
    print(qredit.__file__, jail.run("trace", sys.argv[2].encode(), timeout_seconds=20).output)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(SERVER_JOBS), ANSWER.decode()],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == f"{target}/qredit/__init__.py b'fired: 42'\n"
