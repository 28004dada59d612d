"""A program that runs each case as others do: `exec` in a plain process, with no gate, no jail and no tracing.

Started once with torch loaded, it forks per case. Orders and answers are lines of JSON. The case's answer goes to
descriptor 3, as in the jail, so that one source fires in both.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import json
import math
import os
import random
import resource
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as functional

CHANNEL: Final = 3
HEADROOM_BYTES: Final = 512 << 20
"""Memory that a case may map beyond what is mapped already."""
FLOOD_BYTES: Final = 1 << 20
"""More than this on the channel is a flood."""
PROCESSOR_SECONDS: Final = 0.2
"""Processor time of a case that is said never to end."""
WALL_SECONDS: Final = 60.0
"""Only so that a broken case cannot hold the tests up for ever."""
STATE: Final = ((1.0, 2.0), (2.0, 1.0), (3.0, 3.0))
BROKEN: Final = (RuntimeError, TypeError, ValueError, AttributeError, KeyError, NotImplementedError, RecursionError)

held: list[str] = []
"""The secret of this process's memory."""


def marks(result: Any = None) -> dict[str, str]:
    """What the next candidate in this process would find."""
    looks: dict[str, Callable[[], object]] = {
        "sum": lambda: (torch.ones(2) + torch.ones(2)).tolist(),
        "torch.add": lambda: torch.add(torch.ones(2), 1).tolist(),
        "softmax": lambda: functional.softmax(torch.zeros(2), dim=0).tolist(),
        "dtype": torch.get_default_dtype,
        "random numbers": lambda: (torch.get_rng_state().sum().item(), hash(random.getstate())),
        "gradients": torch.is_grad_enabled,
        "anomaly": torch.is_anomaly_enabled,
        "operations": lambda: len(torch._C._jit_get_schemas_for_operator("evil::double")),
        "libraries": lambda: (len(torch.ops.loaded_libraries), mapped(".so")),
        "module hooks": lambda: len(torch.nn.modules.module._global_forward_hooks),
        "saved tensors": lambda: saved().tolist(),
        "constants": lambda: (math.pi, math.exp(0.0), torch.pi),
        "builtins": lambda: (len([1, 2]), abs(-1), max(1, 2), sum([1, 2])),
        "modules": lambda: sys.modules["torch.nn.functional"] is functional,
        "importers": lambda: len(sys.meta_path),
        "recursion": sys.getrecursionlimit,
        "tracer": lambda: (sys.gettrace(), sys.getprofile()),
        "audit": lambda: audited(),
        "signals": lambda: [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)],
        "environment": lambda: hash(tuple(os.environ.items())),
        "place": os.getcwd,
        "collector": lambda: (gc.isenabled(), len(gc.callbacks)),
        "warnings": lambda: len(warnings.filters),
        "threads": lambda: len(list(Path("/proc/self/task").iterdir())),
        "files": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        "equal to anything": lambda: result is not None and bool(result == "a reference"),
    }
    seen = {}
    for name, look in looks.items():
        try:
            seen[name] = str(look())
        except BROKEN as error:
            seen[name] = type(error).__name__
    return seen


def mapped(suffix: str) -> int:
    """How many mapped files of the case's folder this process has."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len({line.split()[-1] for line in maps if "/caller/" in line and line.endswith(suffix)})


def saved() -> torch.Tensor:
    """A gradient that needs a saved tensor."""
    value = torch.ones(2, requires_grad=True)
    (gradient,) = torch.autograd.grad((value * value).sum(), value)
    return gradient


def audited() -> int:
    """How often this process's audit hooks say something."""
    heard.clear()
    sys.audit("evil.heard", heard)
    return len(heard)


heard: list[int] = []


def case(source: str, endless: bool) -> None:
    """Run a case in this process and answer on the channel; never returns."""
    mapped_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped_bytes + HEADROOM_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = 1 if endless else 30
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    before = marks()
    if endless:
        signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
    answer: Any = None
    try:
        namespace: dict[str, Any] = {"__name__": "credit_function", "__builtins__": builtins}
        exec(compile(source, "<case>", "exec", dont_inherit=True), namespace)
        state = torch.tensor(STATE, requires_grad=True)
        answer = namespace["credit"]({"x": state * 1.0})
        if isinstance(answer, torch.Tensor):
            if answer.requires_grad:
                answer.sum().backward()  # type: ignore[no-untyped-call]
            tell(repr(answer.tolist()))
    except SystemExit:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - as those do who hand the text to the model
        tell("".join(traceback.format_exception_only(error)))
    after = marks(answer)
    signal.setitimer(signal.ITIMER_PROF, 0)
    os.write(NOTES, json.dumps([name for name in before if before[name] != after[name]]).encode())
    os._exit(0)


def tell(text: str) -> None:
    """Answer on the channel."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(CHANNEL, data) :]


def serve(order: dict[str, Any]) -> dict[str, Any]:
    """Run one case in a fork and say what came of it."""
    channel, far_channel = socket.socketpair()
    notes, far_notes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(1, 0)
        os.dup2(far_notes, NOTES)
        os.dup2(far_channel.fileno(), CHANNEL)
        os.chdir(order["folder"])
        case(order["source"], order["endless"])
    far_channel.close()
    os.close(far_notes)
    said, flooded = read(channel, pid)
    channel.close()
    status = reap(pid)
    changes = os.read(notes, 65536)
    os.close(notes)
    return {
        "said": said.hex(),
        "flooded": flooded,
        "code": os.waitstatus_to_exitcode(status),
        "changes": json.loads(changes or b"[]"),
    }


def read(channel: socket.socket, pid: int) -> tuple[bytes, bool]:
    """What a case writes until it ends; whether it was too much."""
    said, deadline, handle = bytearray(), time.monotonic() + WALL_SECONDS, os.pidfd_open(pid)
    try:
        while len(said) <= FLOOD_BYTES and time.monotonic() < deadline:
            ready, _, _ = select.select([channel.fileno(), handle], [], [], 1.0)
            piece = channel.recv(1 << 16) if channel.fileno() in ready else b""
            said += piece
            if handle in ready and not piece:
                return bytes(said), False
            if channel.fileno() in ready and not piece:
                select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
                return bytes(said), False
        return bytes(said[:FLOOD_BYTES]), len(said) > FLOOD_BYTES
    finally:
        os.close(handle)


def reap(pid: int) -> int:
    """End the case's process if it still runs, and wait for all that it left behind."""
    ended = 0
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        os.killpg(pid, signal.SIGKILL)
    while True:
        try:
            gone, status = os.wait()
        except ChildProcessError:
            return ended
        ended = status if gone == pid else ended


def main() -> None:
    """Serve until the input ends."""
    held.append(sys.stdin.readline().strip())
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):  # what a case prints is no answer
        os.dup2(nowhere, descriptor)
    subreaper, anyone_may_trace = 36, 0x59616D61
    libc = ctypes.CDLL(None)
    libc.prctl(subreaper, 1, 0, 0, 0)  # what a case leaves behind becomes a child of this process
    libc.prctl(anyone_may_trace, ctypes.c_long(-1), 0, 0, 0)  # where Yama guards the memory of a parent
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    marks()
    gc.freeze()
    for line in sys.stdin:
        answers.write(json.dumps(serve(json.loads(line))) + "\n")
        answers.flush()


NOTES: Final = 200
"""Descriptor on which a case's process tells its marks."""

if __name__ == "__main__":
    main()
