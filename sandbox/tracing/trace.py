"""From the text of a tensor program to its credit graph. Runs inside the jail's child: it executes the text.

`record` runs the function at two batch sizes and keeps the operations that both have in common, with writes into own
temporaries turned into pure operations and loops unrolled; `write` writes them as an op list, and `parse_graph` checks
it like a stranger's. Nothing of Python survives into the graph: no hook, no `autograd.Function`, no closure.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from qredit.credit import GraphError, interpret, parse_graph
from qredit.credit.schema import Header, Igm, Scale
from qredit.layout import StateField, StateLayout
from qredit.sandbox.functions import default_forms
from qredit.sandbox.tracing.candidate import load_candidate
from qredit.sandbox.tracing.failure import CandidateCode, Place, TraceFailure
from qredit.sandbox.tracing.record import record, require_same
from qredit.sandbox.tracing.warm import BROKEN_SOURCES, SOURCES
from qredit.sandbox.tracing.write import write_graph

__all__ = ["TraceFailure", "trace_source", "warm_up"]


def trace_source(
    source: str,
    layout: StateLayout,
    n_agents: int,
    *,
    scale: Scale,
    igm: Igm,
    n_actions: int | None = None,
    forms: Collection[str] | None = None,
) -> bytes:
    """Execute a module's text and write its function as a credit graph.

    Args:
        source: a module that defines one function of a wanted form, see `FUNCTIONS`. A state is a dictionary of
            tensors by the names of the layout, or the flat tensor `[B, S]`, whichever the function runs with.
        layout: the fields of the flat state.
        n_agents: `N`.
        scale: written into the graph's header.
        igm: written into the graph's header.
        n_actions: how many actions an agent has; without it, functions of transitions are refused.
        forms: which forms are wanted; without it, those that give credit.

    Returns:
        The graph as canonical JSON, which `parse_graph` accepts.

    Raises:
        TraceFailure: the source cannot become a credit graph.
        JailError: a library was loaded too late: our fault, not the source's.
    """
    wanted = default_forms(n_actions) if forms is None else forms
    candidate = load_candidate(source, layout, n_agents, wanted, n_actions)
    recording = record(candidate)
    recorded = write_graph(recording, candidate.form, source)
    header = Header(
        form=candidate.form,
        scale=scale,
        igm=igm,
        n_agents=n_agents,
        state_size=candidate.example[-1].shape[1],
        has_bias=len(recorded.outputs) == 2,
    )
    data = recorded.to_bytes(header)
    try:
        graph = parse_graph(data)
    except GraphError as error:
        node = re.match(r"node n(\d+) ", error.what)
        place = Place(source, recorded.lines[int(node[1])] if node else None)
        raise TraceFailure("graph", f"{place}{error.cause}. {error.remedy}", place.line) from None
    *values, state = candidate.example
    with CandidateCode(source):
        require_same(candidate, interpret(graph, state=state, agents_q=values[0] if values else None))
    return data


def warm_up() -> None:
    """Trace functions of every kind, good and broken, so that nothing is left to import when no file can be opened."""
    for source in SOURCES:
        trace_source(source, _WARM_LAYOUT, 3, scale="sum_to_n", igm="enforce")
    for source in BROKEN_SOURCES:
        try:
            trace_source(source, _WARM_LAYOUT, 3, scale="sum_to_n", igm="enforce")
        except TraceFailure:
            continue
        raise AssertionError(f"accepted a broken function:\n{source}")


_WARM_LAYOUT = StateLayout(
    (
        StateField("agent_position", (3, 2), "cells", 0.0, 4.0, "Row and column of each agent."),
        StateField("agent_level", (3,), "level", 1.0, 3.0, "Level of each agent."),
        StateField("food_position", (2, 2), "cells", -1.0, 4.0, "Row and column of each food, -1 once it is gone."),
        StateField("food_level", (2,), "level", 0.0, 6.0, "Level of each food."),
        StateField("last_action", (3,), "index", 0.0, 5.0, "Each agent's last action."),
    )
)
