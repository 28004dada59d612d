"""`qredit fidelity`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from qredit.cli.console import JsonOption, command, err, out, plain, print_json
from qredit.cli.options import JailOption, SandboxImageOption, TrustEnvOption, with_settings
from qredit.marl.truth_settings import TruthSettings

if TYPE_CHECKING:
    from qredit.api.fidelity import FidelityResult
    from qredit.credit.fidelity import Fidelity

PLACEBOS = {
    "agents_permuted": "its credit, given to other agents",
    "time_shuffled": "its credit in another state",
    "random": "random, as concentrated",
}
"""Field of `Placebos` -> what the table calls it."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "fidelity")(with_settings("settings", TruthSettings)(fidelity))


def fidelity(
    functions: Annotated[
        list[str], typer.Argument(metavar="FUNCTION...", help="Artifacts, names of runs, or Python files (.py).")
    ],
    settings: TruthSettings,
    task: Annotated[
        str | None, typer.Option(help="Task (name or YAML file); default: the one that the artifacts were made for.")
    ] = None,
    jail: JailOption = "auto",
    sandbox_image: SandboxImageOption = None,
    trust_env: TrustEnvOption = False,
    json_output: JsonOption = False,
) -> None:
    """Compare credit with the simulator's truth: who matters, when one agent's action is varied? Beside placebos."""
    from qredit import api

    with _progress() as progress:
        bar = progress.add_task("", total=1.0, visible=False)

        def show(measured: int, decisive: int) -> None:
            done = max(measured / settings.visited, decisive / settings.states)
            text = f"{decisive} decisive states in {measured}"
            progress.update(bar, completed=done, description=text, visible=True)

        results = api.measure_fidelity(
            functions, task=task, settings=settings, jail=jail, sandbox_image=sandbox_image, on_progress=show
        )
    if json_output:
        for result in results:
            print_json(result)
    else:
        _show(results)
    raise typer.Exit(1 if any(result.verdict == "rejected" for result in results) else 0)


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err(), transient=True)


def _show(results: Sequence[FidelityResult]) -> None:
    measured = [result for result in results if result.fidelity is not None]
    for result in results:
        if result.fidelity is None:
            where = f", line {result.line}" if result.line is not None else ""
            head = plain(result.function) + plain(": ") + plain("rejected", "bold yellow")
            out().print(head + plain(f" ({result.stage}{where})"), soft_wrap=True)
            out().print(plain(f"  {result.message}"), soft_wrap=True)
    if measured:
        out().print(_table(measured))
        out().print(plain(_about(measured)), soft_wrap=True)


def _table(measured: Sequence[FidelityResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("credit", overflow="fold")
    for column in ("top-1", "95 %", "tau", "95 %"):
        table.add_column(column, justify="right", no_wrap=True)

    def add(name: str, found: Fidelity) -> None:
        table.add_row(
            plain(name),
            f"{found.top1:.2f}",
            f"{found.top1_low:.2f} to {found.top1_high:.2f}",
            f"{found.tau:+.2f}",
            f"{found.tau_low:+.2f} to {found.tau_high:+.2f}",
        )

    for result in measured:
        assert result.fidelity is not None
        assert result.placebos is not None
        add(result.function, result.fidelity)
        for name, words in PLACEBOS.items():
            add(f"  {words}", getattr(result.placebos, name))
        if result.actions is not None:
            add("  rewards of an agent's actions", result.actions.rewards)
            add("  all actions earn the same", result.actions.uniform)
    assert measured[0].placebos is not None
    add("uniform (VDN)", measured[0].placebos.uniform)
    return table


def _about(measured: Sequence[FidelityResult]) -> str:
    result = measured[0]
    truth = result.truth
    assert truth is not None
    given = truth.settings
    team = "a scripted team with 30 % random actions" if given.continuation == "scripted" else "a random team"
    found = "shipped with the task" if truth.source == "shipped" else f"found among {truth.measured}"
    cost = "" if truth.simulator_steps is None else f", {truth.simulator_steps} simulator steps"
    rewards = (
        ""
        if all(one.actions is None for one in measured)
        else " Of an agent's actions: the one that earns it most returns most; the order of all its actions; agents "
        "count by how much they matter."
    )
    return (
        f"{result.task}: {truth.decisive} states in which some agent's action matters, {found}; return over "
        f"{given.horizon} steps of {team}, {given.continuations} continuations or more{cost}. top-1: the agent with "
        f"the most credit matters most; tau: Kendall's, over the order of all agents.{rewards}"
    )
