"""torch in the jail: it computes, and what it offers to an attacker is stopped there and fires outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qredit.sandbox.jails.jail import JobResult
from qredit.sandbox.jails.lockdown import open_lockdown
from qredit.sandbox.jails.pool import ServerJail

SERVER_JOBS = Path(__file__).parent / "server_jobs"

ATTACKS = ("save", "load", "map_file", "load_library", "share_memory", "start_workers", "unpickle_program")

OUTSIDE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch_jobs
torch_jobs.warm_up()
said = {}
for name in sys.argv[3:]:
    request = json.dumps({"program": name, "folder": sys.argv[2]}).encode()
    said[name] = torch_jobs.run_job("trace", request).decode()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder where everybody may do everything, with a tensor and a harmless library."""
    with tempfile.TemporaryDirectory(prefix="qredit-test-") as name:
        path = Path(name)
        path.chmod(0o777)
        torch.save(torch.ones(3), path / "tensor.pt")
        libraries = Path(torch.__file__).parent / "lib"
        shutil.copy(libraries / "libshm.so", path / "library.so")
        yield path


@pytest.fixture(scope="module")
def jail(lockdown_or_skip: None) -> Iterator[ServerJail]:
    with open_lockdown(jobs="torch_jobs", import_path=[str(SERVER_JOBS)]) as jail:
        yield jail


def run(jail: ServerJail, program: str, folder: Path) -> JobResult:
    payload = json.dumps({"program": program, "folder": str(folder)}).encode()
    return jail.run("trace", payload, timeout_seconds=60)


def test_torch_computes_in_the_jail(jail: ServerJail, folder: Path) -> None:
    assert run(jail, "compute", folder).output == b"fired: True"


def test_threads_of_torch_end_the_job_at_worst(jail: ServerJail, folder: Path) -> None:
    assert run(jail, "compute_in_threads", folder).outcome in ("done", "killed", "silent_exit")
    assert run(jail, "compute", folder).output == b"fired: True"


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_torch_offers_is_stopped(jail: ServerJail, folder: Path, attack: str) -> None:
    before = sorted(path.name for path in folder.iterdir())
    result = run(jail, attack, folder)
    assert result.outcome == "killed" or result.output.startswith(b"stopped: ")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_outside_all_of_it_fires(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", OUTSIDE, str(SERVER_JOBS), str(folder), *ATTACKS],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said = json.loads(done.stdout)
    assert {name: text for name, text in said.items() if not text.startswith("fired: ")} == {}
