"""The filter compiler, against a small interpreter of classic BPF and cases made by hand, for both machines."""

from __future__ import annotations

import errno
import platform
import struct
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.sandbox.inside import seccomp, syscalls
from qredit.sandbox.inside.seccomp import ALLOW, KILL, Instruction, Policy, compile_policy, fail_with
from qredit.sandbox.inside.syscalls import MACHINES, TABLE, Machine, number

ARCHITECTURE: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
EPERM = 0x00050001
ENOSYS = 0x00050026


def interpret(program: Sequence[Instruction], *, architecture: int, code: int, argument: int = 0) -> int:
    """Run a filter on one call as the kernel would: an accumulator, jumps forward only."""
    data = struct.pack("<IIQ6Q", code, architecture, 0, argument, 0, 0, 0, 0, 0)
    accumulator, position = 0, 0
    while True:
        instruction = program[position]
        position += 1
        match instruction.operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, instruction.operand)
            case 0x06:
                return instruction.operand
            case operation:
                holds = {
                    0x15: accumulator == instruction.operand,
                    0x35: accumulator >= instruction.operand,
                    0x45: accumulator & instruction.operand != 0,
                }[operation]
                position += instruction.if_true if holds else instruction.if_false


def answer(policy: Policy, machine: Machine, name: str, argument: int = 0) -> int:
    """What a policy says to a call by name."""
    code = number(name, machine)
    assert code is not None
    program = compile_policy(policy, machine)
    return interpret(program, architecture=ARCHITECTURE[machine], code=code, argument=argument)


# Numbers by hand from the kernel's headers, so that a slip in the table shows.
KNOWN = [
    ("read", 0, 63),
    ("write", 1, 64),
    ("mmap", 9, 222),
    ("ioctl-neighbour poll", 7, None),
    ("socket", 41, 198),
    ("clone", 56, 220),
    ("execve", 59, 221),
    ("kill", 62, 129),
    ("ptrace", 101, 117),
    ("mount", 165, 40),
    ("exit_group", 231, 94),
    ("unshare", 272, 97),
    ("bpf", 321, 280),
    ("io_uring_setup", 425, 425),
    ("pidfd_open", 434, 434),
    ("clone3", 435, 435),
]


@pytest.mark.parametrize(("name", "x86_64", "aarch64"), KNOWN)
def test_numbers(name: str, x86_64: int, aarch64: int | None) -> None:
    name = name.split()[-1]
    assert (number(name, "x86_64"), number(name, "aarch64")) == (x86_64, aarch64)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_two_names_share_a_number(machine: Machine) -> None:
    codes = [code for name in TABLE if (code := number(name, machine)) is not None]
    assert len(codes) == len(set(codes))


def test_the_sets_do_not_overlap() -> None:
    sets = (syscalls.COMPUTE, syscalls.OTHER_PROCESSES, syscalls.PROGRAMS, syscalls.ESCAPES, syscalls.FORKS)
    assert sum(len(names) for names in sets) == len(TABLE)


def test_a_program_by_hand() -> None:
    policy = Policy(default=fail_with(errno.EPERM), answers={"read": ALLOW})
    assert compile_policy(policy, "x86_64") == (
        Instruction(0x20, 0, 0, 4),
        Instruction(0x15, 1, 0, 0xC000003E),
        Instruction(0x06, 0, 0, 0x80000000),
        Instruction(0x20, 0, 0, 0),
        Instruction(0x35, 0, 1, 0x40000000),
        Instruction(0x06, 0, 0, 0x80000000),
        Instruction(0x15, 0, 1, 0),
        Instruction(0x06, 0, 0, 0x7FFF0000),
        Instruction(0x06, 0, 0, 0x00050001),
    )


