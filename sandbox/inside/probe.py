"""The probe: one good function that must pass in a jail, and five attacks that must not.

Runs in a jail's child like any job. A jail counts as working only when it was seen to do both; looking for features
or binaries is not enough.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

JOB: Final = "probe"
"""Kind of job under which a server runs this."""

GOOD: Final = "good"
PASSED: Final = b"passed"
STOPPED: Final = b"stopped"

OWN_VARIABLES: Final = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "HOME",
        "LC_CTYPE",  # Python itself sets it in an empty environment (PEP 538)
        "LD_LIBRARY_PATH",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PWD",  # bwrap sets it, to "/"
    }
)
"""All variables that the server has or sets; see `qredit.sandbox.inside.server`."""


def run(payload: bytes) -> bytes:
    """Run one part of the probe, by name, and say `passed` or `stopped`, or what went through."""
    name = payload.decode("ascii")
    if name == GOOD:
        return compute()
    fired = ATTACKS[name]()
    return STOPPED if fired is None else fired.encode("utf-8", "backslashreplace")


def compute() -> bytes:
    """Compute what every credit function needs: numbers and, where torch is loaded, a gradient."""
    total = sum(i * i for i in range(100))
    torch = sys.modules.get("torch")
    if torch is not None:
        x = torch.ones(4, 4, requires_grad=True)
        torch.softmax(x @ x, dim=-1).sum().backward()
        total += int(x.grad.abs().sum().item())
    return PASSED if total == 328_350 else f"computed {total}".encode()


def read_file() -> str | None:
    """Read a file that everybody may read."""
    try:
        return f"read {len(Path('/etc/passwd').read_bytes())} bytes of /etc/passwd"
    except OSError:
        return None


def write_file() -> str | None:
    """Create a file where everybody may."""
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/"):
        path = Path(folder) / f"qredit-probe-{os.getpid()}"
        try:
            path.touch(exist_ok=False)
        except OSError:
            continue
        path.unlink()
        return f"created {path}"
    return None


def open_socket() -> str | None:
    """Open a network socket; a jail may kill for it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError:
        return None
    return "opened a TCP socket"


def fork() -> str | None:
    """Start a process."""
    try:
        pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        os._exit(0)
    return "started a process"


def environment() -> str | None:
    """Find a variable of the caller, in this process or through /proc."""
    foreign = sorted(set(os.environ) - OWN_VARIABLES)
    if foreign:
        return f"found the variables {', '.join(foreign)}"
    for pid in ("self", "1", str(os.getppid())):
        try:
            Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        return f"read /proc/{pid}/environ"
    return None


ATTACKS: Final[dict[str, Callable[[], str | None]]] = {
    "read_file": read_file,
    "write_file": write_file,
    "open_socket": open_socket,
    "fork": fork,
    "environment": environment,
}
"""Name -> attack; each gives None when it was stopped, else what it achieved."""
