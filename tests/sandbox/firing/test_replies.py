"""Each forged graph: the trace's answer looks right, it does harm where it is believed, and the verifier refuses it."""

from __future__ import annotations

from typing import Protocol

import pytest

from qredit.layout import StateLayout
from qredit.sandbox import Jail, Rejected, Verdict
from qredit.sandbox.payloads import MAX_TRACE_REPLY, TraceRequest, read_trace_reply
from tests.sandbox.firing.caller import Caller
from tests.sandbox.firing.replies import REPLIES, Reply


class Trial(Protocol):
    """`conftest.Trial`."""

    caller: Caller
    jail: Jail
    layout: StateLayout

    def verify(self, source: str, *, gate: bool = True) -> Verdict: ...
    def require_undisturbed(self, *, now: bool = True) -> None: ...


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.name)
def test_without_the_verifier_it_does_harm(trial: Trial, reply: Reply) -> None:
    trial.caller.grounds.reset()
    folder = str(trial.caller.grounds.folder)
    request = TraceRequest(reply.source(folder), trial.layout, 2, "sum_to_n", "enforce")
    result = trial.jail.run("trace", request.to_bytes(), timeout_seconds=60, output_limit=MAX_TRACE_REPLY)
    assert read_trace_reply(result.output) == reply.graph.replace(b"{folder}", folder.encode())
    assert reply.flaw(reply.function(folder))


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.name)
def test_the_verifier_refuses_it(trial: Trial, reply: Reply) -> None:
    source = reply.source(str(trial.caller.grounds.folder))
    behind_the_gate = trial.verify(source)
    assert isinstance(behind_the_gate, Rejected)
    assert (behind_the_gate.stage, behind_the_gate.kind) == ("gate", "forbidden")
    verdict = trial.verify(source, gate=False)
    assert isinstance(verdict, Rejected)
    assert verdict.stage in ("graph", "contract")
    assert reply.words in verdict.message
    trial.require_undisturbed(now=False)
