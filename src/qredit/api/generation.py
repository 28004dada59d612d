"""`qredit generate`: language models write a credit function, the jail checks it, an artifact is left."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import qredit
from qredit.agents import ModelSettings, export_recording, open_model
from qredit.api.card import card
from qredit.api.checking import credit_files
from qredit.api.subjects import load_subject
from qredit.artifact import Artifact, save_artifact
from qredit.errors import ConfigurationError, RunFolderError
from qredit.graphs import Event, GenerationResult, GenerationSettings
from qredit.probes import Probes
from qredit.prompts import recording_path
from qredit.runs import Run, create_run, open_run
from qredit.sandbox import Verdict, open_jail
from qredit.states import load_states, save_states
from qredit.subject import Subject

if TYPE_CHECKING:
    from qredit.agents import ChatModel
    from qredit.sandbox import Jail

STATES = "states.npz"


@dataclass(frozen=True)
class Request:
    """What to generate, with which model and under which checks."""

    task: str
    """Name of a built-in task, or path of a task file."""
    model: str | None = None
    """Name of the model, or `replay` for the recorded replies of a built-in task."""
    base_url: str | None = None
    """Base URL of an OpenAI-compatible endpoint; comes before OPENAI_BASE_URL."""
    jail: str = "auto"
    """Jail that candidates run in."""
    sandbox_image: str | None = None
    """For the `docker` jail, the image with qredit in it; by default this machine's Python is mounted."""
    scale: Literal["sum_to_n", "raw"] = "sum_to_n"
    """Whether weights are normalised to sum to N."""
    igm: Literal["enforce", "relax"] = "enforce"
    """Whether negative weights are clamped at 0 or kept."""


@dataclass(frozen=True)
class Generated:
    """A finished generation."""

    run: Run
    """Its run folder."""
    artifact: Artifact
    """The credit function, ready for training."""
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
    resume: str | Path | None = None,
    record: Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_start: Callable[[Run, str], None] = lambda run, jail: None,
) -> Generated:
    """Generate a credit function for a task (QLLM, algorithm 1, part 1).

    Args:
        request: task, model, checks.
        settings: how many candidates, rounds and tries.
        sampling: sampling and transport settings; its model and URL are those of the request.
        resume: run to go on with; nothing that was answered is asked again.
        record: folder to write a recording of the answered calls to, once the run is finished.
        on_event: told of everything that happens.
        on_start: told of the run folder and the jail before the first call.

    Raises:
        JailUnavailableError: no jail works; nothing was asked and nothing executed.
        NothingAcceptedError, NoUsableReplyError: the model gave nothing that can be used.
        QreditError: whatever else went wrong; what was answered is kept in the run folder.
    """
    started = time.perf_counter()
    subject = load_subject(request.task)
    task = _task_of(subject)
    recording = recording_path(task.name)
    model = open_model(
        request.model,
        environ=os.environ,
        base_url=request.base_url,
        recording=recording if recording.exists() else None,
        settings=sampling,
        task=request.task,
    )
    with open_jail(request.jail, image=request.sandbox_image) as jail:
        run = _run_of(request, resume)
        on_start(run, jail.name)
        with run.writing():
            subject = _with_states_of(run, subject)
            result = asyncio.run(_ask(request, subject, model, jail, run, settings, on_event))
            artifact = _publish(request, subject, result, jail.name, run)
    if record is not None:
        export_recording(run, record)
    return Generated(run, artifact, result, jail.name, time.perf_counter() - started)


async def _ask(
    request: Request,
    subject: Subject,
    model: ChatModel,
    jail: Jail,
    run: Run,
    settings: GenerationSettings | None,
    on_event: Callable[[Event], None],
) -> GenerationResult:
    from qredit.graphs import generate as run_graph
    from qredit.sandbox import verify

    def check(source: str) -> Verdict:
        return verify(
            source,
            layout=subject.layout,
            n_agents=subject.n_agents,
            exchangeable=subject.exchangeable,
            states=subject.states,
            jail=jail,
            scale=request.scale,
            igm=request.igm,
        )

    return await run_graph(
        task=_task_of(subject),
        layout=subject.layout,
        states=subject.states,
        model=model,
        verify=check,
        run=run,
        settings=settings,
        scale=request.scale,
        igm=request.igm,
        on_event=on_event,
    )


def _publish(request: Request, subject: Subject, result: GenerationResult, jail: str, run: Run) -> Artifact:
    task = _task_of(subject)
    manifest: dict[str, Any] = {
        "kind": "credit",
        "task": task.name,
        "qredit": qredit.__version__,
        "form": result.verdict.form,
        "scale": request.scale,
        "igm": request.igm,
        "n_agents": subject.n_agents,
        "jail": jail,
        "probe_states": len(subject.states),
        "model": {
            "asked": request.model,
            "name": result.identity.model,
            "endpoint": result.identity.endpoint,
            "parameters": dict(result.identity.parameters),
        },
        "settings": dict(result.settings),
        "prompt_hashes": dict(result.prompt_hashes),
        "checks": {
            "graph_sha256": result.verdict.graph_sha256,
            "warnings": list(result.verdict.warnings),
            "vdn_difference": result.verdict.vdn_difference,
        },
        "spend": result.spend.to_json(),
        "chosen": result.chosen,
        "parents": list(result.parents),
    }
    files = credit_files(result.graph, result.source, subject)
    files["CARD.md"] = card(task, result, manifest).encode("utf-8", "replace")
    return save_artifact(run.path / "artifact", manifest=manifest, files=files)


def _run_of(request: Request, resume: str | Path | None) -> Run:
    checks = {"scale": request.scale, "igm": request.igm}
    if resume is None:
        return create_run("generate", Path(request.task).stem, {"task": request.task, **checks})
    run = open_run(resume, kind="generate")
    noted = run.record.get("settings")
    different = [name for name in checks if not isinstance(noted, dict) or noted.get(name) != checks[name]]
    if different:
        # The verdicts in the folder were found under the other ones.
        raise RunFolderError(
            f"run `{run.path}`",
            cause=f"it was started with another {' and '.join(f'`{name}`' for name in different)}",
            remedy="Resume it with the settings it was started with, or start a new run.",
        )
    return run


def _with_states_of(run: Run, subject: Subject) -> Subject:
    """The subject with the probe states that this run began with: a sampler may give others elsewhere."""
    path = run.path / STATES
    if not path.exists():
        save_states(path, subject.states)
        return subject
    states = load_states(path, size=subject.layout.size)
    return replace(subject, probes=Probes(states))


def _task_of(subject: Subject) -> qredit.Task:
    if subject.task is None:
        raise ConfigurationError(subject.name, cause="there is no task text", remedy="Give a task's name or its file.")
    return subject.task
