"""Command-line options made from a settings dataclass: the default and the help text stand in one place."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import os
import textwrap
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from qredit.trust import TRUST_VARIABLE

R = TypeVar("R")


def _trust(value: bool) -> bool:
    if value:
        os.environ[TRUST_VARIABLE] = "1"  # trainings in processes of their own must know it too
    return value


TrustEnvOption = Annotated[
    bool,
    typer.Option(
        "--trust-env", callback=_trust, help="Run the code of the environment that the task file names by its module."
    ),
]

TaskArgument = Annotated[str, typer.Argument(help="Built-in task (see `qredit tasks`), or the path of a task file.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only estimate calls, tokens and cost; asks nothing.")]
ResumeOption = Annotated[str | None, typer.Option(help="Run to go on with; nothing that was answered is asked again.")]
RecordOption = Annotated[
    Path | None, typer.Option(help="Folder to write a recording of all replies to, when the run is finished.")
]
JailOption = Annotated[str, typer.Option(help="Jail to run in: auto, bubblewrap, lockdown or docker.")]
SandboxImageOption = Annotated[
    str | None,
    typer.Option(help="For the docker jail: image with qredit in it; default: mount this machine's Python."),
]


def field_help(settings: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, by field name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def with_settings(
    parameter: str, settings: type, *, leave_out: Collection[str] = (), fixed: Mapping[str, object] | None = None
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command one option per field of `settings`, and call it with the filled dataclass.

    Args:
        parameter: the command's parameter that takes the filled dataclass.
        settings: a dataclass whose fields have defaults and a docstring each.
        leave_out: fields that keep their default.
        fixed: fields that get this value and no option.
    """
    given = dict(fixed or {})
    hints = typing.get_type_hints(settings)
    texts = field_help(settings)
    fields = [f for f in dataclasses.fields(settings) if f.name not in leave_out and f.name not in given]

    def wrap(function: Callable[..., R]) -> Callable[..., R]:
        own = inspect.signature(function, eval_str=True)
        kept = [p for p in own.parameters.values() if p.name != parameter]
        options = [_option(field, hints[field.name], texts.get(field.name, "")) for field in fields]

        @functools.wraps(function)
        def command(**arguments: Any) -> R:
            values = {f.name: arguments.pop(f.name) for f in fields}
            return function(**arguments, **{parameter: settings(**given, **values)})

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept] + options
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return wrap


def _option(field: dataclasses.Field[Any], kind: Any, text: str) -> inspect.Parameter:
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[kind, typer.Option(help=text)],
    )
