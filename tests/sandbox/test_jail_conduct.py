"""Conformance of every jail: limits, endings, forged replies, hostile system calls, jobs beside each other."""

from __future__ import annotations

import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from qredit.sandbox.inside import wire
from qredit.sandbox.inside.seccomp import this_machine
from qredit.sandbox.inside.syscalls import ESCAPES, OTHER_PROCESSES, PROGRAMS, TABLE, number
from qredit.sandbox.jails.jail import Jail, JobResult


class Bench(Protocol):
    """`conftest.Bench`."""

    jail: Jail

    def inside(
        self, program: str, *, timeout_seconds: float = 20, output_limit: int = 200_000, **arguments: object
    ) -> JobResult:
        """Run it in the jail."""
        ...


@pytest.mark.parametrize(
    "program",
    [
        "programs.loop_in_python",
        "programs.loop_in_c",
        "programs.loop_in_regular_expression",
        "programs.sleep",
        "programs.ignore_signals",
        "programs.close_channel_and_loop",
    ],
)
def test_the_wall_clock_ends_every_loop(bench: Bench, program: str) -> None:
    result = bench.inside(program, timeout_seconds=0.3)
    assert (result.outcome, result.output) == ("timeout", b"")
    assert result.detail == "it ran longer than 0.3 seconds"
    assert result.seconds >= 0.3


def test_memory_is_limited(bench: Bench) -> None:
    filled = bench.inside("programs.fill_memory", timeout_seconds=60)
    assert (filled.outcome, filled.detail) == ("killed", "it needed more memory than it may have")
    mapped = bench.inside("programs.map_memory")
    assert (mapped.outcome, mapped.output) == ("done", b"stopped: OSError: [Errno 12] Cannot allocate memory")


def test_output_is_limited(bench: Bench) -> None:
    prefix = len("fired: ")
    assert bench.inside("programs.answer_at_length", size=1000 - prefix, output_limit=1000).outcome == "done"
    for program, arguments in (
        ("programs.answer_at_length", {"size": 1001 - prefix}),
        ("programs.write_without_end", {}),
    ):
        result = bench.inside(program, output_limit=1000, **arguments)
        assert (result.outcome, result.output) == ("output_limit", b"")
        assert result.detail == "it sent more than 1000 bytes"


def test_a_long_answer_comes_back_whole(bench: Bench) -> None:
    result = bench.inside("programs.answer_at_length", size=5_000_000, output_limit=6_000_000)
    assert result.output == b"fired: " + b"x" * 5_000_000


def test_a_long_request_goes_in_whole(bench: Bench) -> None:
    result = bench.inside("programs.measure", text="y" * 3_000_000)
    assert result.output == b"fired: 3000000"


def test_standard_streams_lead_nowhere(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.inside("programs.write_elsewhere").output == b"fired: written"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("program", "outcome", "detail"),
    [
        ("programs.exit_by_exception", "silent_exit", "the job raised"),
        ("programs.fail", "silent_exit", "KeyboardInterrupt: from the job"),
        ("programs.crash", "killed", "killed by SIGSEGV: it crashed"),
        ("programs.abort", "killed", "killed by SIG"),
    ],
)
def test_an_ending_without_answer_is_told_apart(bench: Bench, program: str, outcome: str, detail: str) -> None:
    result = bench.inside(program)
    assert (result.outcome, result.output) == (outcome, b"")
    assert detail in result.detail


@pytest.mark.parametrize("code", [0, 3])
def test_a_silent_exit_is_a_failure_whatever_its_code(bench: Bench, code: int) -> None:
    result = bench.inside("programs.exit_at_once", code=code)
    assert (result.outcome, result.output) == ("silent_exit", b"")
    assert result.detail == f"it ended with exit code {code} without a reply"


def test_descriptors_cannot_be_multiplied(bench: Bench) -> None:
    assert bench.inside("programs.use_up_descriptors").output.startswith(b"stopped: PermissionError")


