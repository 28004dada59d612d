"""From a source that anyone may have written to a verdict: gate, tracing in the jail, contract checks in the jail.

This module runs on the host and believes nothing that a trace child says: a graph is opaque bytes that it hands to a
second child, and a failure is quoted text. The verdict is the second child's, which never sees Python. A failure of
the program under test is a `Rejected`; a failure of ours raises.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from qredit.errors import ConfigurationError, JailError
from qredit.layout import StateLayout
from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.text import decode
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
    from qredit.credit.schema import Igm, Scale
    from qredit.sandbox.jails.jail import Jail, JobResult, Outcome

TRACE_SECONDS: Final = 20.0
"""Wall clock of a trace; an ordinary one takes 0.2 seconds."""
VERIFY_SECONDS: Final = 40.0
"""Wall clock of the contract checks."""
MAX_ACTIONS = 10_000
"""Most actions of an agent."""
MAX_STATES: Final = 4096
"""Most probe states in one call."""

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
    "silent_exit": "it ended without a result. Only compute on the state and return the weights",
}
_KNOWN_GOOD: Final = """
import torch
def credit(state):
    first = state["{name}"].reshape(state["{name}"].shape[0], -1)
    return first[:, :1] * 0.0 + torch.ones(1, {n_agents})
"""


@dataclass(frozen=True)
class _Order:
    """One call of `verify`, with its inputs checked."""

    layout: StateLayout
    n_agents: int
    states: bytes
    jail: Jail
    scale: Scale
    igm: Igm
    exchangeable: bool
    n_actions: int | None
    started: float

    def rejected(self, stage: Stage, kind: Kind, message: str, line: int | None = None) -> Rejected:
        """A verdict with the time that has passed."""
        return Rejected(stage, kind, message, line, time.perf_counter() - self.started)

    def trace(self, source: str) -> JobResult:
        """Execute a source in the jail."""
        request = TraceRequest(source, self.layout, self.n_agents, self.scale, self.igm, self.n_actions)
        return self.jail.run("trace", request.to_bytes(), timeout_seconds=TRACE_SECONDS, output_limit=MAX_TRACE_REPLY)

    def verify(self, graph: bytes) -> JobResult:
        """Check a graph in the jail."""
        request = VerifyRequest(
            graph, self.states, self.layout, self.n_agents, self.scale, self.igm, self.exchangeable, self.n_actions
        )
        return self.jail.run(
            "verify", request.to_bytes(), timeout_seconds=VERIFY_SECONDS, output_limit=MAX_REPORT_BYTES
        )


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
    n_actions: int | None = None,
    gate: bool = True,
) -> Verdict:
    """Check one credit function; thread-safe.

    Args:
        source: the module's text; bytes must be UTF-8.
        layout: the named fields of the global state.
        n_agents: `N`.
        states: states of rollouts, `[M, S]`, float32, `1 <= M <= 4096`; edge states are added to them.
        jail: where the candidate's Python and the checks run.
        scale: `sum_to_n` or `raw`; hashed with the graph.
        igm: `enforce` or `relax`; hashed with the graph.
        exchangeable: whether the agents are, so that credit which depends on an agent's number earns a warning; the
            layout must say which axes run over the agents.
        n_actions: how many actions an agent has. With it, `share(state, actions, next_state)` is accepted too: shares
            of the team reward, for policy gradients. Without it, such a function is rejected.
        gate: whether the syntax gate runs first; the layers behind it hold without it.

    Returns:
        `Accepted` with the credit graph, or `Rejected` with a message for the coder.

    Raises:
        ConfigurationError: the states or the number of agents do not fit the layout.
        JailError: the jail broke; says nothing about the source.
    """
    started = time.perf_counter()
    if n_actions is not None and not 1 <= n_actions <= MAX_ACTIONS:
        raise ConfigurationError(
            f"{n_actions} actions", cause=f"there must be 1 to {MAX_ACTIONS}", remedy="Give the number per agent."
        )
    _require_agent_axes(layout, n_agents)
    order = _Order(layout, n_agents, _packed(states, layout), jail, scale, igm, exchangeable, n_actions, started)
    text = decode(source)
    if isinstance(text, Finding):  # a limit of the request to the jail, with the gate or without
        return order.rejected("gate", text.kind, f"{text.what}. {text.remedy}", text.line)
    if gate and (refused := check_gate(text)):
        return order.rejected(refused.stage, refused.kind, refused.message, refused.line)
    graph = _trace(order, text)
    return graph if isinstance(graph, Rejected) else _judge(order, graph)


def _require_agent_axes(layout: StateLayout, n_agents: int) -> None:
    for field in layout.fields:
        wrong = [axis for axis in field.agent_axes if field.shape[axis] != n_agents]
        if wrong:
            raise ConfigurationError(
                f"state field `{field.name}` of shape {list(field.shape)}",
                cause=f"axis {wrong[0]} is said to run over the agents, of which there are {n_agents}",
                remedy="Correct `agent_axes` in the layout, or the number of agents.",
            )


def _packed(states: States, layout: StateLayout) -> bytes:
    """States as bytes, after the checks that would otherwise be blamed on a candidate."""
    if states.ndim != 2 or states.shape[1] != layout.size or not 1 <= states.shape[0] <= MAX_STATES:
        raise ConfigurationError(
            f"probe states of shape {list(states.shape)}",
            cause=f"the layout needs [M, {layout.size}] with M from 1 to {MAX_STATES}",
            remedy="Give states of this task, and fewer of them if there are too many.",
        )
    values = states.astype("<f4", order="C")
    if not (abs(values) < float("inf")).all():
        raise ConfigurationError(
            "probe states", cause="some values are not finite", remedy="Correct the rollouts that they come from."
        )
    return values.tobytes()


def _trace(order: _Order, source: str) -> bytes | Rejected:
    """The graph's bytes, unread, or why there are none."""
    result = order.trace(source)
    if result.outcome != "done":
        if result.outcome in ("killed", "silent_exit"):
            _require_working(order, result)
        detail = f" The jail reports: {quoted(result.detail, 200)}." if result.outcome == "killed" else ""
        message = f"The function was stopped while it was traced: {_TRACE_ENDS[result.outcome]}.{detail}"
        return order.rejected("trace", "resource", message)
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
    line = refusal.line if refusal.line is not None and refusal.line <= source.count("\n") + 1 else None
    where = f"Line {line}: " if line else ""
    return order.rejected(stage, kind, f"{where}The function cannot be traced: {quoted(refusal.message)}", line)


