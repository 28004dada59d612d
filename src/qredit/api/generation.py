"""`qredit generate`: language models write a program, the jail checks it, an artifact is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qredit.agents import ModelSettings, export_recording
from qredit.agents.prices import prices_of
from qredit.agents.roles import first_request
from qredit.api.estimate import Estimate, estimate
from qredit.api.models import budget_of, open_models
from qredit.api.publishing import publish
from qredit.api.settings import EvaluatorSettings, Spending
from qredit.api.subjects import load_subject
from qredit.artifact import Artifact
from qredit.graphs import Event, GenerationResult, GenerationSettings, Job
from qredit.graphs import generate as run_graph
from qredit.graphs.generation import brief_of
from qredit.graphs.identity import task_of
from qredit.graphs.kinds import Assignment, Kind, kind_named
from qredit.probes import load_probes, save_probes
from qredit.prompts import recording_path
from qredit.runs import Run, create_run, open_run
from qredit.sandbox import open_jail

if TYPE_CHECKING:
    from qredit.agents.team import Models
    from qredit.graphs.kinds.kind import Scorer
    from qredit.subject import Subject

PROBES = "probes.npz"


@dataclass(frozen=True)
class Request:
    """What to generate, with which models and under which checks."""

    task: str
    """Name of a built-in task or of a member of a family, or path of a task file."""
    model: str | None = None
    """Name of the model; `replay` for the recorded replies of a built-in task, `human` to answer by files."""
    base_url: str | None = None
    """Base URL of an OpenAI-compatible endpoint; comes before OPENAI_BASE_URL."""
    kind: str | None = None
    """Kind of program; that of the task if `None`."""
    jail: str = "auto"
    """Jail that candidates run in."""
    sandbox_image: str | None = None
    """For the `docker` jail, the image with qredit in it; by default this machine's Python is mounted."""
    scale: Literal["sum_to_n", "raw"] = "sum_to_n"
    """Whether weights are normalised to sum to N."""
    igm: Literal["enforce", "relax"] | None = None
    """Whether negative weights are clamped at 0 or kept; as the task says if `None`."""
    evaluator: EvaluatorSettings = field(default_factory=EvaluatorSettings)
    """Model and sampling of the evaluator, where they differ."""
    spending: Spending = field(default_factory=Spending)
    """What may be spent."""


@dataclass(frozen=True)
class Generated:
    """A finished generation."""

    run: Run
    """Its run folder."""
    artifact: Artifact
    """The program; a credit function is ready for training."""
    result: GenerationResult
    """How it came to be."""
    jail: str
    """The jail that was used."""
    seconds: float
    """Wall-clock seconds of this session."""


def generate(
    request: Request,
    *,
    settings: GenerationSettings | None = None,
    sampling: ModelSettings | None = None,
    kind: Kind | None = None,
    resume: str | Path | None = None,
    record: Path | None = None,
    recording: Path | None = None,
    probes: Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_start: Callable[[Run, str], None] = lambda run, jail: None,
) -> Generated:
    """Generate a program for a task (QLLM, algorithm 1, part 1).

    Args:
        request: task, models, checks.
        settings: how many candidates, rounds and tries.
        sampling: sampling and transport settings; its model and URL are those of the request.
        kind: a kind of one's own, in place of the named one.
        resume: run to go on with; nothing that was answered is asked again.
        record: folder to write a recording of the answered calls to, once the run is finished.
        recording: for `replay`, the recorded replies; by default those that ship with the task.
        probes: file of the probes, in place of the task's.
        on_event: told of everything that happens.
        on_start: told of the run folder and the jail before the first call.

    Raises:
        JailUnavailableError: no jail works; nothing was asked and nothing executed.
        NothingAcceptedError, NoUsableReplyError, BudgetSpentError: the model gave nothing that can be used.
        QreditError: whatever else went wrong; what was answered is kept in the run folder.
    """
    started = time.perf_counter()
    settings = settings or GenerationSettings()
    subject = load_subject(request.task)
    task = task_of(subject)
    kind = kind or kind_named(request.kind or task.kind)
    if recording is None:
        recording = recording_path(task.name, None if kind.name == task.kind else kind.name)
    if request.model != "human":  # whatever is wrong with models and budget comes out before there is a run folder
        budget_of(request.spending, open_models(request, sampling, recording=recording))
    with open_jail(request.jail, image=request.sandbox_image) as jail:
        run = (
            create_run("generate", task.name, {"task": request.task})
            if resume is None
            else open_run(resume, kind="generate")
        )
        models = open_models(request, sampling, recording=recording, human_folder=run.path / "human")
        on_start(run, jail.name)
        with run.writing():
            subject = with_probes_of(run, subject, probes)
            job = job_of(request, kind, subject, models, jail=jail, settings=settings, run=run)
            result = asyncio.run(run_graph(job, run, settings=settings, on_event=on_event))
            artifact = publish(job, result, run, jail=jail.name, asked=request.model)
    if record is not None:
        export_recording(run, record)
    return Generated(run, artifact, result, jail.name, time.perf_counter() - started)


