"""A stand-in with mistakes of our own: a job that does not return bytes, and variables set by a library."""

from __future__ import annotations

import os


def warm_up() -> None:
    """Leave a variable behind, as libraries do."""
    os.environ["LIBRARY_CACHE"] = "/home/somebody/.cache"


def run_job(job: str, payload: bytes) -> bytes:
    """Return text for `trace`, else the names of all variables."""
    if job == "trace":
        return "text"  # type: ignore[return-value]  # the mistake
    return " ".join(sorted(os.environ)).encode()
