"""Printing what strangers wrote, and the ends of a command."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from qredit.cli.console import JsonOption, command, plain, print_json, program
from qredit.cli.generation import show_event
from qredit.errors import EndpointError, NoUsableReplyError, QreditError, StorageError, UnknownNameError
from qredit.graphs import Event

NASTY = "[bold]x[/bold] \x1b[31mred\x1b[0m \x07 a\u202eb\u2066c\u200bd\u061ce\u2028f\U000e0041 \x9b2J \r\b \ufeff\ud800"


def shown(text: object, style: str = "") -> str:
    """What a terminal gets."""
    file = io.StringIO()
    Console(file=file, width=200, force_terminal=False).print(plain(text, style))
    return file.getvalue()


def test_plain_keeps_markup_as_text_and_removes_controls() -> None:
    assert shown(NASTY, "bold") == "[bold]x[/bold] [31mred[0m  abcdef 2J  \ufffd\n"


def test_plain_keeps_newlines_tabs_and_other_alphabets() -> None:
    assert plain("a\n\tb é 世界 \U0001f600").plain == "a\n\tb é 世界 \U0001f600"
    assert plain(Path("a")).plain == "a"


@given(st.text(st.characters(), max_size=80))
def test_plain_can_always_be_written_and_obeys_nothing(text: str) -> None:
    safe = plain(text).plain
    safe.encode()
    controls = [c for c in safe if (c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" or "\u202a" <= c <= "\u202e"]
    assert controls == []


def test_json_is_ascii_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclasses.dataclass(frozen=True)
    class Inner:
        path: Path
        pair: tuple[int, int]

    print_json({"text": NASTY, "inner": Inner(Path("a/b"), (1, 2)), "many": [Inner(Path("c"), (3, 4))], 5: None})
    text = capsys.readouterr().out
    assert text.isascii()
    assert text.count("\n") == 1
    data: dict[str, Any] = json.loads(text)
    assert data["text"] == NASTY
    assert data["inner"] == {"path": "a/b", "pair": [1, 2]}
    assert data["many"] == [{"path": "c", "pair": [3, 4]}]
    assert data["5"] is None


@pytest.mark.parametrize("kind", ["rejected", "no_code", "accepted", "chosen", "bad_choice", "kept", "all_failed"])
def test_events_show_model_text_as_text(capsys: pytest.CaptureFixture[str], kind: Any) -> None:
    show_event(Event(kind, 1, 2, 3, "f" * 64, f"[/nope] {NASTY}\nsecond line"))
    text = capsys.readouterr().err
    assert "[/nope] [bold]x[/bold]" in text
    assert "\x1b" not in text
    assert text.count("\n") == 1


def test_long_events_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_event(Event("rejected", 1, 2, 3, "f" * 64, "x" * 5000))
    assert len(capsys.readouterr().err) < 300


def raising(error: BaseException) -> Callable[..., tuple[int, str, str]]:
    """Runs a command that raises."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    def failing(json_output: JsonOption = False) -> NoReturn:
        raise error

    command(app, "failing")(failing)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return done.exit_code, done.stdout, done.stderr

    return run


ERRORS: list[tuple[QreditError, int, str]] = [
    (UnknownNameError("task", "[red]x[/red]", ["y"]), 2, "user"),
    (NoUsableReplyError("w", cause="c", remedy="r"), 1, "model"),
    (EndpointError("w", cause="[/] c", remedy="r"), 2, "infrastructure"),
    (StorageError("w", cause="c\x1b]0;title\x07", remedy="r"), 2, "infrastructure"),
]


@pytest.mark.parametrize(("error", "exit_code", "family"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_of_ours(error: QreditError, exit_code: int, family: str) -> None:
    code, out, err = raising(error)()
    assert (code, out) == (exit_code, "")
    assert err.startswith(f"error: {error.what}: ")
    assert f"try:   {error.remedy}" in err
    assert "\x1b" not in err
    code, out, err = raising(error)("--json")
    assert (code, err) == (exit_code, "")
    fields = {"family": family, "what": error.what, "cause": error.cause, "remedy": error.remedy}
    assert json.loads(out) == {"error": fields}


def test_ctrl_c() -> None:
    code, out, err = raising(KeyboardInterrupt())()
    assert (code, out) == (130, "")
    assert err == "interrupted: what was done is kept\n"


def test_errors_that_are_bugs_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())()


@pytest.mark.parametrize(
    ("called", "suggested"),
    [
        ("{cwd}/.venv/bin/qredit", ".venv/bin/qredit"),
        ("/opt/bin/qredit", "/opt/bin/qredit"),
        ("x/__main__.py", "qredit"),
    ],
)
def test_how_the_program_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, suggested: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [called.format(cwd=os.fspath(Path.cwd()))])
    assert program() == suggested
