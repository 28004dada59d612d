"""`qredit generate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from qredit.agents.settings import ModelSettings
from qredit.api.settings import EvaluatorSettings, Request, Spending
from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program
from qredit.cli.options import (
    DryRunOption,
    JailOption,
    RecordOption,
    ResumeOption,
    TaskArgument,
    TrustEnvOption,
    with_settings,
)
from qredit.graphs.settings import GenerationSettings

if TYPE_CHECKING:
    from qredit.api.estimate import Estimate
    from qredit.api.generation import Generated
    from qredit.graphs import Event
    from qredit.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    flattened = generate
    for parameter, kind in (("evaluator", EvaluatorSettings), ("spending", Spending), ("settings", GenerationSettings)):
        flattened = with_settings(parameter, kind)(flattened)
    flattened = with_settings("sampling", ModelSettings, fixed={"model": "unset"}, leave_out=("base_url",))(flattened)
    flattened = with_settings("request", Request, fixed={"task": ""}, leave_out=("evaluator", "ranker", "spending"))(
        flattened
    )
    command(app, "generate")(flattened)
    command(app, "reproduce")(reproduce)


def generate(
    task: TaskArgument,
    request: Request,
    settings: GenerationSettings,
    sampling: ModelSettings,
    evaluator: EvaluatorSettings,
    spending: Spending,
    no_evaluator: Annotated[
        bool, typer.Option("--no-evaluator", help="Ablation: the measured score selects, and nobody gives tips.")
    ] = False,
    best_of_k: Annotated[
        bool,
        typer.Option(
            "--best-of-k",
            help="Baseline of equal budget: as many calls as K candidates in L rounds take, all for independent first "
            "candidates; the score selects.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    trust_env: TrustEnvOption = False,
    resume: ResumeOption = None,
    record: RecordOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let language models write a credit function, or another kind of program, for a task, and check it in a jail."""
    from qredit import api
    from qredit.api.generation import estimate_generation

    if no_evaluator:
        settings = replace(settings, selection="score")
    if best_of_k:
        settings = settings.best_of_k()
    request = replace(request, task=task, evaluator=evaluator, spending=spending)
    if dry_run:
        found = estimate_generation(request, settings=settings, sampling=sampling)
        if json_output:
            print_json(found.to_json())
        else:
            show_estimate(found, settings)
        return
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


def reproduce(
    artifact: Annotated[Path, typer.Argument(help="Artifact: its folder, or the run that made it.")],
    task: Annotated[str | None, typer.Option(help="Its task, if that is a file.")] = None,
    jail: JailOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Repeat how an artifact came to be, without a model, and compare what comes out. Exit 1 if it differs."""
    from qredit.api.reproduction import reproduce as repeat

    found = repeat(artifact, task=task, jail=jail, on_event=show_event)
    generation = {} if found.generated is None else summary(found.generated)
    if json_output:
        sums = {"expected_sha256": found.expected_sha256, "found_sha256": found.found_sha256}
        print_json({"same": found.same, **sums, **generation})
    else:
        console = out()
        verdict = plain("the same program", "green") if found.same else plain("another program", "bold red")
        compared = f": expected {found.expected_sha256}, found {found.found_sha256 or 'none, it was rejected'}"
        drift = "" if found.generated is None else f"; {found.generated.result.drift}"
        console.print(verdict + plain(compared + drift), soft_wrap=True)
        if found.generated is not None:
            console.print(plain(f"run      {found.generated.run.path}"), soft_wrap=True)
    if not found.same:
        raise typer.Exit(1)


def show_estimate(found: Estimate, settings: GenerationSettings) -> None:
    """What a generation would take."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "calls", "tokens read", "tokens written", "US dollars"):
        table.add_column(column, justify="left" if not column else "right")
    for name, bill in (("at least", found.at_least), ("at most", found.at_most)):
        usd = "unknown" if bill.usd is None else f"{bill.usd:.2f}"
        table.add_row(name, str(bill.calls), f"{bill.input_tokens:,}", f"{bill.output_tokens:,}", usd)
    console = out()
    console.print(plain(f"K = {settings.candidates} candidates, L = {settings.rounds} rounds; nothing was asked"))
    console.print(table)
    for line in found.assumptions:
        console.print(plain(f"- {line}"), soft_wrap=True)


def summary(generated: Generated) -> dict[str, object]:
    """What a program wants to know."""
    return {
        "run": generated.run.path,
        "artifact": generated.artifact.path,
        "chosen": generated.result.chosen,
        "kind": generated.result.kind,
        "payload_sha256": generated.result.verdict.payload_sha256,
        "score": generated.result.score,
        "stopped": generated.result.stopped,
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
        "chosen": f"  chosen {event.sha[:8]}: {short}",
        "bad_choice": f"  evaluator: {short}",
        "kept": f"  no new candidate passed, {event.sha[:8]} stays: {short}",
        "all_failed": f"  all candidates failed: {short}",
        "playing_off": f"  play-off: {short}",
        "trying": f"  trial: {short}",
        "converged": f"  {short}: the run ends here",
        "out_of_budget": f"{who}: not asked: {short}",
        "measuring": f"measuring the true credit: {short}",
        "settings": f"settings {short}",
        "waiting": f"  waiting for the reply to {text}",
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
    if spend.usd:  # a model on this machine costs nothing
        rows["cost"] = f"{spend.usd:.4f} USD by list price"
    if generated.result.score is not None:
        rows["score"] = f"{generated.result.score:.3f}"
    for name, value in rows.items():
        console.print(plain(f"{name:<9}", "bold") + plain(value), soft_wrap=True)
    if generated.result.stopped == "budget":
        console.print(plain("the budget was spent: this is the best candidate until then", "yellow"))
    for warning in generated.result.verdict.warnings:
        console.print(plain(f"warning  {warning}", "yellow"), soft_wrap=True)
    console.print(plain(f"next     {program()} inspect {generated.run.path}"), soft_wrap=True)
