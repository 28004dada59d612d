"""A stand-in whose warm-up fails."""

from __future__ import annotations


def warm_up() -> None:
    """Fail like a damaged installation."""
    raise ImportError("libtorch_cpu.so: cannot open shared object file")


def run_job(job: str, payload: bytes) -> bytes:
    """Never reached."""
    return payload
