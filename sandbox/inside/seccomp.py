"""System-call filters: a policy in names, compiled to classic BPF in Python, installed with `prctl`.

Two policies. `server_policy` allows all but the ways out (the server must still open files, fork and receive
descriptors). `job_policy` allows only computing; the rest fails with EPERM, so that Python fails nicely and a new
libc's harmless call does not kill, and a listed hostile set kills the process at once.

Every filter first checks the architecture (a 32-bit call on a 64-bit kernel has other numbers) and, on x86_64, the
x32 bit; both kill. Filters add up: the kernel takes the most severe answer of all that are installed.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from qredit.sandbox.inside import kernel
from qredit.sandbox.inside.syscalls import COMPUTE, ESCAPES, MACHINES, OTHER_PROCESSES, PROGRAMS, Machine, number

KILL: Final = 0x80000000
"""SECCOMP_RET_KILL_PROCESS"""
ALLOW: Final = 0x7FFF0000
"""SECCOMP_RET_ALLOW"""

AUDIT_ARCHITECTURE: Final[Mapping[Machine, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT: Final = 0x40000000

CLONE_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

# Classic BPF operations (`linux/bpf_common.h`): load a word of `struct seccomp_data`, compare, return.
LOAD: Final = 0x20
JUMP_EQUAL: Final = 0x15
JUMP_NOT_BELOW: Final = 0x35
JUMP_ANY_BIT: Final = 0x45
RETURN: Final = 0x06

OFFSET_NUMBER: Final = 0
OFFSET_ARCHITECTURE: Final = 4
OFFSET_FIRST_ARGUMENT: Final = 16
"""Low half of the first argument: both machines are little endian."""


def fail_with(code: int) -> int:
    """Give the filter's answer that makes a call fail with this errno."""
    return 0x00050000 | code


@dataclass(frozen=True)
class Policy:
    """What happens to each system call."""

    default: int
    """Answer for every call that is not listed."""

    answers: Mapping[str, int]
    """Name of a system call -> answer. The first ones are the cheapest."""

    forbid_namespaces: bool = False
    """Let `clone` pass unless it asks for a new namespace."""


@dataclass(frozen=True)
class Instruction:
    """One BPF instruction."""

    operation: int
    if_true: int
    """How many instructions to skip when the comparison holds."""
    if_false: int
    """How many instructions to skip otherwise."""
    operand: int

    def to_bytes(self) -> bytes:
        """Pack as `struct sock_filter`."""
        return struct.pack("<HBBI", self.operation, self.if_true, self.if_false, self.operand)


def server_policy() -> Policy:
    """Policy for the fork server: no way out, and no other program."""
    answers = dict.fromkeys((*ESCAPES, *PROGRAMS), fail_with(errno.EPERM))
    # The flags of clone3 lie behind a pointer that a filter cannot follow; the C library falls back to clone.
    answers["clone3"] = fail_with(errno.ENOSYS)
    return Policy(default=ALLOW, answers=answers, forbid_namespaces=True)


def job_policy() -> Policy:
    """Policy for a job's child: it computes and writes to its channel. Forks and threads fail with EPERM."""
    hostile = dict.fromkeys((*OTHER_PROCESSES, *PROGRAMS, *ESCAPES), KILL)
    return Policy(default=fail_with(errno.EPERM), answers={**dict.fromkeys(COMPUTE, ALLOW), **hostile})


def compile_policy(policy: Policy, machine: Machine) -> tuple[Instruction, ...]:
    """Compile a policy to BPF for one machine.

    Each call is a comparison and a return: all jumps are short, and the program reads top to bottom like the policy.
    """
    program = [
        Instruction(LOAD, 0, 0, OFFSET_ARCHITECTURE),
        Instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]),
        Instruction(RETURN, 0, 0, KILL),
        Instruction(LOAD, 0, 0, OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        program += [Instruction(JUMP_NOT_BELOW, 0, 1, X32_BIT), Instruction(RETURN, 0, 0, KILL)]
    for name, answer in policy.answers.items():
        call = number(name, machine)
        if call is not None:
            program += [Instruction(JUMP_EQUAL, 0, 1, call), Instruction(RETURN, 0, 0, answer)]
    if policy.forbid_namespaces:
        clone = number("clone", machine)
        assert clone is not None, "every Linux has clone"
        program += [
            Instruction(JUMP_EQUAL, 0, 4, clone),
            Instruction(LOAD, 0, 0, OFFSET_FIRST_ARGUMENT),
            Instruction(JUMP_ANY_BIT, 0, 1, CLONE_NAMESPACES),
            Instruction(RETURN, 0, 0, fail_with(errno.EPERM)),
            Instruction(RETURN, 0, 0, ALLOW),
        ]
    program.append(Instruction(RETURN, 0, 0, policy.default))
    return tuple(program)


def this_machine() -> Machine | None:
    """Give this machine's column of the table, or None for one that has none (other processors, 32-bit Python)."""
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    name = platform.machine()
    return next((machine for machine in MACHINES if machine == name), None)


def available() -> bool:
    """Say whether this kernel has system-call filters."""
    try:
        kernel.prctl(kernel.PR_GET_SECCOMP)
    except OSError:
        return False
    return True


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(program: bytes) -> None:
    """Install a compiled filter on this thread, for good. `no_new_privs` must be set before.

    Args:
        program: packed instructions; see `packed`.

    Raises:
        OSError: the kernel refused; nothing may run then.
    """
    fprog = _Program(len(program) // 8, program)
    mode_filter = 2
    kernel.prctl_pointer(kernel.PR_SET_SECCOMP, mode_filter, ctypes.cast(ctypes.pointer(fprog), ctypes.c_void_p))


def packed(policy: Policy) -> bytes:
    """Compile a policy for this machine, as the bytes to install.

    Raises:
        OSError: there is no table for this machine.
    """
    machine = this_machine()
    if machine is None:
        raise OSError(errno.ENOSYS, f"no system-call table for `{platform.machine()}`")
    return b"".join(instruction.to_bytes() for instruction in compile_policy(policy, machine))
