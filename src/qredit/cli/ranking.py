"""`qredit rank`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from qredit.agents.settings import ModelSettings
from qredit.api.ranking_settings import RankingSettings
from qredit.api.settings import EvaluatorSettings, RankerSettings, Request, Spending
from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program
from qredit.cli.generation import show_estimate, show_event, show_start
from qredit.cli.options import DryRunOption, RecordOption, ResumeOption, TaskArgument, TrustEnvOption, with_settings
from qredit.graphs.settings import GenerationSettings

if TYPE_CHECKING:
    from qredit.api.ranking import Ranked


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    flattened = rank
    for parameter, kind in (
        ("evaluator", EvaluatorSettings),
        ("ranker", RankerSettings),
        ("spending", Spending),
        ("ranking", RankingSettings),
    ):
        flattened = with_settings(parameter, kind)(flattened)
    flattened = with_settings("settings", GenerationSettings, leave_out=("play_off", "selection", "selection_seed"))(
        flattened
    )
    flattened = with_settings("sampling", ModelSettings, fixed={"model": "unset"}, leave_out=("base_url",))(flattened)
    left_out = ("evaluator", "ranker", "spending", "kind", "scale", "igm", "truth_states")
    command(app, "rank")(with_settings("request", Request, fixed={"task": ""}, leave_out=left_out)(flattened))


def rank(
    task: TaskArgument,
    request: Request,
    settings: GenerationSettings,
    sampling: ModelSettings,
    evaluator: EvaluatorSettings,
    ranker: RankerSettings,
    spending: Spending,
    ranking: RankingSettings,
    dry_run: DryRunOption = False,
    trust_env: TrustEnvOption = False,
    resume: ResumeOption = None,
    record: RecordOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let language models rank what agents do, and teach potentials from it, whose differences are rewards (LCA)."""
    from qredit.api.ranking import rank as rank_all
    from qredit.api.ranking_estimate import estimate_ranking

    request = replace(request, task=task, evaluator=evaluator, ranker=ranker, spending=spending)
    if dry_run:
        found = estimate_ranking(request, ranking, settings, sampling=sampling)
        if json_output:
            print_json(found.to_json())
        else:
            show_estimate(found, settings)
        return
    ranked = rank_all(
        request,
        ranking=ranking,
        settings=settings,
        sampling=sampling,
        resume=resume,
        record=record,
        on_event=show_event,
        on_start=show_start,
        on_progress=show_progress,
    )
    if json_output:
        print_json(
            {
                "run": ranked.run.path,
                "potentials": ranked.potentials,
                "reliability": asdict(ranked.reliability),
                "fit": asdict(ranked.fit),
                "calls": ranked.calls,
                "drift": None if ranked.drift is None else asdict(ranked.drift),
                "seconds": round(ranked.seconds, 2),
            }
        )
        return
    show_ranked(ranked, task)


def show_progress(done: int, total: int) -> None:
    """A line for every tenth of the prompts."""
    if 10 * done // total > 10 * (done - 1) // total:
        err().print(plain(f"  ranked {done} of {total} prompts"))


def show_ranked(ranked: Ranked, task: str) -> None:
    """The end of a ranking."""
    fit, console = ranked.fit, out()
    console.print(plain("the ranker on probes with the chosen module:"))
    for line in ranked.reliability.lines().splitlines():
        console.print(plain(f"  {line}"), soft_wrap=True)
    accuracy = "no pair was decided" if fit.validation_accuracy is None else f"{100 * fit.validation_accuracy:.0f} %"
    console.print(
        plain(
            f"potentials from {fit.pairs} pairs; on {fit.validation_pairs} held-out ones: accuracy {accuracy}, "
            f"calibration error {fit.calibration_error:.2f}"
        ),
        soft_wrap=True,
    )
    recorded = "" if ranked.drift is None else f", recorded: they cost nothing; {ranked.drift}"
    console.print(plain(f"calls       {ranked.calls}{recorded}"), soft_wrap=True)
    console.print(plain(f"rankings    {ranked.run.path / 'rankings.jsonl'}"), soft_wrap=True)
    console.print(plain(f"potentials  {ranked.potentials}"), soft_wrap=True)
    hint = f"{program()} train {task} --algorithm ippo --rewards potentials --potentials {ranked.potentials}"
    console.print(plain(f"train       {hint}"), soft_wrap=True)
