"""`qredit algorithms`: what can train, from what it learns, and its own options."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program
from qredit.cli.options import field_help

if TYPE_CHECKING:
    from qredit.marl.algorithms import Algorithm


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "algorithms")(algorithms)


def algorithms(
    name: Annotated[str | None, typer.Argument(help="Algorithm whose own options to show.")] = None,
    json_output: JsonOption = False,
) -> None:
    """List the algorithms, or one with its own options (`--set NAME=VALUE`)."""
    from qredit.marl.algorithms import algorithm_named, algorithm_names

    if name is not None:
        _show_one(name, algorithm_named(name), json_output)
        return
    found = {one: algorithm_named(one) for one in algorithm_names()}
    if json_output:
        for one, algorithm in found.items():
            print_json(_facts(one, algorithm))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "learns from", "artifact", "rewards"):
        table.add_column(column)
    for one, algorithm in found.items():
        facts = _facts(one, algorithm)
        learns = "its last play" if algorithm.on_policy else "replay"
        artifact = " or ".join(facts["artifact"]) or "-"
        cells = (one, learns, artifact, ",".join(algorithm.rewards))
        table.add_row(*(plain(cell) for cell in cells))
    out().print(table)
    hint = f"`{program()} algorithms NAME` shows paper and options of one; shares and potentials need an artifact, too."
    err().print(plain(hint, "dim"), soft_wrap=True)


def _show_one(name: str, algorithm: type[Algorithm], json_output: bool) -> None:
    if json_output:
        print_json(_facts(name, algorithm))
        return
    out().print(plain(f"{name}: {algorithm.title} ({algorithm.source})"), soft_wrap=True)
    facts = _facts(name, algorithm)["options"]
    if not facts:
        out().print(plain("no options of its own"))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("option", "default", "what it is"):
        table.add_column(column)
    for option in facts:
        table.add_row(plain(option["name"]), plain(str(option["default"])), plain(option["help"]))
    out().print(table)


def _facts(name: str, algorithm: type[Algorithm]) -> dict[str, Any]:
    from qredit.marl.settings import TrainSettings

    texts = field_help(algorithm.Options)
    defaults = algorithm.Options()
    return {
        "name": name,
        "title": algorithm.title,
        "source": algorithm.source,
        "family": algorithm.family,
        "on_policy": algorithm.on_policy,
        "rewards": list(algorithm.rewards),
        "artifact": list(algorithm.credit_forms(TrainSettings(algorithm=name))),
        "options": [
            {"name": f.name, "default": getattr(defaults, f.name), "help": texts.get(f.name, "")}
            for f in dataclasses.fields(algorithm.Options)
        ],
    }
