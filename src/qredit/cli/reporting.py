"""`qredit report`."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table as RichTable

from qredit.cli.console import JsonOption, command, out, plain, print_json
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.marl.tables import Table


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "report")(report)


def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Finished comparisons, each of another task: folders or names."),
    ],
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Show when this return is first reached: RETURN, or TASK=RETURN, repeated for several tasks."
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="TASK=RETURN that counts as the score 1, in place of what is known; may be repeated."),
    ] = None,
    paper: Annotated[
        Path | None, typer.Option(help="Folder for LaTeX tables, vector pictures, BibTeX and the appendix of prompts.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Generation whose prompts make the appendix; default: the one that made what was trained."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Put finished comparisons of several tasks side by side: scores, verdicts, profiles; or make a paper of them."""
    from qredit import api
    from qredit.marl.report_tables import report_tables

    done = api.report(
        runs,
        references=parse_returns("--reference", reference or [], task_needed=True),
        thresholds=parse_returns("--threshold", threshold or [], task_needed=False),
        paper=paper,
        generation=run,
        command=shlex.join(["qredit", *sys.argv[1:]]),
    )
    if json_output:
        print_json({"run": done.run.path, "report": done.report.to_json(), "paper": done.paper})
        return
    for table in report_tables(done.report):
        show_table(table)
        out().print()
    out().print(plain(f"report   {done.run.path / 'report.md'}"), soft_wrap=True)
    for path in done.paper:
        out().print(plain(f"paper    {path}"), soft_wrap=True)


def parse_returns(option: str, texts: Sequence[str], *, task_needed: bool) -> dict[str, float]:
    """`TASK=RETURN` texts by task; a `RETURN` alone, where it may stand alone, under the empty name.

    Raises:
        ConfigurationError: something else.
    """
    found: dict[str, float] = {}
    for text in texts:
        task, named, value = text.rpartition("=")
        try:
            if (task_needed and not task) or (named and not task) or task in found:
                raise ValueError("a task is missing, or named twice")
            found[task] = float(value)
            if not math.isfinite(found[task]):
                raise ValueError("not finite")
        except ValueError as error:
            form = "TASK=RETURN, such as mpe-spread-3=-50" if task_needed else "RETURN or TASK=RETURN, such as 0.4"
            raise ConfigurationError(
                f"{option} `{text}`", cause=f"it is no return ({error})", remedy=f"Write {form}."
            ) from error
    return found


def show_table(table: Table) -> None:
    """A table with its verdicts and notes, on the terminal."""
    drawn = RichTable(title=plain(table.title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(table.columns):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        drawn.add_column(plain(column.title), justify=justify, overflow="fold", no_wrap=number == 0)
    for row in table.rows:
        drawn.add_row(*(plain(cell) for cell in row))
    out().print(drawn)
    for verdict in table.verdicts:
        out().print(plain(verdict, "bold"), soft_wrap=True)
    for note in table.notes:
        out().print(plain(f"- {note}"), soft_wrap=True)
