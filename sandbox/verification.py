"""From a source that anyone may have written to a verdict: gate, tracing in the jail, contract checks in the jail.

This module runs on the host and believes nothing that a trace child says: a graph is opaque bytes that it hands to a
second child, and a failure is quoted text. The verdict is the second child's, which never sees Python. A failure of
the program under test is a `Rejected`; a failure of ours raises.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from qredit.layout import StateLayout
from qredit.sandbox.call import Call, line_in
from qredit.sandbox.gate.profile import CREDIT
from qredit.sandbox.inputs import packed_rows, packed_transitions, require_counts, wanted_forms
from qredit.sandbox.payloads import (
    MAX_REPORT_BYTES,
    MAX_TRACE_REPLY,
    TraceRefusal,
    TraceRequest,
    VerifyReport,
    VerifyRequest,
    read_trace_reply,
)
from qredit.sandbox.verdict import Accepted, Kind, Rejected, Stage, Verdict, quoted

if TYPE_CHECKING:
    from qredit.contracts import States
    from qredit.credit.schema import Form, Igm, Scale
    from qredit.sandbox.jails.jail import Jail, JobResult, Outcome

TRACE_SECONDS: Final = 20.0
"""Wall clock of a trace; an ordinary one takes 0.2 seconds."""
VERIFY_SECONDS: Final = 40.0
"""Wall clock of the contract checks."""

_STAGES: Final[dict[str, tuple[Stage, Kind]]] = {
    "trace": ("trace", "trace"),
    "unsupported": ("trace", "unsupported"),
    "graph": ("graph", "graph"),
    "contract": ("contract", "contract"),
}
"""Kind of a refusal by the tracer -> stage and kind of the verdict."""
_TRACE_ENDS: Final[dict[Outcome, str]] = {
    "timeout": "it ran for too long. Replace long Python loops by tensor operations",
    "output_limit": "its credit graph is larger than 200 KB. Replace Python loops by tensor operations, so that fewer "
    "operations are recorded",
    "killed": "the jail ended it: too much memory or time, or a call that is not allowed. Use small tensors, and only "
    "compute on the state",
    "silent_exit": "it ended without a result. Only compute on the arguments and return the result",
}
_KNOWN_GOOD: Final = """
import torch
def credit(state):
    first = state["{name}"].reshape(state["{name}"].shape[0], -1)
    return first[:, :1] * 0.0 + torch.ones(1, {n_agents})
