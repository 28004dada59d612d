"""Stand-in for `qredit.sandbox.inside.jobs`: runs `torch_programs` by name, with torch loaded by the server."""

from __future__ import annotations

import importlib
import json

import torch

PROGRAMS = importlib.import_module("torch_programs")


def warm_up() -> None:
    """Load what torch loads late."""
    torch.set_num_threads(1)
    PROGRAMS.compute("")


def run_job(job: str, payload: bytes) -> bytes:
    """Run a program and say what it achieved, or what refused it."""
    request = json.loads(payload)
    try:
        said = f"fired: {getattr(PROGRAMS, request['program'])(request['folder'])}"
    except (OSError, RuntimeError, ImportError) as error:
        said = f"stopped: {type(error).__name__}"
    return said.encode()
