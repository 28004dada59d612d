"""`generate`: from a task to an accepted credit function (QLLM, section 4.2 and algorithm 1, part 1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING, Any

from qredit.agents.messages import ChatModel
from qredit.agents.roles import Brief
from qredit.agents.store import FILE_NAME as REPLIES
from qredit.agents.store import StoredModel
from qredit.agents.telemetry import keep_to_this_machine
from qredit.errors import QreditError, StorageError
from qredit.graphs.candidates import Candidates
from qredit.graphs.describe import Describe, describe_credit
from qredit.graphs.engine import Engine, Verify
from qredit.graphs.events import Event, OnEvent, ignore
from qredit.graphs.identity import check_identity, generation_identity
from qredit.graphs.results import GenerationResult
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import RunState, start
from qredit.graphs.story import Story
from qredit.graphs.summary import result_of, spend_of
from qredit.graphs.trace import Trace
from qredit.prompts import template_hashes

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from qredit.contracts import States
    from qredit.credit.schema import Igm, Scale
    from qredit.layout import StateLayout
    from qredit.runs import Run
    from qredit.task import Task


async def generate(
    *,
    task: Task,
    layout: StateLayout,
    states: States,
    model: ChatModel,
    verify: Verify,
    run: Run,
    settings: GenerationSettings | None = None,
    scale: Scale = "sum_to_n",
    igm: Igm = "enforce",
    on_event: OnEvent = ignore,
    describe: Describe | None = None,
    fingerprint: Callable[[str], str] | None = None,
) -> GenerationResult:
    """Let language models write a credit function.

    In the folder of an interrupted run it goes on and asks nothing again that was answered. The caller holds the
    folder's lock (`run.writing()`).

    Args:
        task, layout: the task text and the fields of its global state.
        states: probe states `[M, S]`, for the figures that the evaluator is shown.
        model: what answers.
        verify: checks a source; called in threads, several at once.
        run: the run folder.
        scale, igm: what becomes of the weights, as `verify` checks them: the models are told.
        settings, on_event: numbers of candidates, rounds and tries; what is told of all that happens.
        describe: figures about an accepted candidate; by default `describe_credit(states)`.
        fingerprint: equal for sources that compute the same; by default the sandbox's `normalised_sha256`.

    Raises:
        NothingAcceptedError: all candidates failed, twice.
        NoUsableReplyError: the evaluator gave no usable verdict.
        RunFolderError: the folder holds a run with other settings, prompts, task or model.
        QreditError: what the endpoint, the jail or the disk raised; everything answered is kept.
    """
    keep_to_this_machine()
    settings = settings or GenerationSettings()
    check_identity(run, generation_identity(task, layout, states, model.identity, settings))
    with closing(StoredModel(model, run.path / REPLIES)) as store, closing(Trace(run.trace_path)) as trace:
        _tell_start(trace, task, layout, model, settings)
        engine = Engine(
            brief=Brief(task, layout, settings.candidates, scale, igm),
            settings=settings,
            model=store,
            verify=verify,
            describe=describe or describe_credit(states),
            fingerprint=fingerprint or _default_fingerprint(),
            candidates=Candidates(run.path / "candidates"),
            story=Story(trace, on_event),
        )
        async with _ending_cleanly(store, trace, run, on_event):
            final = await _run_graph(engine, settings, run)
            result = await result_of(final, engine, store, settings, run)
        _tell_result(result, trace, on_event)
        return result


async def _run_graph(engine: Engine, settings: GenerationSettings, run: Run) -> RunState:
    from qredit.graphs.build import build_graph, recursion_limit
    from qredit.graphs.checkpoints import open_checkpoints, storage_trouble, stored_state

    config: RunnableConfig = {
        "configurable": {"thread_id": "generate"},
        "recursion_limit": recursion_limit(settings),
        "max_concurrency": settings.max_concurrency,
    }
    async with storage_trouble(run.path), open_checkpoints(run.path) as saver:
        app = build_graph(engine, settings, saver)
        before = await stored_state(app, config)
        if before is None:
            await saver.setup()
            await saver.adelete_thread("generate")
        values: Any = await app.ainvoke(None if before is not None else start(), config, durability="sync")
    final: RunState = values
    return final


@asynccontextmanager
async def _ending_cleanly(store: StoredModel, trace: Trace, run: Run, on_event: OnEvent) -> AsyncIterator[None]:
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


def _tell_start(trace: Trace, task: Task, layout: StateLayout, model: ChatModel, settings: GenerationSettings) -> None:
    identity = model.identity
    trace.add(
        "run",
        "run",
        task=task.model_dump(mode="json"),
        layout=layout.to_json(),
        settings=settings.defining(),
        prompt_hashes=dict(template_hashes()),
        **{"gen_ai.request.model": identity.model, "server.address": identity.endpoint},
        parameters=dict(identity.parameters),
    )


def _tell_result(result: GenerationResult, trace: Trace, on_event: OnEvent) -> None:
    drift = result.drift
    trace.add(
        "result",
        "result",
        chosen=result.chosen,
        graph_sha256=result.verdict.graph_sha256,
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


def _default_fingerprint() -> Callable[[str], str]:
    from qredit.sandbox.gate.normalise import normalised_sha256

    return normalised_sha256
