"""The graph: who speaks when.

begin -> candidate x K (Send) -> collect -> evaluate -> begin ... -> end
                                    |                     ^
                                    +---------------------+   nothing new to choose from, or one fresh round

The end comes after round L, when the score stops rising, or when the budget is spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from qredit.graphs.ballot import ballot_of
from qredit.graphs.engine import Engine
from qredit.graphs.settings import GenerationSettings
from qredit.graphs.state import Ask, RunState, of_round

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

STEPS_PER_ROUND = 4


def build_graph(
    engine: Engine, settings: GenerationSettings, checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[RunState, None, RunState, RunState]:
    """Compile the graph around an engine."""

    def fan_out(state: RunState) -> list[Send]:
        chosen = state["choices"][-1] if state["choices"] else None
        failed = [o for o in of_round(state["outcomes"], state["round"] - 1) if o["status"] != "accepted"]
        return [
            Send("candidate", Ask(round=state["round"], candidate=k, chosen=chosen, failed=failed))
            for k in range(1, settings.candidates + 1)
        ]

    def after_collect(state: RunState) -> Literal["evaluate", "begin", "__end__"]:
        ended = bool(state["choices"]) and state["choices"][-1]["round"] == state["round"]
        if not ended and ballot_of(state, engine.judge).has_new:
            return "evaluate"
        return after_round(state)

    def after_round(state: RunState) -> Literal["begin", "__end__"]:
        return "begin" if state["completed"] < settings.writing_rounds and not state["stopped"] else "__end__"

    graph = StateGraph(RunState)
    graph.add_node("begin", engine.begin)
    graph.add_node("candidate", engine.candidate, input_schema=Ask)
    graph.add_node("collect", engine.collect)
    graph.add_node("evaluate", engine.evaluate)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", fan_out, ["candidate"])
    graph.add_edge("candidate", "collect")
    graph.add_conditional_edges("collect", after_collect, ["evaluate", "begin", END])
    graph.add_conditional_edges("evaluate", after_round, ["begin", END])
    return graph.compile(checkpointer=checkpointer)


def recursion_limit(settings: GenerationSettings) -> int:
    """Steps that a run of these settings can take at most: all rounds, the fresh one, and a margin."""
    return STEPS_PER_ROUND * (settings.writing_rounds + 1) + 4
