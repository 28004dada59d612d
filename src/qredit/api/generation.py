"""`qredit generate`: language models write a program, the jail checks it, an artifact is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.agents import ModelSettings, export_recording
from qredit.agents.prices import prices_of
from qredit.agents.recording import load_recording
from qredit.agents.roles import first_request
from qredit.api.estimate import Estimate, estimate
from qredit.api.init import MARK
from qredit.api.models import budget_of, open_models
from qredit.api.opening import jail_beside, loading_meanwhile
from qredit.api.play_off import play_off_of, require_trainable
from qredit.api.publishing import publish
from qredit.api.scoring import scorer_of, with_true_credit
from qredit.api.settings import Request
from qredit.api.subjects import load_subject
from qredit.artifact import Artifact
from qredit.errors import RecordingError, TaskFileError
from qredit.graphs import Event, GenerationResult, GenerationSettings, Job
from qredit.graphs import generate as run_graph
from qredit.graphs.generation import brief_of
from qredit.graphs.identity import task_of
from qredit.graphs.kinds import Assignment, Kind, kind_named
from qredit.probes import load_probes, save_probes
from qredit.prompts import recording_path
from qredit.runs import Run, create_run, open_run
from qredit.task import load_task

if TYPE_CHECKING:
    from qredit.agents.team import Models
    from qredit.sandbox import Jail
    from qredit.subject import Subject
    from qredit.task import Task

PROBES = "probes.npz"


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
        settings: how many candidates, rounds and tries; a replay with the defaults takes those of the recording.
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
    task = load_task(request.task)
    kind = kind or kind_named(request.kind or task.kind)
    if recording is None:
        recording = recording_path(task.name, None if kind.name == task.kind else kind.name)
    settings = asked_for = settings or GenerationSettings()
    if request.model == "replay" and asked_for == GenerationSettings():
        settings = recorded_settings(recording)
    if settings.play_off:
        require_trainable(kind, task)
    if request.model != "human":  # whatever is wrong with models and budget comes out before there is a run folder
        budget_of(request.spending, open_models(request, sampling, recording=recording))
    with jail_beside(request.jail, request.sandbox_image, lambda: _loaded(request)) as (jail, subject):
        fresh = {"task": request.task}
        run = create_run("generate", task.name, fresh) if resume is None else open_run(resume, kind="generate")
        models = open_models(request, sampling, recording=recording, human_folder=run.path / "human")
        on_start(run, jail.name)
        if settings != asked_for:
            on_event(Event("settings", text=f"as recorded: K = {settings.candidates}, L = {settings.rounds}"))
        with run.writing():
            subject = with_probes_of(
                run, subject, probes, lambda s: with_true_credit(s, kind, request.truth_states, on_event)
            )
            job = job_of(request, kind, subject, models, jail=jail, settings=settings, run=run)
            result = asyncio.run(run_graph(job, run, settings=settings, on_event=loading_meanwhile(on_event)))
            artifact = publish(job, result, run, jail=jail.name, asked=request.model)
    if record is not None:
        export_recording(run, record)
    return Generated(run, artifact, result, jail.name, time.perf_counter() - started)


def recorded_settings(recording: Path) -> GenerationSettings:
    """The settings that a recording was made with; the defaults where there is none.

    Raises:
        RecordingError: it notes settings that this version does not have.
    """
    if not recording.is_file():
        return GenerationSettings()
    noted = load_recording(recording).settings
    unknown = sorted(set(noted) - {field.name for field in fields(GenerationSettings)})
    if unknown:
        raise RecordingError(
            f"recording `{recording}`",
            cause=f"it was made with settings that this qredit does not have: {', '.join(unknown)}",
            remedy="Use the version that made it, or record anew.",
        )
    return GenerationSettings(**noted)


def _loaded(request: Request) -> Subject:
    """The subject of a request, and in memory what the run will need."""
    subject = load_subject(request.task)
    _written(subject)
    import langgraph.graph  # noqa: F401 (takes a second, and so does the client)

    if request.model not in ("replay", "human"):
        import qredit.agents.chat_openai  # noqa: F401
    return subject


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
    kind = kind or kind_named(request.kind or _written(subject).kind)
    assignment = assignment_of(request, subject)
    scored = scorer_of(kind, subject) is not None or kind.scorer(assignment) is not None
    first = first_request(brief_of(kind, assignment, settings, scored=scored), candidate=1)
    if request.model is None or request.model in ("replay", "human"):
        return estimate(first, settings, {})
    models = open_models(request, sampling, recording=recording_path(subject.name))
    return estimate(first, settings, prices_of(models.identities, budget_of(request.spending, models).prices))


def _written(subject: Subject) -> Task:
    """The task of a subject, whose author has filled in what `qredit init` left open.

    Raises:
        TaskFileError: something is still to be filled in.
    """
    task = task_of(subject)
    texts = {"title": task.title, "description": task.description, "goal": task.goal, "reward": task.reward}
    texts |= {f"meaning of `{field.name}`": field.meaning for field in subject.layout.fields}
    open_entries = [name for name, text in texts.items() if MARK in text]
    if open_entries:
        raise TaskFileError(
            f"task `{task.name}`",
            cause=f"still to be filled in: {', '.join(open_entries)}",
            remedy=f"Write what stands behind `{MARK}` in the task file: the language models read it.",
        )
    return task


def job_of(
    request: Request,
    kind: Kind,
    subject: Subject,
    models: Models,
    *,
    jail: Jail,
    settings: GenerationSettings,
    run: Run,
) -> Job:
    """What the graph is to do for a request."""
    task, steps = task_of(subject), settings.play_off
    return Job(
        kind=kind,
        assignment=assignment_of(request, subject),
        models=models,
        jail=jail,
        budget=budget_of(request.spending, models),
        scorer=scorer_of(kind, subject),
        play_off=play_off_of(kind, task, subject.n_agents, steps, run) if steps else None,
    )


def assignment_of(request: Request, subject: Subject) -> Assignment:
    """What a program is written for, with the task's own defaults."""
    igm = request.igm or task_of(subject).igm
    return Assignment(subject, scale=request.scale, igm=igm)


def with_probes_of(
    run: Run,
    subject: Subject,
    given: Path | None = None,
    prepare: Callable[[Subject], Subject] = lambda subject: subject,
) -> Subject:
    """The subject with the probes that this run began with: a sampler may give others elsewhere.

    Args:
        run: the run folder.
        subject: the subject with the probes that a new run would begin with.
        given: file of other ones.
        prepare: what is done to the subject of a new run first.
    """
    path = run.path / PROBES
    fresh = not path.exists()
    source = given if fresh and given is not None and given.exists() else None if fresh else path
    if source is not None:
        size, n_agents, n_actions = subject.layout.size, subject.n_agents, subject.n_actions
        subject = replace(subject, probes=load_probes(source, size=size, n_agents=n_agents, n_actions=n_actions))
    elif fresh:
        subject = prepare(subject)
    if fresh:
        save_probes(path, subject.probes)
    return subject
