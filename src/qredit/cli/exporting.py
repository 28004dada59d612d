"""`qredit export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qredit.cli.console import JsonOption, command, out, plain, print_json


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "export")(export)


def export(
    artifact: Annotated[
        str, typer.Argument(help="Folder of an artifact or of a run, name of a run, or a task whose artifact ships.")
    ],
    torch: Annotated[Path, typer.Option("--torch", metavar="FILE", help="Python file to write, such as mixer.py.")],
    class_name: Annotated[str, typer.Option(help="Name of the nn.Module in it.")] = "CreditMixer",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write a credit function as one file of plain torch, for code that cannot install qredit."""
    from qredit.api.exporting import export_torch

    done = export_torch(artifact, torch, class_name=class_name, force=force)
    if json_output:
        facts = {"class_name": done.class_name, "form": done.form, "torch": done.torch_version}
        print_json({"artifact": done.artifact.path, "task": done.artifact.task, "file": done.path, **facts})
        return
    console = out()
    console.print(plain("written ", "bold green") + plain(str(done.path)), soft_wrap=True)
    console.print(plain(f"  class {done.class_name}, for torch >= {done.torch_version}; its head says how to use it"))
