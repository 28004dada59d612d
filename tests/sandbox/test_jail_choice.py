"""Choosing a jail: it is probed, it fails closed, and the message says what to do."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

import qredit.sandbox
from qredit.errors import ConfigurationError, JailError, JailUnavailableError, UnknownNameError
from qredit.sandbox.inside import landlock, probe, seccomp
from qredit.sandbox.jails import jail as jails
from qredit.sandbox.jails import lockdown, pool
from qredit.sandbox.jails.forkserver import ForkServer
from qredit.sandbox.jails.jail import Jail, JailStatus, JobResult, open_jail, probe_jail, probe_jails


class ScriptedServer:
    """Answers the probe as it is told to."""

    def __init__(self, **answers: JobResult) -> None:
        self.answers = {"good": done(b"passed")} | dict.fromkeys(probe.ATTACKS, done(b"stopped")) | answers
        self.asked: list[str] = []
        self.closed = False

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int) -> JobResult:
        """Give the scripted answer."""
        assert job == "probe"
        self.asked.append(payload.decode())
        return self.answers[payload.decode()]

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def done(output: bytes) -> JobResult:
    return JobResult("done", output, 0.01, "")


def failed(outcome: str, detail: str = "") -> JobResult:
    return JobResult(cast("jails.Outcome", outcome), b"", 0.01, detail)


def as_server(server: ScriptedServer) -> ForkServer:
    return cast("ForkServer", server)


def test_the_probe_asks_for_one_good_function_and_five_attacks() -> None:
    server = ScriptedServer(open_socket=failed("killed", "killed by SIGSYS"))
    pool.check(as_server(server))
    assert server.asked == ["good", "read_file", "write_file", "open_socket", "fork", "environment"]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"good": done(b"computed 3")}, "failed its probe `good`: computed 3"),
        ({"good": failed("killed", "killed by SIGSYS")}, "failed its probe `good`: killed by SIGSYS"),
        ({"good": failed("timeout", "too long")}, "failed its probe `good`: too long"),
        ({"read_file": done(b"read 9 bytes")}, "failed its probe `read_file`: read 9 bytes"),
        ({"fork": failed("silent_exit", "exit code 0")}, "failed its probe `fork`: exit code 0"),
        ({"environment": done(b"found the variables TOKEN")}, "found the variables TOKEN"),
    ],
)
def test_a_jail_that_fails_one_part_of_the_probe_is_closed(answers: dict[str, JobResult], message: str) -> None:
    server = ScriptedServer(**answers)
    with pytest.raises(JailError, match=message):
        pool.ServerJail("scripted", lambda: as_server(server))
    assert server.closed


def test_outside_a_jail_every_attack_of_the_probe_fires(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control; `fork` and the others run in a process of their own."""
    script = (
        "import os, sys\n"
        "from qredit.sandbox.inside import probe\n"
        "said = probe.run(sys.argv[1].encode()).decode()\n"
        "os.write(1, said.encode())\n"
    )
    said = {}
    for name in ("good", *probe.ATTACKS):
        finished = subprocess.run(
            [sys.executable, "-c", script, name],
            env={**os.environ, "TOKEN": "secret"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        said[name] = finished.stdout
    assert said.pop("good") == "passed"
    assert not any("stopped" in text for text in said.values()), said
    assert "TOKEN" in said["environment"]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace all jails by openers of the test's own."""

    def replace(**openers: Callable[[], Jail]) -> None:
        monkeypatch.setattr(jails, "_JAILS", openers)

    return replace


def unavailable(name: str) -> Callable[[], Jail]:
    def refuse() -> Jail:
        raise JailUnavailableError(f"jail `{name}`", cause=f"{name} is missing", remedy=f"Install {name}.")

    return refuse


def broken() -> Jail:
    raise JailError("the jail failed its probe `fork`", cause="started a process", remedy="Report this.")


def test_auto_takes_the_first_that_works(only: Callable[..., None]) -> None:
    working = cast("Jail", object())
    only(first=unavailable("first"), second=broken, third=lambda: working, fourth=unavailable("fourth"))
    assert open_jail() is working


def test_without_any_jail_auto_says_why_for_each(only: Callable[..., None]) -> None:
    only(first=unavailable("first"), second=broken)
    with pytest.raises(JailUnavailableError) as refusal:
        open_jail("auto")
    assert refusal.value.what == "no jail works on this machine"
    assert "first is missing" in refusal.value.cause
    assert "started a process" in refusal.value.cause
    assert refusal.value.remedy == "Install first. Or: Report this."


def test_a_named_jail_that_does_not_work_is_not_replaced_by_another(only: Callable[..., None]) -> None:
    only(first=broken, second=lambda: cast("Jail", object()))
    with pytest.raises(JailUnavailableError, match=r"jail `first` does not work: .* started a process\. Report this\."):
        open_jail("first")


def test_there_is_no_jail_called_none() -> None:
    with pytest.raises(UnknownNameError, match="unknown jail `none`"):
        open_jail("none")
    with pytest.raises(UnknownNameError, match="Did you mean `lockdown`"):
        open_jail("lockdwon")


def test_the_states_of_all_jails(only: Callable[..., None]) -> None:
    only(first=unavailable("first"), second=broken)
    assert probe_jails() == [
        JailStatus("first", available=False, detail="first is missing", remedy="Install first."),
        JailStatus(
            "second",
            available=False,
            detail="the jail failed its probe `fork`: started a process",
            remedy="Report this.",
        ),
    ]


def without_landlock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(landlock, "version", lambda: 0)


def without_filters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seccomp, "available", lambda: False)


def on_another_processor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(platform, "machine", lambda: "riscv64")


def on_another_system(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "platform", "darwin")


@pytest.mark.parametrize(
    ("machine", "cause", "remedy"),
    [
        (without_landlock, "has no Landlock", "Use Linux 5.13 or newer with `landlock`"),
        (without_filters, "has no system-call filters", "CONFIG_SECCOMP_FILTER"),
        (on_another_processor, "no system-call table for `riscv64`", "64-bit Python on x86_64 or aarch64"),
        (on_another_system, "it needs Linux, this is `darwin`", "Linux container"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="simulates machines on Linux")
def test_a_machine_that_lacks_something_has_no_jail(
    machine: Callable[[pytest.MonkeyPatch], None], cause: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch)
    with pytest.raises(JailUnavailableError) as refusal:
        open_jail("lockdown")
    assert refusal.value.what == "jail `lockdown` is not available"
    assert cause in refusal.value.cause
    assert remedy in refusal.value.remedy
    status = probe_jail("lockdown")
    assert (status.name, status.available) == ("lockdown", False)
    assert cause in status.detail


def test_on_a_system_without_the_modules_of_unix_the_reason_is_still_told() -> None:
    script = """
import os, select, signal, sys
from qredit.errors import JailUnavailableError
sys.platform = "win32"
for name in ("resource", "fcntl", "termios", "pwd"):
    sys.modules[name] = None
del signal.SIGKILL, signal.SIGCHLD, signal.SIGSYS, select.poll, select.POLLIN, os.fork, os.sched_getaffinity, os.geteuid
from qredit.sandbox import open_jail
try:
    open_jail("lockdown")
except JailUnavailableError as error:
    print(error.cause)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "it needs Linux, this is `win32`\n"


@pytest.mark.usefixtures("lockdown_or_skip")
def test_a_jail_that_works_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parent / "server_jobs"
    monkeypatch.setattr(lockdown, "JOBS", "plain_jobs")
    monkeypatch.syspath_prepend(folder)
    detail = "a good function passed, five attacks were stopped"
    assert probe_jail("lockdown") == JailStatus("lockdown", available=True, detail=detail, remedy="")
    with open_jail("lockdown") as opened:
        assert opened.name == "lockdown"


def test_jobs_at_once_fit_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_free_memory(gigabytes: float) -> int:
        text = f"MemTotal: 1 kB\nMemAvailable:   {int(gigabytes * 2**20)} kB\n"
        monkeypatch.setattr(Path, "read_text", lambda path, encoding: text)
        return pool.parallel_jobs()

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert [with_free_memory(size) for size in (0.5, 2, 5, 100)] == [1, 1, 2, 4]


def test_the_rooms_door_names_what_it_has_and_loads_it_late() -> None:
    exported = dir(qredit.sandbox)
    assert {"open_jail", "probe_jails", "Jail", "describe_all", "verify", "Accepted"} <= set(exported)
    assert len(exported) <= 9
    script = "import sys, qredit.sandbox; print([m for m in ('torch', 'numpy', 'ctypes') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.strip() == "[]"
    assert qredit.sandbox.open_jail is importlib.import_module("qredit.sandbox.jails.jail").open_jail


def test_an_image_is_for_docker_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    working = cast("Jail", object())

    def open_docker(image: str | None) -> Jail:
        asked.append(image)
        return working

    monkeypatch.setattr(jails, "_open_docker", open_docker)
    assert open_jail("docker", image="mine:1") is working
    assert open_jail(image="mine:2") is working
    assert asked == ["mine:1", "mine:2"]
    with pytest.raises(ConfigurationError, match="only `docker` runs in an image"):
        open_jail("lockdown", image="mine")
