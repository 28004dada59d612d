"""Running the compiled graph: from its last checkpoint or from the start, and over the pauses for a human's replies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.graphs.engine import Engine
from qredit.graphs.events import Event, OnEvent
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import RunState, start

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from qredit.runs import Run

THREAD = "generate"
POLL_SECONDS = 0.5


async def pause(prompt: Path) -> None:
    """Interrupt the graph until the reply to this prompt is there; for `HumanModel`, inside a node.

    The value that LangGraph resumes with says nothing: the reply is in its file.
    """
    from langgraph.types import interrupt

    interrupt(str(prompt))


async def run_graph(
    engine: Engine, settings: GenerationSettings, run: Run, *, from_the_start: bool, on_event: OnEvent
) -> RunState:
    """Run the graph to its end and return its final state.

    Args:
        engine: the nodes.
        settings: of the generation.
        run: the run folder, with the checkpoints.
        from_the_start: begin anew on the reply store: the settings allow more than those that the checkpoints know.
        on_event: told when the run waits for a human.
    """
    from langgraph.types import Command

    from qredit.graphs.build import build_graph, recursion_limit
    from qredit.graphs.checkpoints import open_checkpoints, storage_trouble, stored_state

    config: RunnableConfig = {
        "configurable": {"thread_id": THREAD},
        "recursion_limit": recursion_limit(settings),
        "max_concurrency": settings.max_concurrency,
    }
    async with storage_trouble(run.path), open_checkpoints(run.path) as saver:
        app = build_graph(engine, settings, saver)
        before = await stored_state(app, config)
        # A spent budget may have grown: what was decided for want of it is decided again.
        if before is None or from_the_start or _was_out_of_budget(before):
            before = None
            await saver.setup()
            await saver.adelete_thread(THREAD)
        given: Any = None if before is not None else start()
        told: set[str] = set()
        while True:
            values: Any = await app.ainvoke(given, config, durability="sync")
            waiting = {found.id: Path(found.value) for found in values.get("__interrupt__", ())}
            if not waiting:
                break
            for prompt in sorted({str(p) for p in waiting.values()} - told):
                told.add(prompt)
                on_event(Event("waiting", text=prompt))
            given = Command(resume=dict.fromkeys(await _answered(waiting), True))
    final: RunState = values
    return final


def _was_out_of_budget(state: Mapping[str, Any]) -> bool:
    return state["stopped"] == "budget" or any(outcome["out_of_budget"] for outcome in state["outcomes"])


async def _answered(waiting: dict[str, Path]) -> list[str]:
    """Wait until some of these prompts have a reply; the interrupts that may go on."""
    from qredit.agents.human import read_reply

    while True:
        answered = [number for number, prompt in waiting.items() if read_reply(prompt) is not None]
        if answered:
            return answered
        await asyncio.sleep(POLL_SECONDS)
