"""Endpoints and disks that fail: one clear message, a consistent run folder, and a resume that asks nothing twice."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from qredit.agents.messages import canonical
from tests.agents.protocol_server import Fault, ProtocolServer, protocol_server
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import CALLS, SMALL

pytestmark = pytest.mark.usefixtures("fake_jail")

KEY = "sk-canary-0123456789abcdef"
NOTHING = "http://127.0.0.1:9/v1"
"""The discard port of this machine, where nobody listens."""


def ask(task: Path, url: str, *more: str) -> list[str]:
    """Arguments of a small generation that does not wait between tries."""
    fast = ("--max-retries", "1", "--max-wait-seconds", "0", "--timeout-seconds", "20")
    return ["generate", str(task), "--model", "m", "--base-url", url, *SMALL, *fast, *more]


def the_run(cli: Cli) -> dict[str, Any]:
    """The one run, whose folder every command can read."""
    run = cli("runs", "--json").json()
    assert cli("inspect", run["path"]).code == 0
    assert cli("inspect", run["path"], "--json").json()["status"] == run["status"]
    assert not (Path(run["path"]) / "lock").exists()
    return run


def calls_of(server: ProtocolServer) -> Counter[bytes]:
    """How often each prompt was asked."""
    return Counter(canonical(request["messages"]) for request in server.requests)


FAULTS = [
    (Fault(status=401, message=f"wrong key {KEY}"), "HTTP 401", "Check OPENAI_API_KEY"),
    (Fault(status=403), "HTTP 403", "permissions"),
    (Fault(status=404, message="no such model"), "HTTP 404; it says: no such model", "Check the model's name"),
    (Fault(status=429, headers={"Retry-After": "0"}), "HTTP 429", "Wait until the limit is over"),
    (Fault(status=429, code="insufficient_quota"), "HTTP 429", "Check the credit"),
    (Fault(status=500), "HTTP 500", "try again later"),
    (Fault(status=503, message="\x1b[31m[bold]down[/bold]"), "[bold]down[/bold]", "try again later"),
    (Fault(body=b"<html>no</html>"), "its answer cannot be read", "Check that the base URL"),
    (Fault(body=b""), "its answer cannot be read", "Check that the base URL"),
    (Fault(body=b'{"choices": []}'), "`choices` is empty", "Check that the base URL"),
    (Fault(body=b"\xff\xfe\x00"), "not UTF-8", "Check that the base URL"),
    (Fault(reset="before"), "the connection failed", "Check that a server runs"),
    (Fault(reset="middle"), "the connection failed", "Check that a server runs"),
    (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302", "Redirects are not followed"),
]


@pytest.mark.parametrize(
    ("fault", "cause", "remedy"), FAULTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_endpoint_that_fails_in_the_middle(
    cli: Cli,
    my_task: Path,
    server: ProtocolServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fault: Fault,
    cause: str,
    remedy: str,
) -> None:
    """The first answer is good, then nothing is until the command is repeated with `--resume`."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.faults = [Fault(), *[fault] * 30]
    done = cli(*ask(my_task, server.base_url, "--max-concurrency", "1"))
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("error: ") == done.err.count("try:   ") == 1
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    message = done.err[done.err.index("error: ") :]
    assert cause in message
    assert remedy in message
    assert "`--resume RUN` goes on from there" in message
    run = the_run(cli)
    assert run["status"] == "failed"
    assert "stopped: " in cli("inspect", run["path"]).out

    server.faults.clear()
    answered = server.answered
    assert answered == 1
    resumed = cli(*ask(my_task, server.base_url, "--resume", run["path"], "--json"))
    assert resumed.code == 0, resumed.err
    assert server.answered == CALLS
    assert resumed.json()["spend"]["calls"] == CALLS
    assert the_run(cli)["status"] == "finished"
    written = [p for p in tmp_path.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]
    assert written == []
    assert KEY not in done.out + done.err + resumed.out + resumed.err


