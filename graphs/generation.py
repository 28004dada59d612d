"""`generate`: from a task to an accepted program (QLLM, section 4.2 and algorithm 1, part 1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qredit.agents.budget import Budget
from qredit.agents.messages import ChatModel
from qredit.agents.roles import Brief
from qredit.agents.store import FILE_NAME as REPLIES
from qredit.agents.store import StoredModel
from qredit.agents.team import Models
from qredit.agents.telemetry import keep_to_this_machine
from qredit.errors import QreditError, StorageError
from qredit.graphs.candidates import Candidates
from qredit.graphs.engine import Engine, PlayOff, Trial
from qredit.graphs.events import Event, OnEvent, ignore
from qredit.graphs.identity import check_identity, generation_identity, task_of
from qredit.graphs.judging import Judge
from qredit.graphs.kinds.kind import Assignment, Kind, Scorer, template_values
from qredit.graphs.results import GenerationResult
from qredit.graphs.running import run_graph
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.story import Story
from qredit.graphs.summary import result_of, spend_of
from qredit.graphs.trace import Trace
from qredit.prompts import template_hashes

if TYPE_CHECKING:
    from qredit.runs import Run
    from qredit.sandbox import Jail


@dataclass(frozen=True)
class Job:
    """What is to be written, by whom, and how it is judged."""

    kind: Kind
    """What kind of program."""
    assignment: Assignment
    """What it is for."""
    models: Models | ChatModel
    """Who is asked."""
    jail: Jail
    """Where candidates run."""
    budget: Budget | None = None
    """What may be spent; no limit if `None`."""
    scorer: Scorer | None = None
    """The selection score, in place of the kind's own."""
    play_off: PlayOff | None = None
    """Short trainings with the candidates, if the evaluator is to see any."""
    trial: Trial | None = None
    """What else the evaluator is to see of the candidates."""

    @property
    def score(self) -> Scorer | None:
        """The selection score, where there is one."""
        return self.scorer or self.kind.scorer(self.assignment)

    def brief(self, settings: GenerationSettings) -> Brief:
        """What every request of this job shares.

        Raises:
            ConfigurationError: the subject has no task text.
        """
        return brief_of(self.kind, self.assignment, settings, scored=self.score is not None)


def brief_of(kind: Kind, assignment: Assignment, settings: GenerationSettings, *, scored: bool) -> Brief:
    """What every request for a program of this kind shares.

    Raises:
        ConfigurationError: the subject has no task text.
    """
    return Brief(
        task=task_of(assignment.subject),
        layout=assignment.subject.layout,
        candidates=settings.candidates,
        templates=kind.templates,
        values=template_values(assignment, scored=scored),
        noun=kind.noun,
        scenes=kind.scenes(assignment),
    )


async def generate(
    job: Job, run: Run, *, settings: GenerationSettings | None = None, on_event: OnEvent = ignore
) -> GenerationResult:
    """Let language models write a program.

    In the folder of an interrupted run it goes on and asks nothing again that was answered. The caller holds the
    folder's lock (`run.writing()`).

    Args:
        job: what is to be written, by whom, and how it is judged.
        run: the run folder.
        settings: numbers of candidates, rounds and tries, and who selects.
        on_event: told of all that happens.

    Raises:
        NothingAcceptedError: all candidates failed, twice.
        NoUsableReplyError: the evaluator gave no usable verdict.
        BudgetSpentError: the budget was spent before any candidate was accepted.
        RunFolderError: the folder holds a run with other settings, prompts, task or model.
        QreditError: what the endpoint, the jail or the disk raised; everything answered is kept.
    """
    keep_to_this_machine()
    settings = settings or GenerationSettings()
    models = Models.of(job.models)
    identity = generation_identity(job.kind, job.assignment, models.identities, settings)
    same = check_identity(run, identity)
    with (
        closing(StoredModel(models, run.path / REPLIES, budget=job.budget)) as store,
        closing(Trace(run.trace_path)) as trace,
    ):
        brief = job.brief(settings)
        _tell_start(trace, job, brief, identity, settings)
        candidates = Candidates(run.path / "candidates")
        engine = Engine(
            brief=brief,
            settings=settings,
            functions=job.kind.functions,
            model=store,
            judge=Judge(job.kind, job.assignment, job.jail, candidates, job.score),
            candidates=candidates,
            story=Story(trace, on_event),
            play_off=job.play_off if settings.play_off else None,
            trial=job.trial,
        )
        async with ending_cleanly(store, trace, run, on_event):
            final = await run_graph(engine, settings, run, from_the_start=not same, on_event=on_event)
            result = await result_of(final, engine, store, settings, run, job.kind)
        _tell_result(result, trace, on_event)
        return result


@asynccontextmanager
async def ending_cleanly(store: StoredModel, trace: Trace, run: Run, on_event: OnEvent) -> AsyncIterator[None]:
    """However the block ends: no answer is lost, the reason is told, and what was spent stands in `run.json`."""
    try:
        yield
    except QreditError as error:
        if store.in_flight:
            on_event(Event("stopping", text=f"waiting for {store.in_flight} calls in flight, whose answers are kept"))
        await store.drain()
        cause = store.failure or error  # siblings may have hit the same wall first
        with suppress(StorageError):  # a full disk must not hide the reason
            trace.add_error(cause.family, str(cause))
            run.update(spend=spend_of(store).to_json())
        raise cause from None
    except BaseException:
        await store.abandon()
        with suppress(StorageError):
            run.update(spend=spend_of(store).to_json())
        raise
    run.update(spend=spend_of(store).to_json())


def _tell_start(trace: Trace, job: Job, brief: Brief, identity: dict[str, Any], settings: GenerationSettings) -> None:
    trace.add(
        "run",
        "run",
        kind=job.kind.name,
        task=brief.task.model_dump(mode="json"),
        layout=brief.layout.to_json(),
        scale=job.assignment.scale,
        igm=job.assignment.igm,
        settings=settings.defining(),
        scenes=brief.scenes,
        prompt_hashes=dict(template_hashes(job.kind.templates)),
        models={
            role: {
                "gen_ai.request.model": model["model"],
                "server.address": model["endpoint"],
                "parameters": model["parameters"],
            }
            for role, model in identity["models"].items()
        },
    )


def _tell_result(result: GenerationResult, trace: Trace, on_event: OnEvent) -> None:
    drift = result.drift
    trace.add(
        "result",
        "result",
        chosen=result.chosen,
        payload_sha256=result.verdict.payload_sha256,
        score=result.score,
        stopped=result.stopped,
        calls=result.spend.calls,
        **{
            "gen_ai.usage.input_tokens": result.spend.usage.input_tokens,
            "gen_ai.usage.output_tokens": result.spend.usage.output_tokens,
        },
        prompts_differing=drift.differing if drift else None,
        prompts=drift.total if drift else None,
    )
    if drift is not None:
        on_event(Event("drift", text=str(drift)))
    on_event(Event("finished", sha=result.chosen))
