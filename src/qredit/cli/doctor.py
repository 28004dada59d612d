"""`qredit doctor`."""

from __future__ import annotations

import typer
from rich.table import Table

from qredit.cli.console import JsonOption, command, out, plain, print_json

STYLES = {"ok": "green", "missing": "bold red", "note": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "doctor")(doctor)


def doctor(json_output: JsonOption = False) -> None:
    """Say what works on this machine, and what to do about what does not. Exit 0 when nothing is missing."""
    from qredit import api

    missing = False
    table = Table(box=None, pad_edge=False)
    for column in ("topic", "state", "detail", "remedy"):
        table.add_column(column, overflow="fold")
    for finding in api.doctor():
        missing |= finding.state == "missing"
        if json_output:
            print_json(finding)
        else:
            state = plain(finding.state, STYLES[finding.state])
            table.add_row(plain(finding.topic), state, plain(finding.detail), plain(finding.remedy))
    if not json_output:
        out().print(table)
    raise typer.Exit(1 if missing else 0)
