"""The bytes that `verify` and the jobs in the jail exchange.

    trace    request  JSON: source, layout, n_agents, scale, igm, forms, n_actions
             reply    b"G" + credit graph, or b"F" + failure; the candidate may have forged either
    verify   request  length + JSON header + graph + states + transitions, both as little-endian float32
             reply    JSON: a report of our own code, yet read with a strict schema

A trace reply is never parsed on the host as anything but fixed-size fields and text: the graph in it stays opaque.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from qredit.errors import JailError
from qredit.layout import StateLayout

MAX_GRAPH_BYTES: Final = 200_000
MAX_FAILURE_BYTES: Final = 8_000
MAX_TRACE_REPLY: Final = MAX_GRAPH_BYTES + 1
MAX_REPORT_BYTES: Final = 64_000

FAILURE_KINDS: Final = ("trace", "contract", "unsupported", "graph")
"""Kinds of a failure that the tracer tells apart, by their number on the wire."""

_FORMS: Final = ("weights", "general", "shares", "value")
_GRAPH: Final = b"G"
_FAILURE: Final = b"F"
_FAILURE_HEAD: Final = struct.Struct("<BI")
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True)
class TraceRequest:
    """Order to trace a source."""

    source: str
    """The candidate's module."""
    layout: StateLayout
    """The named fields of the state."""
    n_agents: int
    """`N`."""
    scale: str
    """`sum_to_n` or `raw`."""
    igm: str
    """`enforce` or `relax`."""
    forms: tuple[str, ...] = ("weights", "general")
    """The forms that are wanted."""
    n_actions: int | None = None
    """How many actions an agent has; without it no function may read transitions."""

    def to_bytes(self) -> bytes:
        """Pack for the jail; a half of a surrogate pair survives as an escape."""
        return json.dumps({**asdict(self), "layout": self.layout.to_json()}).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack in the jail."""
        content = json.loads(data)
        layout = StateLayout.from_json(content["layout"])
        return cls(**{**content, "layout": layout, "forms": tuple(content["forms"])})


@dataclass(frozen=True)
class TraceRefusal:
    """What a trace child says about a source that it could not trace: text that the candidate may have written."""

    kind: str
    """One of `FAILURE_KINDS`."""
    message: str
    """What, where and the remedy, if the tracer wrote it."""
    line: int | None
    """The offending line, if known."""

    def to_bytes(self) -> bytes:
        """Pack in the jail."""
        text = self.message.encode("utf-8", "replace")[: MAX_FAILURE_BYTES - 16]
        line = self.line if self.line is not None and 0 < self.line < 2**32 else 0
        return _FAILURE + _FAILURE_HEAD.pack(FAILURE_KINDS.index(self.kind), line) + text


def pack_graph(graph: bytes) -> bytes:
    """The reply of a trace that succeeded."""
    return _GRAPH + graph


def read_trace_reply(reply: bytes) -> bytes | TraceRefusal | None:
    """The graph's opaque bytes, the refusal, or None for bytes that our child code never writes."""
    tag, content = reply[:1], reply[1:]
    if tag == _GRAPH and 0 < len(content) <= MAX_GRAPH_BYTES:
        return content
    if tag == _FAILURE and _FAILURE_HEAD.size <= len(content) <= MAX_FAILURE_BYTES:
        kind, line = _FAILURE_HEAD.unpack_from(content)
        if kind < len(FAILURE_KINDS):
            text = content[_FAILURE_HEAD.size :].decode("utf-8", "replace")
            return TraceRefusal(FAILURE_KINDS[kind], text, line or None)
    return None


@dataclass(frozen=True)
class VerifyRequest:
    """Order to check a graph."""

    graph: bytes
    """What the trace child returned; nothing has looked at it yet."""
    states: bytes
    """States of rollouts, `[M, S]`, little-endian float32, row by row."""
    layout: StateLayout
    """The named fields of the state."""
    n_agents: int
    """`N`, which the graph's header must have."""
    scale: str
    """Scale that the graph's header must have."""
    igm: str
    """IGM that the graph's header must have."""
    exchangeable: bool = False
    """Whether the result should not depend on the agents' numbers."""
    forms: tuple[str, ...] = ("weights", "general")
    """The forms that are wanted, one of which the graph's header must have."""
    n_actions: int | None = None
    """How many actions an agent has; without it no graph may read transitions."""
    transitions: bytes = b""
    """Transitions of rollouts, `[M', S + N + S]`, little-endian float32, row by row; empty: some are made up."""

    def to_bytes(self) -> bytes:
        """Pack for the jail."""
        header = {
            "graph_bytes": len(self.graph),
            "state_bytes": len(self.states),
            "layout": self.layout.to_json(),
            "n_agents": self.n_agents,
            "scale": self.scale,
            "igm": self.igm,
            "exchangeable": self.exchangeable,
            "forms": self.forms,
            "n_actions": self.n_actions,
        }
        packed = json.dumps(header).encode("ascii")
        return _LENGTH.pack(len(packed)) + packed + self.graph + self.states + self.transitions

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack in the jail."""
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size + length
        header = json.loads(data[_LENGTH.size : start])
        states = start + header.pop("graph_bytes")
        transitions = states + header.pop("state_bytes")
        header |= {"layout": StateLayout.from_json(header["layout"]), "forms": tuple(header["forms"])}
        return cls(graph=data[start:states], states=data[states:transitions], transitions=data[transitions:], **header)


@dataclass(frozen=True)
class VerifyReport:
    """What the verify child found; its code is ours, its input was not."""

    stage: str
    """Empty if accepted, else `graph` or `contract`."""
    kind: str
    """Empty if accepted, else `graph`, `contract` or `resource`."""
    message: str
    """Empty if accepted, else what, where and the remedy."""
    form: str
    """One of the forms; empty if the graph was refused before its header was read."""
    warnings: Sequence[str]
    """One sentence each."""
    vdn_difference: float | None
    """Share of the rollout states, in [0, 1]; None if rejected, and for what gives no credit."""

    def to_bytes(self) -> bytes:
        """Pack in the jail."""
        return json.dumps(asdict(self), allow_nan=False).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack on the host.

        Raises:
            JailError: not what our code writes.
        """
        try:
            content = json.loads(data)
            if len(data) <= MAX_REPORT_BYTES and _is_report(content):
                return cls(**{**content, "warnings": tuple(content["warnings"])})
        except (ValueError, RecursionError) as error:
            raise _malformed(repr(error)) from error
        raise _malformed("it does not have the form of one")


def _is_report(content: Any) -> bool:
    texts = {"stage": ("", "graph", "contract"), "kind": ("", "graph", "contract", "resource")}
    if not isinstance(content, dict) or set(content) != {*texts, "message", "form", "warnings", "vdn_difference"}:
        return False
    share, gives_credit = content["vdn_difference"], not content["stage"] and content["form"] != "value"
    return (
        all(content[key] in allowed for key, allowed in texts.items())
        and isinstance(content["message"], str)
        and bool(content["stage"]) == bool(content["kind"]) == bool(content["message"])
        and content["form"] in (_FORMS if not content["stage"] else ("", *_FORMS))
        and isinstance(content["warnings"], list)
        and all(isinstance(w, str) for w in content["warnings"])
        and ((isinstance(share, float) and 0.0 <= share <= 1.0) if gives_credit else share is None)
    )


def _malformed(cause: str) -> JailError:
    return JailError("the verifier's report cannot be read", cause=cause, remedy="Run the same command again.")
