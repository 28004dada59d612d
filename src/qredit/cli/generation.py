"""`qredit generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qredit.agents.settings import ModelSettings
from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program
from qredit.cli.options import with_settings
from qredit.graphs.settings import GenerationSettings

if TYPE_CHECKING:
    from qredit.api.generation import Generated
    from qredit.graphs import Event
    from qredit.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    flattened = with_settings("sampling", ModelSettings, fixed={"model": "unset"}, leave_out=("base_url",))(
        with_settings("settings", GenerationSettings)(generate)
    )
    command(app, "generate")(flattened)


def generate(
    task: Annotated[str, typer.Argument(help="Built-in task (see `qredit tasks`), or the path of a task file.")],
    settings: GenerationSettings,
    sampling: ModelSettings,
    model: Annotated[
        str | None, typer.Option(help="Name of the model, or `replay` for the recorded replies of a built-in task.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of an OpenAI-compatible endpoint; default $OPENAI_BASE_URL.")
    ] = None,
    jail: Annotated[str, typer.Option(help="Jail for the candidates: auto, bubblewrap, lockdown or docker.")] = "auto",
    sandbox_image: Annotated[
        str | None,
        typer.Option(help="For the docker jail: image with qredit in it; default: mount this machine's Python."),
    ] = None,
    scale: Annotated[
        Literal["sum_to_n", "raw"], typer.Option(help="Whether weights are normalised to sum to N.")
    ] = "sum_to_n",
    igm: Annotated[
        Literal["enforce", "relax"], typer.Option(help="Whether negative weights are clamped at 0 or kept.")
    ] = "enforce",
    resume: Annotated[
        str | None, typer.Option(help="Run to go on with; nothing that was answered is asked again.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Folder to write a recording of all replies to, when the run is finished.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Let language models write a credit function for a task, and check it in a jail."""
    from qredit import api
    from qredit.api.generation import Request

    request = Request(
        task, model=model, base_url=base_url, jail=jail, sandbox_image=sandbox_image, scale=scale, igm=igm
    )
    generated = api.generate(
        request,
        settings=settings,
        sampling=sampling,
        resume=resume,
        record=record,
        on_event=show_event,
        on_start=show_start,
    )
    if json_output:
        print_json(summary(generated))
    else:
        show_generated(generated)


def summary(generated: Generated) -> dict[str, object]:
    """What a program wants to know."""
    return {
        "run": generated.run.path,
        "artifact": generated.artifact.path,
        "chosen": generated.result.chosen,
        "graph_sha256": generated.result.verdict.graph_sha256,
        "jail": generated.jail,
        "seconds": round(generated.seconds, 2),
        "spend": generated.result.spend.to_json(),
    }


def show_start(run: Run, jail: str) -> None:
    """The head of a generation."""
    err().print(plain(f"run {run.path}, jail {jail}"), soft_wrap=True)


def show_event(event: Event) -> None:
    """One line of progress."""
    who = f"  candidate {event.candidate}, attempt {event.attempt}" if event.candidate else "  evaluator"
    text = " ".join(event.text.split())
    short = text if len(text) <= 160 else text[:157] + "..."
    lines = {
        "round_started": f"round {event.round}",
        "accepted": f"{who}: accepted {event.sha[:8]}" + (f" ({short})" if short else ""),
        "rejected": f"{who}: rejected: {short}",
        "no_code": f"{who}: no code: {short}",
        "duplicate": f"{who}: {short}",
        "chosen": f"  evaluator chose {event.sha[:8]}: {short}",
        "bad_choice": f"  evaluator: {short}",
        "kept": f"  no new candidate passed, {event.sha[:8]} stays: {short}",
        "all_failed": f"  all candidates failed: {short}",
        "stopping": f"  {short}",
        "drift": f"  {short}",
    }
    if event.kind in lines:
        style = {"accepted": "green", "chosen": "bold", "rejected": "yellow", "no_code": "yellow"}.get(event.kind, "")
        err().print(plain(lines[event.kind], style), soft_wrap=True)


def show_generated(generated: Generated) -> None:
    """The end of a generation."""
    spend, console = generated.result.spend, out()
    tokens = f"{spend.usage.input_tokens} + {spend.usage.output_tokens} tokens"
    estimated = " (estimated)" if spend.usage.estimated else ""
    rows = {
        "artifact": str(generated.artifact.path),
        "trace": str(generated.run.trace_path),
        "calls": f"{spend.calls} ({spend.calls_this_session} in this session), {tokens}{estimated}",
        "time": f"{generated.seconds:.1f} s",
        "jail": generated.jail,
    }
    for name, value in rows.items():
        console.print(plain(f"{name:<9}", "bold") + plain(value), soft_wrap=True)
    for warning in generated.result.verdict.warnings:
        console.print(plain(f"warning  {warning}", "yellow"), soft_wrap=True)
    console.print(plain(f"next     {program()} inspect {generated.run.path}"), soft_wrap=True)
