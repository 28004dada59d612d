"""The docker jail on kernels without Landlock (old ones, the virtual machine of Docker Desktop): it holds all the same.

Simulated by the engine itself: the container's system-call filter refuses Landlock. The container shows no file of the
caller, and the job's filter lets no file be opened.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import JailUnavailableError
from qredit.sandbox.inside import landlock
from qredit.sandbox.jails import container_engine
from qredit.sandbox.jails.container import open_docker
from qredit.sandbox.jails.jail import Jail
from tests.conftest import Require

SERVER_JOBS = Path(__file__).parent / "server_jobs"
LANDLOCK_CALLS = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
ORDINARY_PROFILE = container_engine.seccomp_profile
TARGETS: dict[str, dict[str, str]] = {
    "attacks_on_files.read_file": {"path": "/usr/bin/env"},
    "attacks_on_files.list_folder": {"folder": "/usr"},
    "attacks_on_files.ask_about_file": {"path": "/usr/bin/env"},
    "attacks_on_files.ask_through_access": {"path": "/usr/bin/env"},
    "attacks_on_files.write_file": {"folder": "/tmp"},
    "attacks_on_files.make_folder": {"folder": "/tmp"},
    "attacks_on_files.write_shared_memory_file": {},
    "attacks_on_files.make_memory_file": {},
    "attacks_on_secrets.read_descriptors": {},
    "attacks_on_processes.fork": {},
    "attacks_on_processes.run_program": {},
}
"""Attack -> what of the container it goes for."""


def profile() -> dict[str, Any]:
    """The jail's own profile, with the calls of Landlock answered as by a kernel that has none."""
    found: dict[str, Any] = ORDINARY_PROFILE()
    refusal = {"names": list(LANDLOCK_CALLS), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
    return {**found, "syscalls": [*found["syscalls"], refusal]}


def opened(require: Require) -> Jail:
    try:
        return open_docker(jobs="surrounding_jobs", import_path=[str(SERVER_JOBS)], max_parallel=2)
    except JailUnavailableError as error:
        require("docker", str(error))
        raise


@pytest.fixture(scope="module")
def jail(require: Require) -> Iterator[Jail]:
    """A jail that was probed without Landlock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container_engine, "seccomp_profile", profile)
        jail = opened(require)
    with jail:
        yield jail


def surrounding(jail: Jail) -> dict[str, Any]:
    result = jail.run("verify", b"", timeout_seconds=20)
    seen: dict[str, Any] = json.loads(result.output)
    return seen


def test_the_simulation_takes_landlock_away(jail: Jail, require: Require) -> None:
    assert surrounding(jail)["landlock"] == 0
    with opened(require) as ordinary:
        assert surrounding(ordinary)["landlock"] == landlock.version()


def test_not_even_the_server_sees_files_of_the_caller(jail: Jail) -> None:
    assert "conftest.py" in {path.name for path in SERVER_JOBS.parent.iterdir()}
    assert surrounding(jail)["beside"] == ["server_jobs"]


@pytest.mark.parametrize("attack", TARGETS)
def test_an_attack_is_stopped(jail: Jail, attack: str) -> None:
    request = json.dumps({"program": attack, "arguments": TARGETS[attack]}).encode()
    result = jail.run("trace", request, timeout_seconds=20)
    assert result.outcome == "done", result.detail
    assert result.output.startswith(b"stopped: "), result.output


def test_an_honest_job_is_done(jail: Jail) -> None:
    request = b'{"program": "programs.answer", "arguments": {"value": 42}}'
    assert jail.run("trace", request, timeout_seconds=20).output == b"fired: 42"
