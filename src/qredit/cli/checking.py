"""`qredit check`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qredit.api.watching import files_as_saved
from qredit.cli.console import JsonOption, command, out, plain, print_json
from qredit.cli.options import JailOption, SandboxImageOption, TrustEnvOption
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.api.checking import CheckResult
    from qredit.subject import Subject


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "check")(check)


def check(
    files: Annotated[list[Path], typer.Argument(help="Python files, each with `credit`, `tfcaf` or `share`.")],
    task: Annotated[str | None, typer.Option(help="Task (name or YAML file) that the functions are for.")] = None,
    agents: Annotated[int | None, typer.Option(help="Without a task: number of agents N.")] = None,
    state_dim: Annotated[int | None, typer.Option(help="Without a task: length S of the flat state.")] = None,
    actions: Annotated[
        int | None, typer.Option(help="Without a task: actions per agent, for `share` functions.")
    ] = None,
    states: Annotated[Path | None, typer.Option(help="Without a task: `.npz` with real states [M, S].")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Kind of program, such as describe; default: any function that gives credit."),
    ] = None,
    figures: Annotated[
        bool,
        typer.Option("--figures", help="Show what an evaluator is shown: credit, sensitivity, scenes, score."),
    ] = False,
    gate: Annotated[bool, typer.Option(help="Run the syntax gate before the jail.")] = True,
    jail: JailOption = "auto",
    sandbox_image: SandboxImageOption = None,
    igm: Annotated[
        Literal["enforce", "relax"], typer.Option(help="Whether negative weights are clamped at 0 or kept.")
    ] = "enforce",
    scale: Annotated[
        Literal["sum_to_n", "raw"], typer.Option(help="Whether weights are normalised to sum to N.")
    ] = "sum_to_n",
    save: Annotated[
        Path | None, typer.Option(help="Folder to write an artifact to, ready for training, if the file is accepted.")
    ] = None,
    trust_env: TrustEnvOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check a file again on each save, until Ctrl-C.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Check credit functions: gate, jail, tracing, contract. Exit 0: all accepted; 1: some rejected; 2: an error."""
    from qredit import api

    subject = _subject(task, agents, state_dim, actions, states)
    if watch and save is not None:
        raise ConfigurationError(
            "--watch and --save", cause="an artifact is written once", remedy="Save the finished file without --watch."
        )
    verdicts: dict[str, str] = {}
    for result in api.check(
        files_as_saved(files) if watch else files,
        subject,
        kind=kind,
        figures=figures,
        jail=jail,
        sandbox_image=sandbox_image,
        igm=igm,
        scale=scale,
        gate=gate,
        save=save,
    ):
        verdicts[result.file] = result.verdict  # the last one of a file that was saved several times
        if json_output:
            print_json(result)
        else:
            _show(result)
    found = set(verdicts.values())
    raise typer.Exit(2 if "error" in found else 1 if "rejected" in found else 0)


def _subject(
    task: str | None, agents: int | None, state_dim: int | None, actions: int | None, states: Path | None
) -> Subject:
    from qredit.api.subjects import flat_subject, load_subject

    sizes = {agents, state_dim, actions, states}
    if task is not None and sizes == {None}:
        return load_subject(task)
    if task is None and agents is not None and state_dim is not None:
        return flat_subject(n_agents=agents, state_dim=state_dim, n_actions=actions, states_path=states)
    raise ConfigurationError(
        "what are the functions for",
        cause="give either --task, or --agents and --state-dim",
        remedy="For example `--task lbf-5x5-2p-1f`, or `--agents 3 --state-dim 24 --states my_states.npz`.",
    )


def _show(result: CheckResult) -> None:
    console = out()
    style = {"accepted": "bold green", "rejected": "bold yellow", "error": "bold red"}[result.verdict]
    where = f", line {result.line}" if result.line is not None else ""
    stage = f" ({result.stage}, {result.kind}{where})" if result.stage else ""
    head = plain(result.file) + plain(": ") + plain(result.verdict, style) + plain(f"{stage} {result.seconds:.2f} s")
    console.print(head, soft_wrap=True)
    if result.message:
        console.print(plain(f"  {result.message}"), soft_wrap=True)
    for warning in result.warnings:
        console.print(plain(f"  warning: {warning}"), soft_wrap=True)
    if result.figures:
        console.print(plain(textwrap.indent(result.figures, "  ")), soft_wrap=True)
    if result.graph_sha256:
        console.print(plain(f"  credit graph {result.graph_sha256}"), soft_wrap=True)
