"""What runs inside the jail's locked child, one job per process.

`trace` and `describe` execute the candidate's Python; whatever they return is the candidate's word. `verify` never
sees Python: it parses the credit graph, as data, and makes the contract checks. Needs the standard library, torch and
the root package's `credit`, `layout` and `errors` only.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import torch
from torch import Tensor

from qredit.credit import GraphError, Header, interpret, parse_graph
from qredit.credit.schema import CreditGraph, Form, Igm, Scale
from qredit.layout import StateField, StateLayout
from qredit.sandbox.contract.check import ContractError, ContractResourceError, check_contract
from qredit.sandbox.contract.probe_states import Rows, transitions
from qredit.sandbox.descriptions import DescribeRequest
from qredit.sandbox.inside import describe
from qredit.sandbox.payloads import TraceRefusal, TraceRequest, VerifyReport, VerifyRequest, pack_graph
from qredit.sandbox.tracing import trace
from qredit.sandbox.verdict import quoted

WARM_LAYOUT = StateLayout(
    (StateField(name="position", shape=(2, 2), unit="cells", low=0.0, high=4.0, meaning="Cell of each agent."),)
)
WARM_SOURCES = (
    """
import torch
def credit(state):
    near = torch.exp(-state["position"].abs().sum(dim=-1))
    return near + 0.1, near.sum(dim=1, keepdim=True)
""",
    """
import torch
def tfcaf(agents_q, global_state):
    weight = torch.softmax(global_state[:, :2], dim=1)
    return (weight * agents_q).sum(dim=1, keepdim=True)
""",
    """
import torch.nn.functional as F
def share(state, actions, next_state):
    moved = (next_state["position"] - state["position"]).abs().sum(dim=-1)
    return moved + F.one_hot(actions, 5)[:, :, 4].float() + 0.1
""",
    """
import torch
def reward(state, actions, next_state):
    moved = (next_state["position"] - state["position"]).square().sum(dim=(1, 2))
    return torch.tanh(moved - 0.1 * (actions > 0).float().sum(dim=1)).unsqueeze(1)
""",
)
"""One function per form: tracing and checking them loads what those two import lazily."""
_FORMS: Final[tuple[Form, ...]] = ("weights", "general", "shares", "value")


def warm_up() -> None:
    """Load everything that a job may import, before the server locks itself down: afterwards no file can be read."""
    torch.set_num_threads(1)
    trace.warm_up()
    describe.warm_up(WARM_LAYOUT)
    for source in WARM_SOURCES:
        graph = _traced(TraceRequest(source, WARM_LAYOUT, 2, "sum_to_n", "enforce", _FORMS, n_actions=5))
        states = struct.pack("<32f", *(i % 5 for i in range(32)))  # [8, 4]
        asked: dict[str, Any] = {"scale": "sum_to_n", "igm": "enforce", "forms": _FORMS, "n_actions": 5}
        report = _verify(VerifyRequest(graph, states, WARM_LAYOUT, 2, **asked))
        if report.stage:
            raise AssertionError(f"a good function was refused: {report.message}")


def run_job(job: str, payload: bytes) -> bytes:
    """Run one job.

    Args:
        job: `trace`, `verify` or `describe`.
        payload: `TraceRequest`, `VerifyRequest` or `DescribeRequest`, packed.

    Returns:
        A trace reply (see `payloads`), a packed `VerifyReport` or a describe reply (see `descriptions`).
    """
    if job == "trace":
        return _trace(TraceRequest.from_bytes(payload))
    if job == "verify":
        return _verify(VerifyRequest.from_bytes(payload)).to_bytes()
    if job == "describe":
        return _describe(DescribeRequest.from_bytes(payload))
    raise ValueError(f"unknown job `{job}`: the jail runs `trace`, `verify` and `describe`")


def _trace(request: TraceRequest) -> bytes:
    try:
        return pack_graph(_traced(request))
    except trace.TraceFailure as failure:
        return TraceRefusal(failure.kind, failure.message, failure.line).to_bytes()


def _describe(request: DescribeRequest) -> bytes:
    try:
        return describe.describe_rows(request)
    except trace.TraceFailure as failure:
        return TraceRefusal(failure.kind, failure.message, failure.line).to_bytes()


def _traced(request: TraceRequest) -> bytes:
    scale, igm = cast("Scale", request.scale), cast("Igm", request.igm)
    return trace.trace_source(
        request.source,
        request.layout,
        request.n_agents,
        scale=scale,
        igm=igm,
        n_actions=request.n_actions,
        forms=request.forms,
    )


def _verify(request: VerifyRequest) -> VerifyReport:
    try:
        graph = parse_graph(request.graph)
    except GraphError as error:
        return _rejected("graph", "graph", f"The credit graph is refused: {quoted(f'{error.what}: {error.cause}')}.")
    moves = request.n_actions is not None and graph.header.reads_transitions(request.layout.size)
    layout = request.layout.transition(request.n_agents, request.n_actions or 1) if moves else request.layout
    mismatch = _mismatch(graph.header, request, layout)
    if mismatch:
        return _rejected("graph", "graph", mismatch, graph.header.form)
    if not moves:
        return _check(graph, request, layout, _rows(request.states, layout), "rollout state")
    if request.transitions:
        return _check(graph, request, layout, _rows(request.transitions, layout), "rollout transition")
    made = transitions(_rows(request.states, request.layout), request.n_agents, request.n_actions or 1)
    return _check(graph, request, layout, made, "made-up transition")


def _rows(data: bytes, layout: StateLayout) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(-1, layout.size)


def _check(graph: CreditGraph, request: VerifyRequest, layout: StateLayout, states: Tensor, rows: Rows) -> VerifyReport:
    def run(state: Tensor, agents_q: Tensor | None) -> tuple[Tensor, ...]:
        return interpret(graph, state=state, agents_q=agents_q)

    try:
        report = check_contract(
            graph.header, run, layout=layout, states=states, rows=rows, exchangeable=request.exchangeable
        )
    except ContractResourceError as error:
        return _rejected("contract", "resource", str(error), graph.header.form)
    except ContractError as error:
        return _rejected("contract", "contract", str(error), graph.header.form)
    return VerifyReport("", "", "", graph.header.form, report.warnings, report.vdn_difference)


_rejected_report = partial(VerifyReport, warnings=(), vdn_difference=None)


def _rejected(stage: str, kind: str, message: str, form: str = "") -> VerifyReport:
    return _rejected_report(stage=stage, kind=kind, message=message, form=form)


def _mismatch(header: Header, request: VerifyRequest, layout: StateLayout) -> str:
    """How the header differs from what was asked for: only a forged graph's does."""
    asked: Mapping[str, Sequence[object]] = {
        "form": request.forms,
        "n_agents": (request.n_agents,),
        "state_size": (layout.size,),
        "scale": (request.scale,),
        "igm": (request.igm,),
    }
    for key, values in asked.items():
        found = getattr(header, key)
        if found not in values:
            wanted = " or ".join(map(str, values))
            return (
                f"The credit graph's header says {key} = {found}, but {wanted} was asked for. Write a plain function."
            )
    return ""
