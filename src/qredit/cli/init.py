"""`qredit init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from qredit.cli.console import JsonOption, command, out, plain, print_json, program
from qredit.cli.options import TrustEnvOption


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "init")(init)


def init(
    name: Annotated[str, typer.Argument(help="Name of the new task, such as my-task; its file gets it too.")],
    env: Annotated[
        Literal["gymnasium", "pettingzoo", "none"],
        typer.Option(help="Interface of your environment; none: sample states suffice, to generate for any code."),
    ] = "none",
    id: Annotated[
        str | None,
        typer.Option(
            help="Your environment's id: its sizes are filled in. For pettingzoo `package.module[:function]`."
        ),
    ] = None,
    agents: Annotated[
        int | None, typer.Option(help="Number of agents, unless an environment tells it.", min=1, max=256)
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder for the file.")] = Path(),
    trust_env: TrustEnvOption = False,
    json_output: JsonOption = False,
) -> None:
    """Write a task file of your own, with comments, to fill in."""
    from qredit.api.init import init_task

    made = init_task(name, adapter=env, environment_id=id, n_agents=agents, folder=folder)
    trust = " --trust-env" if trust_env else ""
    commands = [
        f"{program()} generate {made.path} --dry-run{trust}",
        f"{program()} check FUNCTION.py --task {made.path}{trust}",
    ]
    if json_output:
        print_json({"path": made.path, "schema": made.schema, "fill_in": made.fill_in, "next": commands})
        return
    console = out()
    console.print(plain(f"wrote    {made.path}, and {made.schema} for your editor"), soft_wrap=True)
    console.print(plain(f"fill in  lines {', '.join(map(str, made.fill_in))}"), soft_wrap=True)
    for label, line in zip(("then", "or"), commands, strict=True):
        console.print(plain(f"{label:<8} {line}"), soft_wrap=True)
