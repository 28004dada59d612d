"""One jail per kind for the whole session, with a stand-in for its jobs, and a bench to try attacks in and outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from qredit.errors import JailUnavailableError
from qredit.sandbox.jails.bubblewrap import open_bubblewrap
from qredit.sandbox.jails.container import open_docker
from qredit.sandbox.jails.jail import Jail, JobResult
from qredit.sandbox.jails.lockdown import open_lockdown, require_support
from qredit.sandbox.jails.pool import ServerJail

SERVER_JOBS: Final = Path(__file__).parent / "server_jobs"
"""Modules that stand in for `qredit.sandbox.inside.jobs`; only jails import them."""

CANARY_NAME: Final = "TEST_API_KEY"
CANARY: Final = "canary-3f9a17c2"
"""A secret of the caller's environment."""

Require = Callable[[str, str | None], None]

OUTSIDE: Final = """
import sys
sys.path.insert(0, sys.argv[1])
import plain_jobs
plain_jobs.warm_up()
reply = plain_jobs.run_job("trace", sys.stdin.buffer.read())
sys.stdout.buffer.write(reply)
"""

_OPTIONS: Final[dict[str, Any]] = {"jobs": "plain_jobs", "import_path": [str(SERVER_JOBS)], "max_parallel": 4}
JAILS: Final[dict[str, Callable[[], ServerJail]]] = {
    "bubblewrap": lambda: open_bubblewrap(**_OPTIONS),
    "docker": lambda: open_docker(**_OPTIONS),
    "lockdown": lambda: open_lockdown(**_OPTIONS),
}
"""Every jail that the conformance tests attack."""


def packed(program: str, arguments: Mapping[str, object]) -> bytes:
    """Pack a program's name and arguments for `plain_jobs.run_job`."""
    return json.dumps({"program": program, "arguments": arguments}).encode()


@dataclass(frozen=True)
class Bench:
    """Runs one program in a jail and, as the positive control, outside."""

    jail: Jail
    """The jail under test."""

    def inside(
        self, program: str, *, timeout_seconds: float = 20, output_limit: int = 200_000, **arguments: object
    ) -> JobResult:
        """Run it in the jail."""
        payload = packed(program, arguments)
        return self.jail.run("trace", payload, timeout_seconds=timeout_seconds, output_limit=output_limit)

    def outside(self, program: str, **arguments: object) -> str:
        """Run it in an ordinary process of the caller, with the caller's environment and descriptors."""
        done = subprocess.run(
            [sys.executable, "-B", "-c", OUTSIDE, str(SERVER_JOBS)],
            input=packed(program, arguments),
            env={**os.environ, CANARY_NAME: CANARY},
            capture_output=True,
            close_fds=False,
            check=True,
            timeout=60,
        )
        return done.stdout.decode()


@pytest.fixture(scope="session")
def lockdown_or_skip(require: Require) -> None:
    """Skip, or fail where it is required, if this machine cannot have the lockdown jail."""
    try:
        require_support()
    except JailUnavailableError as error:
        require("lockdown", str(error))


@pytest.fixture(scope="session", params=sorted(JAILS))
def bench(request: pytest.FixtureRequest, require: Require) -> Iterator[Bench]:
    """A bench per jail; the secret is in this process's environment when the jail starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CANARY_NAME, CANARY)
        try:
            jail = JAILS[request.param]()
        except JailUnavailableError as error:
            require(request.param, str(error))
            raise
        with jail:
            yield Bench(jail)