FORGED = {
    "shorter than it says": b"R" + struct.pack("<Q", 100) + b"ok",
    "longer than it says": b"R" + struct.pack("<Q", 1) + b"okay",
    "of absurd length": b"R" + struct.pack("<Q", 2**63) + b"ok",
    "half a header": b"R\x01",
    "unknown tag": b"Z" + struct.pack("<Q", 2) + b"ok",
    "two replies": 2 * (b"R" + struct.pack("<Q", 2) + b"ok"),
    "text": b'{"verdict": "ok"}',
}


@pytest.mark.parametrize("name", FORGED)
def test_a_malformed_reply_is_no_reply(bench: Bench, name: str) -> None:
    result = bench.inside("programs.forge", reply=FORGED[name].hex(), code=0)
    assert (result.outcome, result.output) == ("silent_exit", b"")
    assert "malformed reply" in result.detail
    assert bench.inside("programs.forge_and_answer", reply=FORGED[name].hex()).outcome == "silent_exit"


def test_a_forged_well_formed_reply_is_only_bytes_and_needs_exit_code_0(bench: Bench) -> None:
    reply = wire.RETURNED + wire.frame(b"forged")
    assert bench.inside("programs.forge", reply=reply.hex(), code=0).output == b"forged"
    assert bench.inside("programs.forge", reply=reply.hex(), code=1).outcome == "silent_exit"


def test_a_forged_complaint_of_the_lock_is_not_believed(bench: Bench) -> None:
    assert (
        bench.inside("programs.forge", reply=(wire.NOT_LOCKED + b"no Landlock").hex(), code=70).outcome == "silent_exit"
    )


def test_a_job_reads_nothing_but_its_own_request(bench: Bench) -> None:
    assert bench.inside("programs.read_other_requests", timeout_seconds=0.3).outcome == "timeout"


@pytest.mark.parametrize("name", [*OTHER_PROCESSES, *PROGRAMS, *ESCAPES])
def test_each_hostile_system_call_kills(bench: Bench, name: str) -> None:
    machine = this_machine()
    assert machine is not None
    code = number(name, machine)
    if code is None:
        pytest.skip(f"{machine} has no `{name}`")
    result = bench.inside("programs.call", numbers=[code])
    assert (result.outcome, result.detail) == ("killed", "killed by SIGSYS: it made a forbidden system call")


def test_every_unlisted_system_call_is_refused(bench: Bench) -> None:
    machine = this_machine()
    assert machine is not None
    listed = {number(name, machine) for name in TABLE} - {number("clone", machine), number("clone3", machine)}
    # From 6.13 on the kernel lets `uretprobe` and `uprobe` pass every filter; without a probe both do nothing.
    unfiltered = {335, 336} if machine == "x86_64" else set()
    unlisted = [code for code in range(600) if code not in listed | unfiltered]
    assert bench.inside("programs.call", numbers=unlisted).output == b"fired: -1/1"


@pytest.mark.skipif(this_machine() != "x86_64", reason="x32 and 32-bit calls are a matter of x86_64")
def test_calls_in_a_foreign_numbering_kill(bench: Bench) -> None:
    assert "SIGSYS" in bench.inside("programs.call", numbers=[0x40000000 | 39]).detail
    assert bench.inside("programs.call_as_32_bit").outcome == "killed"


def test_many_jobs_at_once_do_not_mix(bench: Bench) -> None:
    def run(value: int) -> tuple[str, bytes]:
        program = ("programs.answer", "programs.exit_at_once", "programs.loop_in_python")[value % 3]
        arguments = ({"value": value}, {"code": 0}, {})[value % 3]
        result = bench.inside(program, timeout_seconds=0.2 if program == "programs.loop_in_python" else 20, **arguments)
        return result.outcome, result.output

    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(run, range(48)))
    for value, result in enumerate(results):
        expected = (("done", b"fired: %d" % value), ("silent_exit", b""), ("timeout", b""))[value % 3]
        assert result == expected, value


def test_jobs_do_run_at_once(bench: Bench) -> None:
    """Two jobs that each wait for the wall clock need the time of one, and a third answers meanwhile."""
    outcomes: list[str] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(bench.inside("programs.sleep", timeout_seconds=3).outcome))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert bench.inside("programs.answer", value=7).output == b"fired: 7"
    assert outcomes == []
    for thread in threads:
        thread.join()
    assert outcomes == ["timeout", "timeout"]
