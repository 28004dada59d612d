"""`qredit rank`: language models write what a ranker reads, rank transitions, and potentials learn from it (LCA)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.agents.recording import FILE_NAME as RECORDING
from qredit.agents.recording import Drift, export_recording, load_recording
from qredit.api.generation import recorded_settings, with_probes_of
from qredit.api.models import budget_of, open_models
from qredit.api.opening import jail_beside
from qredit.api.ranking_settings import RankingSettings
from qredit.api.ranking_work import POTENTIALS, RankingWork
from qredit.api.subjects import load_subject
from qredit.graphs import Event, GenerationSettings
from qredit.graphs.ranking.reliability import Reliability
from qredit.graphs.trace import read_trace
from qredit.prompts import ranking_path
from qredit.runs import create_run, open_run
from qredit.task import load_task

if TYPE_CHECKING:
    from qredit.agents import ModelSettings
    from qredit.agents.team import Models
    from qredit.api.settings import Request
    from qredit.marl.potentials import Fit
    from qredit.runs import Run


@dataclass(frozen=True)
class Ranked:
    """A finished ranking."""

    run: Run
    """Its run folder; `rankings.jsonl` in it has every pair with its answers."""
    potentials: Path
    """Artifact of the kind `potentials`."""
    reliability: Reliability
    """How the ranker answered the probes with the chosen module."""
    fit: Fit
    """What held-out pairs say about the potentials."""
    calls: int
    """Answered calls, all sessions together."""
    drift: Drift | None
    """How far a replay's prompts are from the recorded ones; `None` if nothing was recorded."""
    seconds: float
    """Wall-clock seconds of this session."""


def rank(
    request: Request,
    *,
    ranking: RankingSettings | None = None,
    settings: GenerationSettings | None = None,
    sampling: ModelSettings | None = None,
    resume: str | Path | None = None,
    record: Path | None = None,
    recording: Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_start: Callable[[Run, str], None] = lambda run, jail: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranked:
    """From a task to potentials: guide and descriptions are written and tried, transitions ranked, models taught.

    Args:
        request: task, models, checks; the kind is `ranking`.
        ranking: how much is ranked; what has its default is taken from the run that goes on, or from the recording.
        settings: how many candidates and rounds; a replay with the defaults takes those of the recording.
        sampling: sampling and transport settings.
        resume: run to go on with; nothing that was answered is asked again.
        record: folder to write a recording of the answered calls to.
        recording: for `replay`, the recorded replies; by default those that ship with the task.
        on_event: told of everything that happens while modules are written.
        on_start: told of the run folder and the jail before the first call.
        on_progress: told of (prompts answered, prompts in all) of the full set.

    Raises:
        UnreliableRankerError: the probes say so; nothing was spent on the full set.
        NothingAcceptedError, NoUsableReplyError, BudgetSpentError: the models gave nothing that can be used.
        QreditError: whatever else went wrong; what was answered is kept in the run folder.
    """
    started = time.perf_counter()
    ranking, task = ranking or RankingSettings(), load_task(request.task)
    recording = ranking_path(task.name) / RECORDING if recording is None else recording
    asked_for = settings = settings or GenerationSettings()
    if request.model == "replay" and settings == GenerationSettings():
        settings = recorded_settings(recording)
    if request.model == "replay" and recording.is_file():
        ranking = ranking.after(load_recording(recording).ranking, where=f"the recording `{recording}`")
    if resume is not None:
        earlier = open_run(resume, kind="rank")
        ranking = ranking.after(earlier.record["settings"]["ranking"], where=f"the run `{earlier.path}`")
    if request.model != "human":
        budget_of(request.spending, with_ranker(open_models(request, sampling, recording=recording)))
    with jail_beside(request.jail, request.sandbox_image, lambda: load_subject(request.task)) as (jail, subject):
        fresh = {"task": request.task, "ranking": asdict(ranking)}
        run = create_run("rank", task.name, fresh) if resume is None else open_run(resume, kind="rank")
        models = with_ranker(open_models(request, sampling, recording=recording, human_folder=run.path / "human"))
        on_start(run, jail.name)
        if settings != asked_for:
            on_event(Event("settings", text=f"as recorded: K = {settings.candidates}, L = {settings.rounds}"))
        with run.writing():
            subject = with_probes_of(run, subject)
            work = RankingWork(request, ranking, subject, models, jail, run)
            program = work.write(settings, on_event, asked=request.model)
            answered = asyncio.run(work.rank(program, on_event, on_progress))
            fit = work.teach(program, answered)
    if record is not None:
        export_recording(run, record, ranking=asdict(ranking))
    lasted = time.perf_counter() - started
    return Ranked(run, run.path / POTENTIALS, answered.reliability, fit, answered.calls, _drift(run), lasted)


def with_ranker(models: Models) -> Models:
    """The models of a run that ranks: the coder's model ranks, too, unless another is named."""
    return models if models.ranker is not None else replace(models, ranker=models.coder)


def _drift(run: Run) -> Drift | None:
    calls = (record["prompt_differs"] for record in read_trace(run.trace_path) if record["type"] == "message")
    differs = [differs for differs in calls if differs is not None]
    return Drift(sum(differs), len(differs)) if differs else None
