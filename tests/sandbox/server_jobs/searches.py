"""Searches for a caller's secrets that bring back all they can read, so that the caller looks through the bytes.

Each is told what an attacker may know already: the caller's process, paths, numbers and addresses.
"""

# They call the system as directly as they can.
# ruff: noqa: PTH109, PTH113, PTH123, PTH208

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterable

POOL = 1 << 14
"""Size of the pools that Python's small objects live in."""


def gather(*looks: Callable[[], object]) -> str:
    """What the looks find, as much as each of them can."""
    found = []
    for look in looks:
        try:
            found.append(repr(look()))
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
            found.append(type(error).__name__)
    return "\n".join(found)


def search_environment(caller: int) -> str:
    """Variables of this process, of those above it, and of the caller."""
    processes = ["self", "1", str(os.getppid()), str(caller)]
    return gather(
        lambda: dict(os.environ),
        c_environment,
        *[lambda pid=pid: open(f"/proc/{pid}/environ", "rb").read() for pid in processes],
        *[lambda pid=pid: open(f"/proc/{pid}/cmdline", "rb").read() for pid in processes],
    )


def c_environment() -> list[bytes]:
    """Variables as the C library keeps them, those that Python was never shown included."""
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    found: list[bytes] = []
    while variable := environ[len(found)]:
        found.append(variable)
    return found


def search_files(caller: int, folder: str) -> str:
    """A folder of the caller's, by its path and through every process's root and working folder."""
    roots = ["", *(f"/proc/{pid}/{place}" for pid in ("self", "1", caller) for place in ("root", "cwd"))]
    return gather(
        lambda: os.listdir(folder),
        *[lambda root=root: open(f"{root}{folder}/secret", "rb").read() for root in roots],
        lambda: [os.getcwd(), os.listdir(".")],
    )


def search_descriptors(caller: int) -> str:
    """Every descriptor that this process may have, and those of the caller."""
    return gather(
        lambda: [os.pread(number, 1000, 0) for number in range(4, 1024) if readable(number)],
        lambda: [opened(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")],
        lambda: [opened(f"/proc/{caller}/fd/{name}") for name in os.listdir(f"/proc/{caller}/fd")],
    )


def readable(number: int) -> bool:
    try:
        os.pread(number, 1, 0)
    except OSError:
        return False
    return True


def opened(path: str) -> bytes:
    return open(path, "rb").read(1000) if os.path.isfile(path) else b""


def search_memory(caller: int, address: int, size: int) -> str:
    """The caller's memory at an address, and all that Python holds here: objects, and the pools they live in."""
    return gather(
        lambda: os.pread(os.open(f"/proc/{caller}/mem", os.O_RDONLY), size, address),
        lambda: os.pread(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY), size, address),
        lambda: os.pread(os.open("/proc/self/mem", os.O_RDONLY), size, address),
        lambda: [text for text in held() if "canary" in text],
        lambda: [text[text.index(b"canary") :][:80] for text in pools() if b"canary" in text],
    )


def held() -> Iterable[str]:
    """Every text that a container or a frame holds."""
    gc.unfreeze()
    holders: list[object] = [*gc.get_objects(), vars(sys.modules["__main__"])]
    for holder in holders:
        yield from (str(text) for text in gc.get_referents(holder) if isinstance(text, (str, bytes)))


def pools() -> Iterable[bytes]:
    """The memory around every small object, what was freed there included."""
    small = {id(one) // POOL for one in gc.get_objects() if sys.getsizeof(one) < 400}
    return (ctypes.string_at(number * POOL, POOL) for number in small)