def estimate_generation(
    request: Request,
    *,
    settings: GenerationSettings | None = None,
    sampling: ModelSettings | None = None,
    kind: Kind | None = None,
) -> Estimate:
    """What a generation would take; nothing is asked, and no model need be named.

    Raises:
        QreditError: the request cannot be carried out as it is.
    """
    settings = settings or GenerationSettings()
    subject = load_subject(request.task)
    kind = kind or kind_named(request.kind or task_of(subject).kind)
    assignment = assignment_of(request, subject)
    scored = _scorer(kind, subject) is not None or kind.scorer(assignment) is not None
    first = first_request(brief_of(kind, assignment, settings, scored=scored), candidate=1)
    if request.model is None or request.model in ("replay", "human"):
        return estimate(first, settings, {})
    models = open_models(request, sampling, recording=recording_path(subject.name))
    return estimate(first, settings, prices_of(models.identities, budget_of(request.spending, models).prices))


def job_of(
    request: Request,
    kind: Kind,
    subject: Subject,
    models: Models,
    *,
    jail: Any,
    settings: GenerationSettings,
    run: Run,
) -> Job:
    """What the graph is to do for a request."""
    from qredit.api.play_off import play_off_of

    return Job(
        kind=kind,
        assignment=assignment_of(request, subject),
        models=models,
        jail=jail,
        budget=budget_of(request.spending, models),
        scorer=_scorer(kind, subject),
        play_off=play_off_of(kind, subject, settings.play_off, run) if settings.play_off else None,
    )


def assignment_of(request: Request, subject: Subject) -> Assignment:
    """What a program is written for, with the task's own defaults."""
    igm = request.igm or task_of(subject).igm
    return Assignment(subject, scale=request.scale, igm=igm)


def with_probes_of(run: Run, subject: Subject, given: Path | None = None) -> Subject:
    """The subject with the probes that this run began with: a sampler may give others elsewhere."""
    path = run.path / PROBES
    if not path.exists():
        if given is not None and given.exists():
            subject = replace(subject, probes=load_probes(given, size=subject.layout.size, n_agents=subject.n_agents))
        save_probes(path, subject.probes)
        return subject
    return replace(subject, probes=load_probes(path, size=subject.layout.size, n_agents=subject.n_agents))


def _scorer(kind: Kind, subject: Subject) -> Scorer | None:
    """The score that the task's simulator gives, where it has one of its own: can a matrix game be represented?"""
    task = subject.task
    if kind.name != "general" or task is None or task.environment is None or task.environment.adapter != "matrix":
        return None
    from qredit.graphs.kinds import Score
    from qredit.prompts import figure
    from qredit.sandbox import Accepted

    game = task.environment.id

    def score(accepted: Accepted) -> Score:
        from qredit.credit import parse_graph
        from qredit.marl.payoff_fit import payoff_fit

        fit = payoff_fit(parse_graph(accepted.payload), game, seed=0)
        return Score(fit, f"score: {figure(fit)} (R squared of the best fit of all payoffs of the game; 1 is exact)")

    return score
