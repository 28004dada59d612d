"""The application: one module per group of commands."""

from __future__ import annotations

from typing import Annotated

import typer

import qredit
from qredit.cli import (
    algorithms,
    checking,
    doctor,
    experiment,
    exporting,
    fidelity,
    generation,
    init,
    inspection,
    listing,
    quickstart,
    ranking,
    reporting,
    training,
    transfer,
)

app = typer.Typer(
    name="qredit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"qredit {qredit.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Language models write the credit assignment of a cooperative multi-agent team; PyTorch trains against it."""


for module in (
    quickstart,
    listing,
    init,
    generation,
    checking,
    transfer,
    exporting,
    fidelity,
    algorithms,
    training,
    ranking,
    reporting,
    inspection,
    doctor,
    experiment,
):
    module.register(app)
