"""Stand-in for `qredit.sandbox.jobs` in tests: runs whatever source it is sent, without any gate, without torch."""

from __future__ import annotations

import ctypes
import importlib
import json


def warm_up() -> None:
    """Load what the attacks use."""
    for name in ("mmap", "multiprocessing.shared_memory", "signal", "socket", "subprocess", "threading", "time"):
        importlib.import_module(name)
    ctypes.CDLL(None, use_errno=True)


def run_job(job: str, payload: bytes) -> bytes:
    """Run `attack(**arguments)` from a source text and give back what it says."""
    request = json.loads(payload)
    namespace: dict[str, object] = {"__name__": "attack"}
    exec(request["source"], namespace)
    attack = namespace[request["name"]]
    assert callable(attack), request["name"]
    return str(attack(**request["arguments"])).encode("utf-8", "backslashreplace")
