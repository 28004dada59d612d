"""`qredit experiment`: the studies behind `docs/results/`, to be run again by anyone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from qredit.cli.console import command, err, out, plain
from qredit.cli.training import parse_seeds
from qredit.errors import UnknownNameError
from qredit.files import write_atomic
from qredit.runs import runs_root


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "experiment")(experiment)


def experiment(
    study: Annotated[Literal["lca"], typer.Argument(help="Which study: `lca`.")],
    part: Annotated[
        Literal["methods", "errors"],
        typer.Option(help="`methods`: LCA beside its baselines, all tuned; `errors`: what wrong rankings cost."),
    ] = "methods",
    worlds: Annotated[str, typer.Option(help="Worlds, with commas between.")] = "two-switch,victim-rubble,pistonball",
    seeds: Annotated[str, typer.Option(help="Seeds, with commas between, or a range such as 0-4.")] = "0-4",
    jobs: Annotated[int | None, typer.Option(help="Trainings at a time; by default one per core.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where runs and results go; what is finished there is kept.")
    ] = None,
) -> None:
    """Run a study again: one line of JSON per result, also in results-PART-WORLD.jsonl of the folder."""
    from qredit.api.lca import WORLDS, errors, methods

    where = runs_root() / f"experiment-{study}" if folder is None else folder
    for name in worlds.split(","):
        if name not in WORLDS:
            raise UnknownNameError("world", name, list(WORLDS))
    for name in worlds.split(","):
        lines: list[str] = []
        file = where / f"results-{part}-{name}.jsonl"

        def report(result: Mapping[str, Any], lines: list[str] = lines, file: Path = file) -> None:
            lines.append(json.dumps(result))
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, ("\n".join(lines) + "\n").encode())
            out().print(plain(lines[-1]), soft_wrap=True)

        study_of = methods if part == "methods" else errors
        study_of(WORLDS[name], where / part / name, seeds=parse_seeds(seeds), jobs=jobs, report=report)
        err().print(plain(f"results  {file}"), soft_wrap=True)
