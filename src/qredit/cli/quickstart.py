"""`qredit quickstart`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program

if TYPE_CHECKING:
    from qredit.api.walkthrough import Quickstart
    from qredit.errors import JailUnavailableError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "quickstart")(quickstart)


def quickstart(
    total_steps: Annotated[int | None, typer.Option(help="Environment steps per training.", min=1)] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at the same time; default: one per core.", min=1)] = None,
    json_output: JsonOption = False,
) -> None:
    """Watch the whole path in minutes: generate with recorded replies, check in a jail, train, compare."""
    from dataclasses import replace

    from qredit.api.walkthrough import ALGORITHMS, SEEDS, SETTINGS, TASK, Watcher
    from qredit.api.walkthrough import quickstart as run_all
    from qredit.cli.generation import show_event, show_generated, show_start
    from qredit.cli.training import COMPILING, Bars

    started = time.perf_counter()
    settings = SETTINGS if total_steps is None else replace(SETTINGS, total_steps=total_steps)
    console = err()
    console.rule(plain(f"1 of 2: write a credit function for {TASK}, with recorded replies of a language model"))
    bars = Bars()

    def training_starts(run: object) -> None:
        names = ", ".join(name.upper() for name in ALGORITHMS)
        console.rule(plain(f"2 of 2: train {names} with identical settings, {len(SEEDS)} seeds each"))
        bars.__enter__()

    watcher = Watcher(
        on_generation=show_start,
        on_event=show_event,
        on_no_jail=_banner if json_output else _show_no_jail,
        on_generated=lambda generated: None if json_output else show_generated(generated),
        on_comparison=training_starts,
        on_compile=lambda: bars.note(COMPILING),
        on_training=bars.update,
    )
    try:
        done = run_all(watcher, settings=settings, jobs=jobs)
    finally:
        bars.__exit__()
    seconds = time.perf_counter() - started
    if json_output:
        generation = (
            {"run": done.generated.run.path, "artifact": done.generated.artifact.path} if done.generated else None
        )
        print_json({"generation": generation, "comparison": done.comparison.to_json(), "seconds": round(seconds, 1)})
    else:
        _show_end(done, seconds)
    if done.no_jail is not None:
        _banner(done.no_jail)


def _show_no_jail(error: JailUnavailableError) -> None:
    from qredit.api import inspect_run
    from qredit.api.walkthrough import recorded_run
    from qredit.cli.inspection import show_story

    _banner(error)
    err().print("This is the run that the recording comes from:")
    show_story(inspect_run(recorded_run()))


def _banner(error: JailUnavailableError) -> None:
    text = (
        f"No jail works on this machine, so no candidate was executed.\n{error.what}: {error.cause}\n{error.remedy}\n"
        "Training used the verified credit graph that ships with qredit."
    )
    err().print(Panel(plain(text), title="no jail", border_style="red"))


def _show_end(done: Quickstart, seconds: float) -> None:
    from qredit.cli.training import show_comparison

    console = out()
    console.print()
    show_comparison(done.comparison)
    qredit = program()
    if done.generated is not None:
        spend = done.generated.result.spend
        tokens = spend.usage.input_tokens + spend.usage.output_tokens
        drift = f", {done.generated.result.drift}" if done.generated.result.drift else ""
        rows = {
            "artifact": str(done.generated.artifact.path),
            "trace": str(done.generated.run.trace_path),
            "cost": f"nothing: {spend.calls} recorded calls, {tokens} tokens when they were made{drift}",
            "jail": done.generated.jail,
        }
        inspected = str(done.generated.run.path)
    else:
        from qredit.api.walkthrough import recorded_run

        inspected = str(recorded_run())
        rows = {"artifact": f"{inspected}/artifact (bundled)", "trace": f"{inspected}/trace.jsonl (bundled)"}
        rows |= {"cost": "nothing: the recorded run was shown, not repeated", "jail": "none works here"}
    rows = {"picture": str(done.comparison.picture), **rows, "time": f"{seconds:.0f} s"}
    console.print()
    for name, value in rows.items():
        console.print(plain(f"{name:<9}", "bold") + plain(value), soft_wrap=True)
    console.print(plain("\nTry next", "bold"))
    for line in (
        f"{qredit} inspect {inspected}",
        f"{qredit} generate lbf-8x8-2p-2f-coop-2s --model NAME --base-url http://127.0.0.1:11434/v1",
        f"{qredit} compare {done.comparison.task} --algorithms vdn,qllm --mixer {inspected} --seeds 0-4",
    ):
        console.print(plain(f"  {line}"), soft_wrap=True)
