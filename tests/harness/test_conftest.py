"""The safety nets of the suite itself, each with a positive control."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Require = Callable[[str, str | None], None]
OUTSIDE = "192.0.2.1"  # TEST-NET-1: never routed


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s: s.connect((OUTSIDE, 80)),
        lambda s: s.connect_ex((OUTSIDE, 80)),
        lambda s: s.sendto(b"x", (OUTSIDE, 53)),
        lambda s: socket.getaddrinfo("example.invalid", 443),
        lambda s: socket.gethostbyname("example.invalid"),
        lambda s: socket.create_connection(("example.invalid", 443), timeout=0.1),
    ],
)
def test_reaching_out_is_stopped_and_remembered(
    attempt: Callable[[socket.socket], object], network_attempts: list[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(RuntimeError, match="tests stay"):
        attempt(sock)
    assert len(network_attempts) == 1
    network_attempts.clear()


def test_loopback_is_allowed(network_attempts: list[str]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
    assert network_attempts == []


@pytest.fixture
def outer_pytest(tmp_path: Path, repository: Path) -> Callable[..., str]:
    """Run one test file in a pytest of its own, under our `conftest.py`; returns what it printed."""
    shutil.copy(repository / "tests" / "conftest.py", tmp_path)

    def run(source: str, **environment: str) -> str:
        (tmp_path / "test_it.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return run


def test_a_swallowed_attempt_still_fails_the_test(outer_pytest: Callable[..., str]) -> None:
    printed = outer_pytest(
        "import socket\n"
        "def test_swallows():\n"
        "    try:\n"
        "        socket.create_connection(('192.0.2.1', 80), timeout=0.1)\n"
        "    except Exception:\n"
        "        pass\n"
    )
    assert "network attempts: socket.getaddrinfo '192.0.2.1'" in printed
    assert "1 passed, 1 error" in printed


NEEDS_JAIL = "def test_needs(require):\n    require('lockdown', 'this kernel has no Landlock')\n"


def test_a_missing_capability_skips_with_its_reason(outer_pytest: Callable[..., str]) -> None:
    printed = outer_pytest(NEEDS_JAIL, QREDIT_REQUIRE="make")
    assert "1 skipped" in printed
    assert "lockdown: this kernel has no Landlock" in printed


def test_a_required_capability_fails(outer_pytest: Callable[..., str]) -> None:
    printed = outer_pytest(NEEDS_JAIL, QREDIT_REQUIRE="make, lockdown")
    assert "1 failed" in printed
    assert "this kernel has no Landlock" in printed


def test_a_misspelt_requirement_is_refused(outer_pytest: Callable[..., str]) -> None:
    assert "unknown ['lockdwon']" in outer_pytest(NEEDS_JAIL, QREDIT_REQUIRE="lockdwon")


def test_what_is_there_is_not_skipped(require: Require) -> None:
    require("lockdown", None)
    with pytest.raises(ValueError, match="unknown capability"):
        require("lockdwon", None)


def test_environment_is_clean(own_runs_folder: Path) -> None:
    assert not [n for n in os.environ if n.startswith(("OPENAI_", "LANGSMITH_", "LANGCHAIN_"))]
    assert os.environ["QREDIT_RUNS"] == str(own_runs_folder)
    assert not own_runs_folder.exists()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["MPLBACKEND"] == "Agg"
