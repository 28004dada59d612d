"""What all commands share: printing untrusted text, errors with their exit code, JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from qredit.errors import QreditError

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
# C0 and C1 controls but newline and tab, line separators, and the characters that reorder or hide text.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def out() -> Console:
    """Console for results."""
    return Console(highlight=False)


def err() -> Console:
    """Console for progress, notices and errors."""
    return Console(stderr=True, highlight=False)


def plain(text: object, style: str = "") -> Text:
    """Untrusted text, printable: control characters removed, never read as markup.

    Lone surrogates, which a model's JSON can hold and no stream can write, become question marks.
    """
    return Text(_SURROGATE.sub("\ufffd", _CONTROL.sub("", str(text))), style=style)


def program() -> str:
    """How this command was called, for the commands suggested to the user."""
    called = Path(sys.argv[0])
    if called.name != "qredit":
        return "qredit"
    inside = called.is_absolute() and called.is_relative_to(Path.cwd())
    return str(called.relative_to(Path.cwd())) if inside else str(called)


def print_json(data: object) -> None:
    """One JSON document on one line of standard output.

    In ASCII: a terminal that shows it must not obey bidirectional controls in a model's words, and no encoding fails.
    """
    sys.stdout.write(json.dumps(_jsonable(data)) + "\n")
    sys.stdout.flush()


def fail(error: QreditError, *, as_json: bool) -> NoReturn:
    """Report one of our errors and leave with its exit code."""
    if as_json:
        fields = {"family": error.family, "what": error.what, "cause": error.cause, "remedy": error.remedy}
        print_json({"error": fields})
    else:
        console = err()
        console.print(Text("error: ", style="bold red") + plain(f"{error.what}: {error.cause}"), soft_wrap=True)
        console.print(Text("try:   ", style="bold") + plain(error.remedy), soft_wrap=True)
    raise typer.Exit(error.exit_code)


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a command that turns our errors, Ctrl-C and a closed pipe into one message and an exit code."""

    def register(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except QreditError as error:
                fail(error, as_json=bool(kwargs.get("json_output")))
            except KeyboardInterrupt:
                err().print("interrupted: what was done is kept")
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:
                # The reader has gone; keep the interpreter from complaining again when it flushes at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from None

        app.command(name)(guarded)
        return guarded

    return register


def _jsonable(data: object) -> Any:
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return {f.name: _jsonable(getattr(data, f.name)) for f in dataclasses.fields(data)}
    if isinstance(data, Mapping):
        return {str(key): _jsonable(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_jsonable(item) for item in data]
    if isinstance(data, Path):
        return str(data)
    return data
