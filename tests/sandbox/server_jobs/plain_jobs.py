"""Stand-in for `qredit.sandbox.inside.jobs` in tests: runs attacks and odd programs by name, without torch.

The jail cannot tell them from a candidate: they run in the same locked child, with all of Python at hand.
"""

from __future__ import annotations

import importlib
import json
import sys

MODULES = ("attacks_on_files", "attacks_on_processes", "attacks_on_secrets", "programs", "searches")
"""Where the programs are, beside this file. Loaded by the server: in the jail no file can be read any more."""


def warm_up() -> None:
    """Load all programs and what they import."""
    for name in MODULES:
        importlib.import_module(name)


def run_job(job: str, payload: bytes) -> bytes:
    """Run a program and say what it achieved, or what refused it."""
    request = json.loads(payload)
    module, _, name = request["program"].partition(".")
    program = getattr(sys.modules[module], name)
    try:
        said = f"fired: {program(**request['arguments'])}"
    except (OSError, RuntimeError) as error:
        said = f"stopped: {type(error).__name__}: {error}"
    return said.encode("utf-8", "backslashreplace")
