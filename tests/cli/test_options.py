"""Options made from settings dataclasses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from qredit.agents.settings import ModelSettings
from qredit.cli.options import field_help, with_settings
from qredit.errors import ConfigurationError
from qredit.graphs.settings import GenerationSettings
from qredit.marl.settings import TrainSettings


@dataclass(frozen=True)
class Settings:
    """Settings of a toy."""

    fixed_one: str
    """It has no default."""
    steps: int = 10
    """How many steps,
    over two lines."""
    rate: float = 1e-3
    """Step size."""
    double: bool = True
    """Whether twice."""
    quiet: bool = False
    """Whether without words."""
    form: Literal["weights", "general"] = "weights"
    """Which form."""
    temperature: float | None = None
    """Not sent when unset."""
    hidden: int = 7
    """Has no option."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ConfigurationError("steps", cause="negative", remedy="Do not.")


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def seen() -> list[tuple[str, bool, Settings]]:
    """What the command was called with."""
    return []


@pytest.fixture
def run(seen: list[tuple[str, bool, Settings]]) -> Run:
    """Calls a command with generated options; returns exit code and output."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    def toy(
        name: Annotated[str, typer.Argument(help="A name.")],
        settings: Settings,
        loud: Annotated[bool, typer.Option(help="Loudly.")] = False,
    ) -> None:
        """A toy."""
        seen.append((name, loud, settings))

    app.command()(with_settings("settings", Settings, leave_out=("hidden",), fixed={"fixed_one": "given"})(toy))

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return done.exit_code, done.output

    return call


def test_defaults(run: Run, seen: list[tuple[str, bool, Settings]]) -> None:
    assert run("n") == (0, "")
    assert seen == [("n", False, Settings("given"))]


def test_values_of_every_type(run: Run, seen: list[tuple[str, bool, Settings]]) -> None:
    given = "--steps 3 --rate 0.5 --no-double --quiet --form general --temperature 0.25 --loud"
    assert run("n", *given.split())[0] == 0
    expected = Settings("given", 3, 0.5, double=False, quiet=True, form="general", temperature=0.25)
    assert seen == [("n", True, expected)]


@pytest.mark.parametrize(
    "arguments",
    ["--steps x", "--steps 1.5", "--rate x", "--form other", "--temperature x", "--hidden 3", "--fixed-one x"],
)
def test_values_that_do_not_fit(run: Run, seen: list[tuple[str, bool, Settings]], arguments: str) -> None:
    assert run("n", *arguments.split())[0] == 2
    assert seen == []


def test_what_the_dataclass_refuses_comes_through(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="negative"):
        run("n", "--steps", "-1")


def test_help_comes_from_the_docstrings(run: Run) -> None:
    text = " ".join(run("--help")[1].split())
    for part in (
        r"--steps \S+ How many steps, over two lines. .default: 10.",
        r"--rate \S+ Step size. .default: 0.001.",
        "--double / --no-double Whether twice. .default: double.",
        "--quiet / --no-quiet Whether without words. .default: no-quiet.",
        "Which form. .default: weights.",
        r"--temperature \S+ Not sent when unset.",
        "--loud",
        "A name.",
        "A toy.",
    ):
        assert re.search(part, text), text
    assert "hidden" not in text
    assert "fixed" not in text


def test_field_help() -> None:
    assert field_help(Settings)["steps"] == "How many steps, over two lines."
    assert set(field_help(Settings)) == {f.name for f in dataclasses.fields(Settings)}


@pytest.mark.parametrize("settings", [TrainSettings, GenerationSettings, ModelSettings])
def test_every_field_of_ours_has_help(settings: type) -> None:
    texts = field_help(settings)
    assert dataclasses.is_dataclass(settings)
    assert [f.name for f in dataclasses.fields(settings) if not texts.get(f.name)] == []
