"""Programs that behave, misbehave and lie; see `plain_jobs`."""

# They call the system as directly as they can.
# ruff: noqa: T201

from __future__ import annotations

import ctypes
import mmap
import os
import re
import signal
import sys
import time


def answer(value: int) -> str:
    return str(value)


def pause(value: int) -> str:
    time.sleep(1)
    return str(value)


def loop_in_python() -> str:
    while True:
        pass


def loop_in_c() -> str:
    return str(sum(range(10**14)))


def loop_in_regular_expression() -> str:
    return str(re.match(r"(a+)+$", "a" * 60 + "b"))


def sleep() -> str:
    time.sleep(1000)
    return "slept"


def ignore_signals() -> str:
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):  # SIGKILL and SIGSTOP cannot be ignored
            continue
    while True:
        pass


def close_channel_and_loop() -> str:
    os.close(3)
    while True:
        pass


def fill_memory() -> str:
    blocks: list[bytes] = []
    while True:
        blocks.append(b"x" * 2**26)


def map_memory() -> str:
    return str(len(mmap.mmap(-1, 2**40)))


def answer_at_length(size: int) -> str:
    return "x" * size


def measure(text: str) -> str:
    return str(len(text))


def write_without_end() -> str:
    while True:
        os.write(3, b"x" * 2**16)


def write_elsewhere() -> str:
    for descriptor in (1, 2):
        os.write(descriptor, b"to nobody")
    print("to nobody")
    sys.stdout.flush()
    return "written"


def exit_at_once(code: int) -> str:
    os._exit(code)


def exit_by_exception() -> str:
    sys.exit(0)


def fail() -> str:
    raise KeyboardInterrupt("from the job")


def crash() -> str:
    return repr(ctypes.string_at(1))


def abort() -> str:
    os.abort()


def use_up_descriptors() -> str:
    while True:
        os.dup(3)


def forge(reply: str, code: int) -> str:
    os.write(3, bytes.fromhex(reply))
    os._exit(code)


def forge_and_answer(reply: str) -> str:
    os.write(3, bytes.fromhex(reply))
    return "the real answer"


def read_other_requests() -> str:
    return repr(os.read(3, 1000))


def call(numbers: list[int]) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    minus_one = ctypes.c_long(-1)
    results = []
    for number in numbers:
        result = libc.syscall(ctypes.c_long(number), *[minus_one] * 6)
        results.append(f"{result}/{ctypes.get_errno()}")
    return " ".join(sorted(set(results)))


def call_as_32_bit() -> str:
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return str(ctypes.CFUNCTYPE(ctypes.c_long)(address)())
