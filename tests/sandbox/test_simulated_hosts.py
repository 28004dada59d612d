"""Hosts that lack something, simulated by real refusals of the kernel: which jail is taken, and what is said.

A process installs a system-call filter, as a container's narrow profile or a hardened host would, and then looks for a
jail. The jobs are plain ones, so that a start takes no seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Require

SERVER_JOBS = Path(__file__).parent / "server_jobs"

FILTER = """
import errno, sys
from qredit.sandbox.inside import kernel, landlock, seccomp, syscalls

missing = sys.argv[1].split(",")
machine = seccomp.this_machine()
program = [seccomp.Instruction(seccomp.LOAD, 0, 0, seccomp.OFFSET_NUMBER)]
if "landlock" in missing:
    program += [
        seccomp.Instruction(seccomp.JUMP_EQUAL, 0, 1, landlock.CREATE_RULESET),
        seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.fail_with(errno.ENOSYS)),
    ]
if "namespaces" in missing:
    program += [
        seccomp.Instruction(seccomp.JUMP_EQUAL, 0, 1, syscalls.number("unshare", machine)),
        seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.fail_with(errno.EPERM)),
        seccomp.Instruction(seccomp.JUMP_EQUAL, 0, 3, syscalls.number("clone", machine)),
        seccomp.Instruction(seccomp.LOAD, 0, 0, seccomp.OFFSET_FIRST_ARGUMENT),
        seccomp.Instruction(seccomp.JUMP_ANY_BIT, 0, 1, seccomp.CLONE_NAMESPACES),
        seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.fail_with(errno.EPERM)),
    ]
program.append(seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.ALLOW))
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install(b"".join(instruction.to_bytes() for instruction in program))
"""
"""Takes away what the first argument names."""

PLAIN_JAILS = """
from functools import partial
from qredit.sandbox.jails import jail
from qredit.sandbox.jails.bubblewrap import open_bubblewrap
from qredit.sandbox.jails.container import open_docker
from qredit.sandbox.jails.lockdown import open_lockdown

openers = {"bubblewrap": open_bubblewrap, "lockdown": open_lockdown, "docker": open_docker}
for name in jail._JAILS:
    jail._JAILS[name] = partial(openers[name], jobs="plain_jobs", import_path=[sys.argv[2]])
"""
"""Jails with jobs that need no torch."""

SCRIPT = (
    FILTER
    + PLAIN_JAILS
    + """
import json
from qredit.errors import JailUnavailableError

found = {"auto": None, "error": None}
try:
    with jail.open_jail() as opened:
        found["auto"] = opened.name
except JailUnavailableError as error:
    found["error"] = [error.what, error.cause, error.remedy]
found["states"] = {name: [s.available, s.detail, s.remedy] for name in jail._JAILS for s in [jail.probe_jail(name)]}
print(json.dumps(found))
"""
)


def host(missing: str, tmp_path: Path, **environment: str) -> dict[str, Any]:
    """What a process finds that lacks something."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, missing, str(SERVER_JOBS)],
        env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{tmp_path}/none.sock", **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", autouse=True)
def a_whole_host(require: Require, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For machines that have what is then taken away."""
    for name, (available, detail, _) in host("nothing", tmp_path_factory.mktemp("whole"))["states"].items():
        if name != "docker":
            require(name, None if available else detail)


def test_a_host_that_has_all_takes_bubblewrap(tmp_path: Path) -> None:
    found = host("nothing", tmp_path)
    assert found["auto"] == "bubblewrap"
    assert [found["states"][name][0] for name in ("bubblewrap", "lockdown", "docker")] == [True, True, False]
    assert f"no engine answers at `unix://{tmp_path}/none.sock`" in found["states"]["docker"][1]
    assert "Start Docker, or set DOCKER_HOST" in found["states"]["docker"][2]


def test_without_namespaces_lockdown_is_taken(tmp_path: Path) -> None:
    """AppArmor on Ubuntu, `max_user_namespaces` 0, a container: bubblewrap is there and is refused."""
    found = host("namespaces", tmp_path)
    assert found["auto"] == "lockdown"
    assert found["states"]["bubblewrap"][0] is False


def test_without_landlock_bubblewrap_still_holds(tmp_path: Path) -> None:
    """Its jobs pass the probe: no file can be opened, since the filter and the mounts see to that."""
    found = host("landlock", tmp_path)
    assert found["auto"] == "bubblewrap"
    available, detail, remedy = found["states"]["lockdown"]
    assert available is False
    assert "has no Landlock" in detail
    assert "Use Linux 5.13 or newer" in remedy


def test_without_both_and_without_docker_nothing_is_executed(tmp_path: Path) -> None:
    found = host("landlock,namespaces", tmp_path)
    assert found["auto"] is None
    what, cause, remedy = found["error"]
    assert what == "no jail works on this machine"
    for name in ("bubblewrap", "lockdown", "docker"):
        assert f"jail `{name}`" in cause
    assert "DOCKER_HOST" in remedy
    assert not any(state[0] for state in found["states"].values())
