"""`qredit tasks`, `qredit runs` and `qredit card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "tasks")(tasks)
    command(app, "runs")(runs)
    command(app, "card")(card)


def tasks(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a task file instead, for editors.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """List the built-in tasks, or describe the form of a task file."""
    if schema:
        from qredit.task_schema import schema_text

        typer.echo(schema_text(), nl=False)
        return
    from qredit.artifact import bundled_artifacts, load_artifact
    from qredit.families import FAMILIES
    from qredit.prompts import recording_path
    from qredit.task import builtin_task_names, load_task

    origins = {name: load_artifact(path).manifest.get("taken_from") for name, path in bundled_artifacts().items()}
    found = [load_task(name) for name in builtin_task_names()]
    if json_output:
        for task in found:
            facts = {"recorded": recording_path(task.name).is_file(), "taken_from": origins.get(task.name)}
            print_json({**task.model_dump(mode="json"), **facts, "builtin": task.name in origins})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("task", "agents", "credit that ships", "what it is"):
        table.add_column(column)
    for task in found:
        taken_from = origins.get(task.name)
        origin = f"from {taken_from}" if taken_from else "recorded" if task.name in origins else "no recording yet"
        table.add_row(plain(task.name), str(task.n_agents), plain(origin), plain(task.title))
    out().print(table)
    forms = ", ".join(family.shown for family in FAMILIES)
    err().print(plain(f"Further ones by names of the form {forms}.", "dim"), soft_wrap=True)
    own = f"Your own: a YAML file that `{program()} init` writes; all commands take its path."
    err().print(plain(own, "dim"), soft_wrap=True)


def runs(
    root: Annotated[Path | None, typer.Option(help="Folder of runs; default $QREDIT_RUNS or ./runs.")] = None,
    json_output: JsonOption = False,
) -> None:
    """List the runs on this machine, oldest first."""
    from qredit.errors import ArtifactError
    from qredit.runs import list_runs, runs_root

    rows: list[dict[str, Any]] = []
    for run in list_runs(root):
        try:
            record = run.record
        except ArtifactError as error:
            record = {"status": f"unreadable: {error.cause}"}
        rows.append({"path": str(run.path), **{k: record.get(k) for k in ("kind", "name", "status", "created")}})
    if json_output:
        for row in rows:
            print_json(row)
        return
    if not rows:
        folder = root or runs_root()
        out().print(plain(f"No runs in `{folder}` yet. Make one with `{program()} quickstart`."), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "kind", "task", "status", "created (UTC)"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(plain(row[k] or "") for k in ("path", "kind", "name", "status", "created")))
    out().print(table)


def card(
    artifact: Annotated[
        str, typer.Argument(help="Folder of an artifact or of a run, name of a run, or a task whose artifact ships.")
    ],
    json_output: JsonOption = False,
) -> None:
    """Show the card of an artifact: what earns credit, what was measured, the code, where it comes from."""
    from qredit.api.artifacts import load_named

    found = load_named(artifact)
    text = found.files["CARD.md"].decode("utf-8", "replace") if "CARD.md" in found.files else ""
    if json_output:
        print_json({"artifact": found.path, "card": text})
    else:
        out().print(plain(text or "It has no card."), soft_wrap=True)
