"""`qredit transfer`."""

from __future__ import annotations

from typing import Annotated

import typer

from qredit.cli.console import JsonOption, command, out, plain, print_json, program
from qredit.cli.options import JailOption, SandboxImageOption, TrustEnvOption


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "transfer")(transfer)


def transfer(
    artifact: Annotated[
        str, typer.Argument(help="Folder of an artifact or of a run, name of a run, or a task whose artifact ships.")
    ],
    task: Annotated[str, typer.Argument(help="Task (name or YAML file) with the same fields in other sizes.")],
    jail: JailOption = "auto",
    sandbox_image: SandboxImageOption = None,
    trust_env: TrustEnvOption = False,
    json_output: JsonOption = False,
) -> None:
    """Trace a function again for a task with other sizes, and check it there. Exit 1 if it is rejected."""
    from qredit.api.transfer import transfer as trace_again

    done = trace_again(artifact, task, jail=jail, sandbox_image=sandbox_image)
    made, refused = done.artifact, done.rejected
    if json_output:
        facts = {} if made is None else {"artifact": made.path, "warnings": made.manifest["checks"]["warnings"]}
        print_json({"taken_from": done.taken_from, "task": task, **facts, **(refused.to_json() if refused else {})})
    elif refused is not None:
        where = f", line {refused.line}" if refused.line is not None else ""
        out().print(plain("rejected", "bold yellow") + plain(f" ({refused.stage}{where})"), soft_wrap=True)
        out().print(plain(f"  {refused.message}"), soft_wrap=True)
    if refused is not None:
        raise typer.Exit(1)
    if made is not None and not json_output:
        console = out()
        console.print(plain("accepted", "bold green") + plain(f" taken from {done.taken_from}"), soft_wrap=True)
        for warning in made.manifest["checks"]["warnings"]:
            console.print(plain(f"  warning: {warning}"), soft_wrap=True)
        console.print(plain("artifact ", "bold") + plain(str(made.path)), soft_wrap=True)
        console.print(
            plain("measure  ", "bold") + plain(f"{program()} fidelity {made.path} --task {task}"), soft_wrap=True
        )
