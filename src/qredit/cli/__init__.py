"""The command line. Each command is a thin function over `qredit.api`, which it imports only when it runs."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `qredit` command."""
    from qredit.cli.app import app

    app()
