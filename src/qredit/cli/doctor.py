"""`qredit doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from qredit.cli.console import JsonOption, command, err, out, plain, print_json
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.api.diagnosis import Finding

STYLES = {"ok": "green", "missing": "bold red", "note": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "doctor")(doctor)


def doctor(
    model: Annotated[
        str | None, typer.Option(help="Only look at this model: ask its endpoint a few small questions.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of the model's endpoint; default $OPENAI_BASE_URL.")
    ] = None,
    timeout_seconds: Annotated[
        float | None, typer.Option(help="Longest time for one request to the model. Default: 120.")
    ] = None,
    build_image: Annotated[
        bool,
        typer.Option(
            "--build-image",
            help="Only build the image of the docker jail for engines that cannot mount this machine's Python (macOS, "
            "a remote engine), and try the jail in it.",
        ),
    ] = False,
    image_base: Annotated[
        str | None,
        typer.Option(help="Image to build on: Python 3.11 or newer as `python3`. Default: `python:VERSION-slim`."),
    ] = None,
    torch_index: Annotated[
        str, typer.Option(envvar="TORCH_INDEX", help="Package index with the CPU builds of torch, for the image.")
    ] = "",
    json_output: JsonOption = False,
) -> None:
    """Say what works on this machine, and what to do about what does not. Exit 0 when nothing is missing."""
    from qredit import api
    from qredit.api.diagnosis import build_sandbox_image, probe_model

    if model is None and (base_url is not None or timeout_seconds is not None):
        raise ConfigurationError(
            "--base-url or --timeout-seconds", cause="no model is to be asked", remedy="Add --model NAME."
        )
    if model is not None and build_image:
        raise ConfigurationError(
            "--model with --build-image", cause="one command does one of them", remedy="Run doctor twice."
        )
    if image_base is not None and not build_image:
        raise ConfigurationError(
            f"--image-base {image_base}", cause="no image is to be built", remedy="Add --build-image, or leave it out."
        )
    if build_image:
        built = build_sandbox_image(base=image_base, torch_index=torch_index, say=_say)
        raise typer.Exit(_show([built], json_output))
    if model is not None:
        found = probe_model(model, base_url=base_url, timeout_seconds=timeout_seconds, say=_say)
        raise typer.Exit(_show(found, json_output))
    raise typer.Exit(_show(api.doctor(), json_output))


def _say(line: str) -> None:
    err().print(plain(line), soft_wrap=True)


def _show(findings: Iterable[Finding], json_output: bool) -> int:
    """Print what was found; gives the exit code."""
    missing = False
    table = Table(box=None, pad_edge=False)
    for column in ("topic", "state", "detail", "remedy"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        missing |= finding.state == "missing"
        if json_output:
            print_json(finding)
        else:
            state = plain(finding.state, STYLES[finding.state])
            table.add_row(plain(finding.topic), state, plain(finding.detail), plain(finding.remedy))
    if not json_output:
        out().print(table)
    return 1 if missing else 0