"""


@dataclass(frozen=True)
class _Order(Call):
    """One call of `verify`, with its inputs checked."""

    layout: StateLayout
    n_agents: int
    states: bytes
    transitions: bytes
    scale: Scale
    igm: Igm
    exchangeable: bool
    forms: tuple[Form, ...]
    n_actions: int | None

    def trace(self, source: str) -> JobResult:
        """Execute a source in the jail."""
        request = TraceRequest(source, self.layout, self.n_agents, self.scale, self.igm, self.forms, self.n_actions)
        return self.jail.run("trace", request.to_bytes(), timeout_seconds=TRACE_SECONDS, output_limit=MAX_TRACE_REPLY)

    def verify(self, graph: bytes) -> JobResult:
        """Check a graph in the jail."""
        request = VerifyRequest(
            graph=graph,
            states=self.states,
            layout=self.layout,
            n_agents=self.n_agents,
            scale=self.scale,
            igm=self.igm,
            exchangeable=self.exchangeable,
            forms=self.forms,
            n_actions=self.n_actions,
            transitions=self.transitions,
        )
        return self.jail.run(
            "verify", request.to_bytes(), timeout_seconds=VERIFY_SECONDS, output_limit=MAX_REPORT_BYTES
        )

    def works(self) -> bool:
        """Whether the jail traces and accepts a plain credit function."""
        plain = replace(self, forms=("weights",))
        source = _KNOWN_GOOD.format(name=self.layout.fields[0].name, n_agents=self.n_agents)
        traced = plain.trace(source)
        graph = read_trace_reply(traced.output) if traced.outcome == "done" else None
        if not isinstance(graph, bytes):
            return False
        checked = plain.verify(graph)
        return checked.outcome == "done" and not VerifyReport.from_bytes(checked.output).stage


def verify(
    source: str | bytes,
    *,
    layout: StateLayout,
    n_agents: int,
    states: States,
    jail: Jail,
    scale: Scale = "sum_to_n",
    igm: Igm = "enforce",
    exchangeable: bool = False,
    forms: Collection[Form] | None = None,
    n_actions: int | None = None,
    transitions: States | None = None,
    gate: bool = True,
) -> Verdict:
    """Check one tensor program; thread-safe.

    Args:
        source: the module's text; bytes must be UTF-8.
        layout: the named fields of the global state.
        n_agents: `N`.
        states: states of rollouts, `[M, S]`, float32, `1 <= M <= 4096`; edge states are added to them.
        jail: where the candidate's Python and the checks run.
        scale: `sum_to_n` or `raw`; hashed with the graph.
        igm: `enforce` or `relax`; hashed with the graph.
        exchangeable: whether the agents are, so that a result which depends on an agent's number earns a warning; the
            layout must say which axes run over the agents.
        forms: which programs are wanted: `weights` (`credit(state)`), `general` (`tfcaf(agents_q, state)`), `shares`
            (`share(state, actions, next_state)`), `value` (`value(state)` or `reward(state, actions, next_state)`). A
            module with none or several of their functions is rejected. Without it all that give credit are wanted:
            weights, general and, with `n_actions`, shares.
        n_actions: how many actions an agent has. Without it no function of transitions is accepted, and `transitions`
            are of no use.
        transitions: transitions of rollouts, `[M', S + N + S]`, float32, `1 <= M' <= 4096`, as `pack_transitions` packs
            them. Functions of transitions are checked on them; without them on some made up from the states.
        gate: whether the syntax gate runs first; the layers behind it hold without it.

    Returns:
        `Accepted` with the credit graph, or `Rejected` with a message for the coder.

    Raises:
        ConfigurationError: the states, transitions, forms or numbers do not fit each other.
        JailError: the jail broke; says nothing about the source.
    """
    started = time.perf_counter()
    require_counts(layout, n_agents, n_actions)
    order = _Order(
        jail=jail,
        started=started,
        layout=layout,
        n_agents=n_agents,
        states=packed_rows(states, layout.size, "states"),
        transitions=packed_transitions(transitions, layout, n_agents, n_actions),
        scale=scale,
        igm=igm,
        exchangeable=exchangeable,
        forms=wanted_forms(forms, layout, n_agents, n_actions),
        n_actions=n_actions,
    )
    text = order.admitted(source, CREDIT, gate=gate)
    graph = text if isinstance(text, Rejected) else _trace(order, text)
    return graph if isinstance(graph, Rejected) else _judge(order, graph)


def _trace(order: _Order, source: str) -> bytes | Rejected:
    """The graph's bytes, unread, or why there are none."""
    result = order.trace(source)
    if result.outcome != "done":
        return order.stopped(result, "The function was stopped while it was traced", _TRACE_ENDS, order.works)
    reply = read_trace_reply(result.output)
    if isinstance(reply, bytes):
        return reply
    if isinstance(reply, TraceRefusal):
        return _refused(order, reply, source)
    return order.rejected(
        "trace", "trace", "The function ended its own tracing with a forged result. Only compute on the state."
    )


def _refused(order: _Order, refusal: TraceRefusal, source: str) -> Rejected:
    """A verdict from what the trace child says, quoted: the candidate may have written any of it."""
    stage, kind = _STAGES[refusal.kind]
    line, where = line_in(source, refusal)
    return order.rejected(stage, kind, f"{where}The function cannot be traced: {quoted(refusal.message)}", line)


def _judge(order: _Order, graph: bytes) -> Verdict:
    """Have a second child parse and check the graph."""
    result = order.verify(graph)
    if result.outcome != "done":
        result = order.verify(graph)
    if result.outcome != "done":
        # Twice. If a plain graph passes now, this graph is the cause; else the jail is.
        order.require_working(result, order.works)
        message = (
            "Checking the credit graph took more time or memory than the jail gives. Use smaller intermediate tensors "
            "and fewer operations."
        )
        return order.rejected("contract", "resource", message)
    report = VerifyReport.from_bytes(result.output)
    if report.stage:
        stage: Literal["graph", "contract"] = "graph" if report.stage == "graph" else "contract"
        kind: Kind = "resource" if report.kind == "resource" else stage
        return order.rejected(stage, kind, report.message)
    return Accepted(
        payload=graph,
        payload_sha256=hashlib.sha256(graph).hexdigest(),
        form=report.form,
        warnings=tuple(report.warnings),
        seconds=time.perf_counter() - order.started,
        vdn_difference=report.vdn_difference,
    )
