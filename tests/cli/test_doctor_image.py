"""`doctor --build-image`: what it says and asks for; real builds stand in `tests/sandbox/test_image.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qredit.errors import JailUnavailableError
from qredit.sandbox.jails import image
from qredit.sandbox.jails.image import Recipe, image_name
from tests.cli.conftest import Cli


class Engine:
    """Builds as it is told to, and remembers the recipe and the image that a jail was tried in."""

    def __init__(self) -> None:
        self.recipes: list[Recipe] = []
        self.tried: list[tuple[str, str]] = []

    def build(self, recipe: Recipe) -> Iterator[str]:
        """Say two lines, one of them with a trick for terminals in it."""
        self.recipes.append(recipe)
        yield "Step 1/9 : ARG BASE"
        yield "[bold]done[/bold]\x1b[2J"

    def open(self, jail: str, *, image: str) -> Engine:
        """A jail that does nothing."""
        self.tried.append((jail, image))
        return self

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine of the test's own."""
    engine = Engine()
    monkeypatch.setattr(image, "build_image", engine.build)
    monkeypatch.setattr("qredit.sandbox.open_jail", engine.open)
    return engine


def test_the_image_is_built_tried_and_named(cli: Cli, engine: Engine) -> None:
    done = cli("doctor", "--build-image", "--json")
    assert done.code == 0
    (found,) = done.lines()
    assert (found["topic"], found["state"]) == ("image", "ok")
    assert f"--sandbox-image {image_name()}" in str(found["remedy"])
    assert done.err == "Step 1/9 : ARG BASE\n[bold]done[/bold][2J\n"
    assert engine.tried == [("docker", image_name())]
    assert engine.recipes == [Recipe()]
    text = cli("doctor", "--build-image")
    assert image_name() in "".join(text.out.split())


def test_base_and_index_are_passed_on(cli: Cli, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("doctor", "--build-image", "--image-base", "mine:1", "--torch-index", "http://a/cpu").code == 0
    monkeypatch.setenv("TORCH_INDEX", "http://b/cpu")
    assert cli("doctor", "--build-image").code == 0
    assert engine.recipes == [Recipe(base="mine:1", torch_index="http://a/cpu"), Recipe(torch_index="http://b/cpu")]


def test_an_image_in_which_no_jail_holds_is_an_error(cli: Cli, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(jail: str, *, image: str) -> Engine:
        raise JailUnavailableError("jail `docker` does not work", cause="it has `1`, expected `2`", remedy="Rebuild.")

    monkeypatch.setattr("qredit.sandbox.open_jail", refuse)
    done = cli("doctor", "--build-image")
    assert done.code == 2
    assert "jail `docker` does not work: it has `1`, expected `2`" in done.err
    assert "--sandbox-image" not in done.out


def test_without_an_engine_it_says_what_to_start(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    done = cli("doctor", "--build-image", "--json")
    assert done.code == 2
    (found,) = done.lines()
    error = found["error"]
    assert isinstance(error, dict)
    assert error["family"] == "infrastructure"
    assert "no engine answers" in error["cause"]
    assert "Start Docker, or set DOCKER_HOST" in error["remedy"]


def test_a_base_without_a_build_is_a_mistake(cli: Cli) -> None:
    done = cli("doctor", "--image-base", "mine:1")
    assert done.code == 2
    assert "Add --build-image" in done.err
