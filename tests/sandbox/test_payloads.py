"""What the host and the jail's children exchange: round trips, and hostile bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import JailError
from qredit.layout import StateField, StateLayout
from qredit.sandbox.payloads import (
    FAILURE_KINDS,
    MAX_FAILURE_BYTES,
    MAX_GRAPH_BYTES,
    MAX_REPORT_BYTES,
    TraceRefusal,
    TraceRequest,
    VerifyReport,
    VerifyRequest,
    pack_graph,
    read_trace_reply,
)

LAYOUT = StateLayout((StateField(name="x", shape=(2, 3), unit="cells", low=0.0, high=4.0, meaning="Where: \u00e9."),))
ACCEPTED: dict[str, Any] = {
    "stage": "", "kind": "", "message": "", "form": "weights", "warnings": ["w"], "vdn_difference": 0.5,
}  # fmt: skip
REJECTED = {
    **ACCEPTED,
    "stage": "graph",
    "kind": "graph",
    "message": "no",
    "form": "",
    "warnings": [],
    "vdn_difference": None,
}
VALUE = {**ACCEPTED, "form": "value", "vdn_difference": None}


@given(st.text(), st.integers(1, 9), st.sampled_from(["sum_to_n", "raw"]), st.sampled_from(["enforce", "relax"]))
def test_a_trace_request_arrives_as_it_was(source: str, n_agents: int, scale: str, igm: str) -> None:
    for forms, n_actions in ((("weights", "general"), None), (("shares", "value"), 5)):
        request = TraceRequest(source, LAYOUT, n_agents, scale, igm, forms, n_actions)
        assert TraceRequest.from_bytes(request.to_bytes()) == request


@given(st.binary(), st.binary(max_size=64), st.binary(max_size=64))
def test_a_verify_request_arrives_as_it_was(graph: bytes, states: bytes, transitions: bytes) -> None:
    request = VerifyRequest(graph, states, LAYOUT, 2, "raw", "relax", True, ("value",), 5, transitions)
    assert VerifyRequest.from_bytes(request.to_bytes()) == request
    plain = VerifyRequest(graph, states, LAYOUT, 2, "raw", "relax")
    assert VerifyRequest.from_bytes(plain.to_bytes()) == plain


@given(st.sampled_from(FAILURE_KINDS), st.text(), st.one_of(st.none(), st.integers(-5, 2**40)))
def test_a_refusal_arrives_readable(kind: str, message: str, line: int | None) -> None:
    got = read_trace_reply(TraceRefusal(kind, message, line).to_bytes())
    assert isinstance(got, TraceRefusal)
    assert got.kind == kind
    assert got.line == (line if line is not None and 0 < line < 2**32 else None)
    assert got.message == message.encode("utf-8", "replace").decode()


@given(st.binary(min_size=1))
def test_a_graph_stays_opaque(graph: bytes) -> None:
    assert read_trace_reply(pack_graph(graph)) == graph


@given(st.one_of(st.binary(), st.binary().map(lambda b: b"F" + b), st.binary().map(lambda b: b"G" + b)))
def test_no_reply_breaks_the_host(reply: bytes) -> None:
    got = read_trace_reply(reply)
    if isinstance(got, TraceRefusal):
        assert got.kind in FAILURE_KINDS
        assert got.line is None or 0 < got.line < 2**32
    else:
        assert got is None or reply == b"G" + got


@pytest.mark.parametrize(
    "reply",
    [
        b"", b"G", b"X", b"F", b"F\x00", b"F\x09\x00\x00\x00\x00no such kind", b"G" + b"a" * (MAX_GRAPH_BYTES + 1),
        b"F\x00\x00\x00\x00\x00" + b"a" * MAX_FAILURE_BYTES, b'{"verdict": "ok"}', b"ok",
    ],
)  # fmt: skip
def test_what_our_child_never_writes_is_nothing(reply: bytes) -> None:
    assert read_trace_reply(reply) is None


def test_a_long_refusal_is_cut() -> None:
    got = read_trace_reply(TraceRefusal("trace", "\u00e9" * MAX_FAILURE_BYTES, 3).to_bytes())
    assert isinstance(got, TraceRefusal)
    assert 0 < len(got.message.encode()) <= MAX_FAILURE_BYTES


@pytest.mark.parametrize("content", [ACCEPTED, REJECTED, VALUE])
def test_a_report_arrives_as_it_was(content: dict[str, Any]) -> None:
    report = VerifyReport(**{**content, "warnings": tuple(content["warnings"])})
    assert VerifyReport.from_bytes(report.to_bytes()) == report


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "gate"},
        {"stage": "graph"},
        {"kind": "forbidden"},
        {"message": "accepted, yet with a message"},
        {"message": None},
        {"form": "other"},
        {"form": ""},
        {"warnings": "w"},
        {"warnings": [1]},
        {"vdn_difference": 1},
        {"vdn_difference": -0.1},
        {"vdn_difference": 1.5},
        {"vdn_difference": True},
        {"vdn_difference": None},
        {"form": "value"},
        {"more": 1},
        {"stage": ["graph"], "kind": "graph", "message": "no"},
        {"stage": {}, "kind": "graph", "message": "no"},
    ],
    ids=str,
)
def test_a_report_of_another_form_is_ours_to_answer_for(changes: dict[str, Any]) -> None:
    with pytest.raises(JailError, match="the verifier's report cannot be read"):
        VerifyReport.from_bytes(json.dumps({**ACCEPTED, **changes}).encode())


@given(
    st.one_of(st.binary(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps).map(str.encode))
)
def test_no_report_raises_anything_else(data: bytes) -> None:
    with pytest.raises(JailError):
        VerifyReport.from_bytes(data)


def test_deep_and_long_reports_are_refused() -> None:
    for data in (b"[" * 50_000, json.dumps({**ACCEPTED, "warnings": ["w" * MAX_REPORT_BYTES]}).encode()):
        with pytest.raises(JailError):
            VerifyReport.from_bytes(data)
