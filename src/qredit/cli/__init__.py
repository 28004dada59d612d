"""The command line. Each command is a thin function over `qredit.api`, which it imports only when it runs."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Entry point of the `qredit` command."""
    from qredit.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows its code; it must not end a generation half-way.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        # rich and typer end with 1 when the reader of a pipe has gone; for us that is a quiet end.
        if isinstance(end.__context__, BrokenPipeError):
            end.code = 0
        raise
