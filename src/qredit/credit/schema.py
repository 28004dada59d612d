"""The credit graph: the tensor program of an accepted function, as data.

    {"constants": [{"dtype": "float32", "shape": [3], "values": [1.0, 2.0, 3.0]}],
     "format": 1,
     "header": {"form": "weights", "has_bias": false, "igm": "enforce", "n_agents": 3, "scale": "sum_to_n",
                "state_size": 18},
     "nodes": [{"args": ["state", 1, 0, 9], "op": "aten.slice.Tensor"},
               {"args": ["n0", "c0"], "op": "aten.mul.Tensor"}],
     "outputs": ["n1"]}

A string such as `state`, `agents_q`, `c0` (constant), `n4` (node) or `n4.1` (second result of a node) refers to an
earlier value; what else a string may be (a dtype, an infinite number) depends on the argument's type in `opset`.
The hash of a graph is the SHA-256 of its canonical JSON, header included: sorted keys, no blanks, ASCII.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from qredit.errors import ArtifactError

FORMAT = 1
Form = Literal["weights", "general", "shares", "value"]
Scale = Literal["sum_to_n", "raw"]
Igm = Literal["enforce", "relax"]
InputName = Literal["state", "agents_q"]

_NUMBER = r"(0|[1-9][0-9]{0,3})"
_REF = re.compile(rf"(state|agents_q)|c{_NUMBER}|n{_NUMBER}(?:\.{_NUMBER})?")
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class GraphError(ArtifactError):
    """A credit graph that is malformed, forged, too large or that could fail at run time."""


def graph_error(
    what: str, cause: str, remedy: str = "Trace the credit function again with `qredit check`."
) -> GraphError:
    """A `GraphError` with the usual way out."""
    return GraphError(what, cause=cause, remedy=remedy)


@dataclass(frozen=True)
class Header:
    """What the graph is and how its output is applied; hashed with it."""

    form: Form
    """`weights`: raw outputs are weights `[B, N]` and, if `has_bias`, a bias `[B, 1]`; `general`: `Q_tot [B, 1]`;
    `shares`: each agent's share of the team reward `[B, N]`, of whole transitions in place of states; `value`: one
    number per state or transition `[B, 1]`, such as a potential, a reward or an exploration bonus."""
    scale: Scale
    """`sum_to_n` normalises weights and shares to sum to `N` per state; `raw` leaves their magnitude. Nothing else is
    normalised."""
    igm: Igm
    """`enforce` clamps weights at 0 (IGM: individual-global-max consistency); `relax` lets any sign through."""
    n_agents: int
    """`N`."""
    state_size: int
    """The length of the flat input: `S`, or that of a transition, see `reads_transitions`."""
    has_bias: bool
    """Whether a weights form has a second output, the bias `f_b(s)`."""

    @property
    def inputs(self) -> tuple[InputName, ...]:
        """The inputs that nodes may refer to."""
        return ("state", "agents_q") if self.form == "general" else ("state",)

    @property
    def output_widths(self) -> tuple[int, ...]:
        """Numbers per row of each raw output."""
        if self.form in ("general", "value"):
            return (1,)
        return (self.n_agents, 1) if self.has_bias else (self.n_agents,)

    @property
    def n_outputs(self) -> int:
        """How many raw outputs the graph has."""
        return len(self.output_widths)

    def reads_transitions(self, state_size: int) -> bool:
        """Whether the input is a transition: state, each agent's action, next state, `[S + N + S]`; else a state.

        Shares read nothing else. A `value` may read either: its `state_size` tells which, and no `S` leaves a doubt.

        Args:
            state_size: `S` of one state.
        """
        return self.form == "shares" or (self.form == "value" and self.state_size == 2 * state_size + self.n_agents)


@dataclass(frozen=True)
class Ref:
    """A reference to an input, a constant or an earlier node."""

    kind: Literal["state", "agents_q", "constant", "node"]
    """Where the value stands."""
    index: int = 0
    """Number of the constant or node; 0 for an input."""
    item: int | None = None
    """Which result, of a node that has several."""

    def __str__(self) -> str:
        if self.kind == "constant":
            return f"c{self.index}"
        if self.kind == "node":
            return f"n{self.index}" if self.item is None else f"n{self.index}.{self.item}"
        return self.kind

    @staticmethod
    def parse(text: str) -> Ref | None:
        """Read what `str` wrote; None if the text is no reference."""
        match = _REF.fullmatch(text)
        if match is None:
            return None
        if match[1]:
            return Ref("state" if match[1] == "state" else "agents_q")
        if match[2]:
            return Ref("constant", int(match[2]))
        return Ref("node", int(match[3]), None if match[4] is None else int(match[4]))


Argument: TypeAlias = "bool | int | float | str | Ref | tuple[Argument, ...] | None"
"""An argument of a node; dtypes and other named values are strings."""


@dataclass(frozen=True)
class Constant:
    """A small tensor that the function holds."""

    dtype: str
    """Name of the dtype, one of `opset.DTYPES`."""
    shape: tuple[int, ...]
    """Shape; `()` for one number."""
    values: tuple[float | int | bool, ...]
    """The numbers in row-major order; may hold infinities if the dtype is a float."""


@dataclass(frozen=True)
class Node:
    """One operation."""

    op: str
    """Exact overload, such as `aten.mul.Tensor`, or integer arithmetic on sizes, such as `int.mul`."""
    args: tuple[Argument, ...]
    """Positional arguments."""
    kwargs: tuple[tuple[str, Argument], ...] = ()
    """Keyword-only arguments, sorted by name."""


@dataclass(frozen=True)
class CreditGraph:
    """A checked op list; only `parse_graph` makes one out of bytes."""

    header: Header
    """Form, scale and size."""
    constants: tuple[Constant, ...]
    """Constants `c0`, `c1`, ..."""
    nodes: tuple[Node, ...]
    """Nodes `n0`, `n1`, ... in the order of execution; each refers to earlier ones only."""
    outputs: tuple[Ref, ...]
    """The raw outputs; see `Header.form`."""

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(self._to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "header": vars(self.header),
            "constants": [
                {"dtype": c.dtype, "shape": list(c.shape), "values": [_plain(v) for v in c.values]}
                for c in self.constants
            ],
            "nodes": [_node_to_json(node) for node in self.nodes],
            "outputs": [str(ref) for ref in self.outputs],
        }


def read_float(value: object) -> float | None:
    """A JSON number, or one of the strings `inf`, `-inf`, `nan`, as a float; None if it is neither."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def _node_to_json(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": node.op, "args": [_plain(a) for a in node.args]}
    if node.kwargs:
        entry["kwargs"] = {name: _plain(value) for name, value in node.kwargs}
    return entry


def _plain(value: Argument) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return next(text for text, number in _NON_FINITE.items() if str(number) == str(value))
    return value
