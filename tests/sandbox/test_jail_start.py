"""Starting a server: it must be the very Python, torch and qredit of its parent, or there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qredit
from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails import forkserver
from qredit.sandbox.jails.lockdown import open_lockdown
from qredit.sandbox.jails.pool import ServerJail

SERVER_JOBS = Path(__file__).parent / "server_jobs"
ANSWER = b'{"program": "programs.answer", "arguments": {"value": 42}}'

pytestmark = pytest.mark.usefixtures("lockdown_or_skip")


def open_plain(*, jobs: str = "plain_jobs") -> ServerJail:
    return open_lockdown(jobs=jobs, import_path=[str(SERVER_JOBS)], max_parallel=4)


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
from qredit.sandbox.jails.lockdown import open_lockdown
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


def test_a_jail_loads_nothing_of_torchs_compiler() -> None:
    script = """
import sys
from qredit.sandbox.inside import compiler, jobs
compiler.leave_out()
jobs.warm_up()
print([name for name in sys.modules if name.startswith("torch._dynamo.")])
try:
    compiler.leave_out()
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "`torch._dynamo` was loaded before the jail could leave it out"]