def test_an_instruction_is_packed_as_the_kernel_reads_it() -> None:
    assert Instruction(0x15, 1, 2, 0xC000003E).to_bytes() == b"\x15\x00\x01\x02\x3e\x00\x00\xc0"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("read", ALLOW),
        ("write", ALLOW),
        ("mmap", ALLOW),
        ("exit_group", ALLOW),
        ("clone", EPERM),
        ("clone3", EPERM),
        ("kill", KILL),
        ("tgkill", KILL),
        ("execve", KILL),
        ("socket", KILL),
        ("sendmsg", KILL),
        ("ptrace", KILL),
        ("io_uring_setup", KILL),
    ],
)
def test_a_job_may_only_compute(machine: Machine, name: str, expected: int) -> None:
    assert answer(seccomp.job_policy(), machine, name) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("read", ALLOW),
        ("kill", ALLOW),
        ("recvmsg", ALLOW),
        ("socket", EPERM),
        ("connect", EPERM),
        ("execve", EPERM),
        ("unshare", EPERM),
        ("pidfd_getfd", EPERM),
        ("clone3", ENOSYS),
    ],
)
def test_a_server_has_no_way_out(machine: Machine, name: str, expected: int) -> None:
    assert answer(seccomp.server_policy(), machine, name) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_a_server_forks_but_makes_no_namespace(machine: Machine) -> None:
    sigchld, child_tid = 0x11, 0x01200000
    assert answer(seccomp.server_policy(), machine, "clone", sigchld | child_tid) == ALLOW
    new_user, new_network, new_mount, new_cgroup = 0x10000000, 0x40000000, 0x00020000, 0x02000000
    for flag in (new_user, new_network, new_mount, new_cgroup, 0x04000000, 0x08000000, 0x20000000):
        assert answer(seccomp.server_policy(), machine, "clone", sigchld | flag) == EPERM
        # The kernel looks at the low half of the flags only; a high half changes nothing.
        assert answer(seccomp.server_policy(), machine, "clone", (0xFF << 32) | flag) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("policy", [seccomp.job_policy(), seccomp.server_policy()], ids=["job", "server"])
@given(code=st.integers(0, 2**32 - 1), architecture=st.integers(0, 2**32 - 1))
def test_a_foreign_architecture_is_killed_whatever_the_call(
    machine: Machine, policy: Policy, code: int, architecture: int
) -> None:
    if architecture == ARCHITECTURE[machine]:
        return
    assert interpret(compile_policy(policy, machine), architecture=architecture, code=code) == KILL


@pytest.mark.parametrize("policy", [seccomp.job_policy(), seccomp.server_policy()], ids=["job", "server"])
@given(code=st.integers(0x40000000, 2**32 - 1))
def test_x32_calls_are_killed(policy: Policy, code: int) -> None:
    program = compile_policy(policy, "x86_64")
    assert interpret(program, architecture=ARCHITECTURE["x86_64"], code=code) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@given(code=st.integers(0, 0x3FFFFFFF))
def test_an_unlisted_call_gets_the_default(machine: Machine, code: int) -> None:
    if code in {number(name, machine) for name in TABLE}:
        return
    for policy, expected in ((seccomp.job_policy(), EPERM), (seccomp.server_policy(), ALLOW)):
        program = compile_policy(policy, machine)
        assert interpret(program, architecture=ARCHITECTURE[machine], code=code) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("policy", [seccomp.job_policy(), seccomp.server_policy()], ids=["job", "server"])
def test_programs_fit_the_kernels_limit_and_never_run_off_the_end(machine: Machine, policy: Policy) -> None:
    program = compile_policy(policy, machine)
    assert len(program) <= 4096
    assert program[-1].operation == seccomp.RETURN
    for position, instruction in enumerate(program):
        assert position + 1 + max(instruction.if_true, instruction.if_false) <= len(program) - 1 or (
            instruction.operation == seccomp.RETURN
        )


def test_a_machine_without_a_table_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("riscv64", "ppc64le", "i686", "aarch64_be", ""):
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        assert seccomp.this_machine() is None
        with pytest.raises(OSError, match=f"no system-call table for `{name}`"):
            seccomp.packed(seccomp.job_policy())


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is a matter of Linux")
def test_the_packed_program_is_the_compiled_one() -> None:
    machine = seccomp.this_machine()
    if machine is None:
        pytest.skip("no table for this machine")
    packed = seccomp.packed(seccomp.job_policy())
    assert len(packed) == 8 * len(compile_policy(seccomp.job_policy(), machine))
    assert packed[:8] == b"\x20\x00\x00\x00\x04\x00\x00\x00"