def _judge(order: _Order, graph: bytes) -> Verdict:
    """Have a second child parse and check the graph."""
    result = order.verify(graph)
    if result.outcome != "done":
        result = order.verify(graph)
    if result.outcome != "done":
        # Twice. If a plain graph passes now, this graph is the cause; else the jail is.
        _require_working(order, result)
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
        graph=graph,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        form=report.form,
        warnings=tuple(report.warnings),
        seconds=time.perf_counter() - order.started,
        vdn_difference=report.vdn_difference,
    )


def _require_working(order: _Order, failed: JobResult) -> None:
    """Show that the jail still works for a plain function, so that a failed job is the candidate's doing and not ours.

    Raises:
        JailError: it does not.
    """
    source = _KNOWN_GOOD.format(name=order.layout.fields[0].name, n_agents=order.n_agents)
    traced = order.trace(source)
    graph = read_trace_reply(traced.output) if traced.outcome == "done" else None
    if isinstance(graph, bytes):
        checked = order.verify(graph)
        if checked.outcome == "done" and not VerifyReport.from_bytes(checked.output).stage:
            return
    raise JailError(
        f"jail `{order.jail.name}` fails a job that must pass",
        cause=f"the job before it ended with `{failed.outcome}` ({quoted(failed.detail, 300)})",
        remedy="See `qredit doctor`; free memory, and run the same command again.",
    )
