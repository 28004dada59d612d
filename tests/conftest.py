"""What all tests share: a tripwire on the network, a clean environment, and skips that CI can forbid."""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from qredit.marl.engines.local import LocalEngine
    from qredit.marl.jobs import Job, JobProgress
    from qredit.sandbox import Jail

CAPABILITIES = frozenset({"bubblewrap", "docker", "lockdown", "make", "proc", "shellcheck", "uv", "virtualenv"})
"""What a machine may lack; `QREDIT_REQUIRE=lockdown,make` turns the skips of these into failures."""

# Before any test module imports torch or matplotlib, which read these once.
os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "CUDA_VISIBLE_DEVICES": ""}
for _name in [n for n in os.environ if n.startswith(("OPENAI_", "LANGSMITH_", "LANGCHAIN_", "QREDIT_", "TYPER_"))]:
    if _name != "QREDIT_REQUIRE":
        del os.environ[_name]
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
    os.environ.pop(_name, None)

# A shell that starts this in the background has it ignore SIGINT, and all children would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The machines that run this are shared and slow at times: a deadline per example would be a timed test.
hypothesis.settings.register_profile("qredit", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("qredit")

Require = Callable[[str, str | None], None]


class NetworkAttemptError(RuntimeError):
    """A test tried to reach something beyond loopback."""


class Tripwire:
    """Stops every connection and name look-up beyond loopback that Python's `socket` makes, and remembers it.

    Not covered: child processes, and sockets that C libraries open by themselves.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """The audit hook; it cannot be removed again."""
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            address = arguments[1]
            # A path (Unix socket), a netlink pair or, for a connected socket, `None` leads nowhere outside.
            host = address[0] if isinstance(address, tuple) and address else None
        elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}:
            host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
        else:
            return
        if not is_loopback(host):
            self.attempts.append(f"{event} {host!r}")
            raise NetworkAttemptError(f"a test tried to reach {host!r} ({event}); tests stay on this machine")


def is_loopback(host: object) -> bool:
    """Whether a host, as given to `socket`, is this machine."""
    if host is None or isinstance(host, int):
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in {"", "localhost", "localhost.localdomain"}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


TRIPWIRE = Tripwire()
sys.addaudithook(TRIPWIRE.audit)


@pytest.fixture(autouse=True)
def network_attempts() -> Iterator[list[str]]:
    """Attempts of this test to reach a network; any that is left at its end fails it, even if code swallowed it."""
    TRIPWIRE.attempts.clear()
    yield TRIPWIRE.attempts
    if TRIPWIRE.attempts:
        pytest.fail("network attempts: " + ", ".join(TRIPWIRE.attempts))


@pytest.fixture(autouse=True)
def own_runs_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A runs folder of the test's own; it is made when the first run is."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("QREDIT_RUNS", str(folder))
    return folder


@pytest.fixture(scope="session")
def require() -> Require:
    """`require("lockdown", reason)`: skip with the reason, or fail where `QREDIT_REQUIRE` names the capability.

    A reason of `None` says that the machine has it.
    """
    return _require


@pytest.fixture(autouse=True)
def same_environment_after() -> Iterator[None]:
    """What code of ours switches off for its process, such as tracing services, must not reach the next test."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        if not name.startswith("PYTEST_"):
            del os.environ[name]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def lockdown_jail(require: Require) -> Iterator[Jail]:
    """One `lockdown` jail for all tests that need no jail of their own: it takes seconds to start."""
    from qredit.errors import JailUnavailableError
    from qredit.sandbox import open_jail

    try:
        jail = open_jail("lockdown")
    except JailUnavailableError as error:
        require("lockdown", error.cause)
        raise
    with jail:
        yield jail


@pytest.fixture(scope="session")
def lockdown(lockdown_jail: Jail) -> None:
    """For tests that open a `lockdown` jail of their own: this machine can have it, since one is open."""


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings run in this process, one after the other: a process for each takes seconds to load torch.

    What the processes do besides is the matter of `tests/marl`; some tests start them all the same.
    """

    from qredit.marl.engines.local import LocalEngine
    from qredit.marl.jobs import JobProgress

    def run(
        engine: LocalEngine, jobs: Sequence[Job], *, workers: int | None, on_progress: Callable[[JobProgress], None]
    ) -> None:
        for job in jobs:
            module, _, function = job.work.partition(":")
            work = getattr(importlib.import_module(module), function)
            arguments = json.loads(json.dumps(dict(job.arguments)))
            work(arguments, lambda done, total, job=job: on_progress(JobProgress(job.name, "running", done, total)))
            on_progress(JobProgress(job.name, "finished", job.total, job.total))

    monkeypatch.setattr(LocalEngine, "run", run)


def _require(capability: str, reason: str | None) -> None:
    if capability not in CAPABILITIES:
        raise ValueError(f"unknown capability {capability!r}; CAPABILITIES has {sorted(CAPABILITIES)}")
    if reason is None:
        return
    if capability in _required():
        pytest.fail(f"QREDIT_REQUIRE names `{capability}`, but: {reason}", pytrace=False)
    pytest.skip(f"{capability}: {reason}")


def _required() -> set[str]:
    return {name.strip() for name in os.environ.get("QREDIT_REQUIRE", "").split(",") if name.strip()}


SLOW = (
    "test_recordings",
    "test_soak",
    "test_commands_on_simulated_hosts",
    "test_ordinary_user",
    "test_particles_parity",
    "test_ranking",
    "test_rware_parity",
    "test_every_algorithm",
    "test_compare_real",
    "test_process",
    "test_engines_ray",
    "test_batches",
    "test_hostile",
    "test_jail_conduct",
)
"""Files that take half a minute and more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files: whoever begins one at the end lets the other processes wait."""
    rank = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(SLOW)))


def pytest_configure() -> None:
    """Refuse a misspelt capability: it would forbid nothing."""
    unknown = _required() - CAPABILITIES
    if unknown:
        raise pytest.UsageError(f"QREDIT_REQUIRE names unknown {sorted(unknown)}; known: {sorted(CAPABILITIES)}")