def test_the_error_as_data(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    server.faults = [Fault(status=404, message="no such model")] * 9
    error = cli(*ask(my_task, server.base_url, "--json")).error()
    assert error["family"] == "infrastructure"
    assert error["what"] == f"model `m` at {server.base_url} did not answer"


def test_nobody_listens(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    done = cli(*ask(my_task, NOTHING))
    assert done.code == 2
    assert done.err.count("error: ") == 1
    assert f"Check that a server runs at {NOTHING}" in done.err
    run = the_run(cli)
    assert run["status"] == "failed"
    assert "`endpoint`" in cli(*ask(my_task, server.base_url, "--resume", run["path"])).err
    assert server.requests == []


def test_an_endpoint_that_says_nothing(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    server.faults = [Fault(delay_seconds=30)] * 9
    done = cli(*ask(my_task, server.base_url, "--timeout-seconds", "0.3", "--max-retries", "0"))
    assert done.code == 2
    assert "no complete answer within 0.3 s" in done.err
    assert the_run(cli)["status"] == "failed"


def test_a_short_trouble_is_overcome(cli: Cli, my_task: Path, server: ProtocolServer) -> None:
    server.faults = [Fault(status=500), Fault(body=b"garbage")]
    assert cli(*ask(my_task, server.base_url, "--max-retries", "3")).code == 0
    assert len(server.requests) == CALLS + 2


@pytest.mark.parametrize("full_after", [0, 1, 3])
def test_a_full_disk(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch, full_after: int
) -> None:
    """The disk has room for so many replies; once there is room again, only what was not stored is asked again."""
    synced, written = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal written
        if os.fstat(handle).st_ino == inode_of("replies.jsonl"):
            if written >= full_after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += 1
        synced(handle)

    def inode_of(name: str) -> int | None:
        found = list(Path("runs").glob(f"*/{name}"))
        return found[0].stat().st_ino if found else None

    monkeypatch.setattr(os, "fsync", fsync)
    done = cli(*ask(my_task, server.base_url, "--max-concurrency", "1", "--json"))
    assert done.code == 2
    error = done.error()
    assert error["family"] == "infrastructure"
    assert error["what"].endswith("replies.jsonl`")
    assert error["cause"] == "No space left on device"
    assert error["remedy"] == "Free some space and run the same command with `--resume`."
    run = the_run(cli)
    assert run["status"] == "failed"

    monkeypatch.setattr(os, "fsync", synced)
    before = calls_of(server)
    resumed = cli(*ask(my_task, server.base_url, "--resume", run["path"], "--json"))
    assert resumed.code == 0, resumed.err
    assert len(server.requests) - sum(before.values()) == CALLS - full_after
    repeated = [prompt for prompt, times in calls_of(server).items() if times > 1]
    assert len(repeated) == sum(before.values()) - full_after


def test_a_disk_that_is_full_from_the_start(cli: Cli, my_task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with protocol_server(world.answer) as server:
        error = cli(*ask(my_task, server.base_url, "--json")).error()
        assert server.requests == []
    assert error["cause"] == "No space left on device"


def test_a_runs_folder_that_cannot_be_made(
    cli: Cli, my_task: Path, server: ProtocolServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QREDIT_RUNS", str(tmp_path / "file" / "runs"))
    error = cli(*ask(my_task, server.base_url, "--json")).error()
    assert error["family"] == "infrastructure"
    assert "Not a directory" in error["cause"]
    assert server.requests == []


@pytest.mark.parametrize("name", ["replies.jsonl", "trace.jsonl"])
def test_a_store_of_another_version_or_damaged(cli: Cli, my_task: Path, server: ProtocolServer, name: str) -> None:
    server.faults = [Fault(), *[Fault(status=401)] * 9]
    assert cli(*ask(my_task, server.base_url, "--max-concurrency", "1")).code == 2
    run = the_run(cli)["path"]
    path = Path(run) / name
    path.write_bytes(b"no json\n" + path.read_bytes())
    server.faults.clear()
    asked = len(server.requests)
    done = cli(*ask(my_task, server.base_url, "--resume", run, "--json"))
    assert done.code == 2
    assert f"{name}`, line 1" in done.error()["what"]
    assert len(server.requests) == asked
