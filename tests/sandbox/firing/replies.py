"""Forged answers of a trace child: a graph that looks like any other, and what it does where nobody checks it.

A candidate that came past the gate writes the answer itself and ends its process, so that the tracer says nothing. The
host cannot tell; only the verifier stands between such a graph and the training.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from qredit.sandbox.payloads import pack_graph
from tests.sandbox.firing import bugs
from tests.sandbox.firing.bugs import Function
from tests.sandbox.firing.canaries import SECRETS
from tests.sandbox.firing.case import HEAD

HEADER: Final = {
    "form": "weights",
    "has_bias": False,
    "igm": "enforce",
    "n_agents": 2,
    "scale": "sum_to_n",
    "state_size": 2,
}


def node(op: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """One operation of a graph."""
    return {"op": op, "args": list(args), **({"kwargs": kwargs} if kwargs else {})}


def graph(*nodes: dict[str, Any], header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A graph that returns what its last node gives."""
    content = {
        "format": 1,
        "header": HEADER | (header or {}),
        "constants": [],
        "nodes": list(nodes),
        "outputs": [f"n{len(nodes) - 1}"],
    }
    return json.dumps(content | changes).encode()


def credulous(data: bytes) -> Function:
    """Run a graph as somebody would who believes it: any operation of torch, by name."""
    content = json.loads(data)

    def run(states: Tensor, agents_q: Tensor) -> Any:
        values: dict[str, Any] = {"state": states, "agents_q": agents_q}
        for number, constant in enumerate(content["constants"]):
            numbers = [float(value) for value in constant["values"]]
            values[f"c{number}"] = torch.tensor(numbers, dtype=getattr(torch, constant["dtype"]))

        def filled(value: Any) -> Any:
            if isinstance(value, list):
                return [filled(part) for part in value]
            return values.get(value, value) if isinstance(value, str) else value

        for number, entry in enumerate(content["nodes"]):
            space, name, overload = entry["op"].split(".")
            operation = getattr(getattr(getattr(torch.ops, space), name), overload)
            kwargs = {key: filled(value) for key, value in entry.get("kwargs", {}).items()}
            if "dtype" in kwargs:
                kwargs["dtype"] = getattr(torch, kwargs["dtype"])
            values[f"n{number}"] = operation(*filled(entry["args"]), **kwargs)
        outputs = tuple(values[name] for name in content["outputs"])
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def reads_secret(run: Function) -> bool:
    """The secret stands in what it returns."""
    codes: list[float] = run(bugs.STATES, bugs.VALUES).flatten().tolist()
    return SECRETS["file"].encode() in bytes(int(code) % 256 for code in codes)


def misnames(run: Function) -> bool:
    """It gives weights for other agents than there are."""
    weights: Tensor = run(bugs.STATES.repeat(1, 2), bugs.VALUES)
    return weights.shape[1] != 2


@dataclass(frozen=True)
class Reply:
    """One forged answer."""

    name: str
    """What the graph does; unique in the corpus."""
    graph: bytes
    """Its bytes; `{folder}` stands for the caller's."""
    flaw: Callable[[Function], bool]
    """How it shows where the graph is believed."""
    words: str
    """What the verifier says."""

    def source(self, folder: str) -> str:
        """A module that forges the answer."""
        reply = pack_graph(self.graph.replace(b"{folder}", folder.encode()))
        return (
            f"import os\n{HEAD}def credit(state):\n    reply = {reply!r}\n"
            "    os.write(3, b'R' + len(reply).to_bytes(8, 'little') + reply)\n    os._exit(0)\n"
        )

    def function(self, folder: str) -> Function:
        """The graph as somebody runs it who believes it."""
        return credulous(self.graph.replace(b"{folder}", folder.encode()))


_COPY: Final = node("aten.add.Tensor", "state", 1.0)
_WHOLE: Final = node("aten._to_copy.default", "state", dtype="int64")

REPLIES: Final = (
    Reply(
        "graph that reads a file",
        graph(
            node("aten.from_file.default", "{folder}/secret.txt", False, len(SECRETS["file"]), dtype="uint8"),
            node("aten._to_copy.default", "n0", dtype="float32"),
        ),
        reads_secret,
        "not allowed",
    ),
    Reply("graph with random weights", graph(node("aten.rand_like.default", "state")), bugs.differs, "not allowed"),
    Reply("graph with dropout", graph(node("aten.dropout.default", "state", 0.5, True)), bugs.differs, "not allowed"),
    Reply(
        "graph that writes into the state", graph(node("aten.mul_.Tensor", "state", 2.0)), bugs.writes, "not allowed"
    ),
    Reply(
        "graph that fills the state", graph(node("aten.fill_.Scalar", "state", 7.0), _COPY), bugs.writes, "not allowed"
    ),
    Reply(
        "graph that looks at memory in its own way",
        graph(_COPY, node("aten.as_strided.default", "n0", [6, 2], [1, 1])),
        bugs.breaks,
        "not allowed",
    ),
    Reply("graph that mixes states", graph(node("aten.cumsum.default", "state", 0), _COPY, outputs=["n0"]),
          bugs.mixes, "depends on the other states"),
    Reply(
        "graph that sorts the batch",
        graph(node("aten.flip.default", "state", [0]), node("aten.add.Tensor", "n0", 1.0)),
        bugs.mixes,
        "depends on the other states",
    ),
    Reply(
        "graph with infinite weights", graph(node("aten.reciprocal.default", "state")), bugs.overflows, "is inf in"
    ),
    Reply(
        "graph that reads out of range",
        graph(_WHOLE, node("aten.gather.default", "state", 1, "n0")),
        bugs.breaks,
        "an index may leave",
    ),
    Reply(
        "graph that divides integers by data",
        graph(_WHOLE, node("aten.floor_divide.default", "n0", "n0"),
              node("aten._to_copy.default", "n1", dtype="float32")),
        bugs.breaks,
        "zero or negative",
    ),
    Reply(
        "graph whose memory grows with the square of the batch",
        graph(
            node("aten.unsqueeze.default", "state", 0),
            node("aten.unsqueeze.default", "state", 1),
            node("aten.sub.Tensor", "n0", "n1"),
            node("aten.sum.dim_IntList", "n2", [1]),
        ),
        bugs.grows,
        "faster than linearly",
    ),
    Reply("graph for one agent", graph(node("aten.slice.Tensor", "state", 1, 0, 1)), bugs.misshapen, "it is [1, 1]"),
    Reply(
        "graph for four agents",
        graph(_COPY, header={"n_agents": 4, "state_size": 4}),
        misnames,
        "header says n_agents = 4, but 2 was asked for",
    ),
    Reply(
        "graph with integers as weights", graph(_WHOLE), bugs.misshapen, "it is [1, 2] torch.int64"
    ),
    Reply(
        "graph that leaves an agent out",
        graph(_COPY, node("aten.mul.Tensor", "n0", "c0"),
              constants=[{"dtype": "float32", "shape": [2], "values": [1.0, 0.0]}]),
        bugs.silent,
        "Agent 1 gets no gradient",
    ),
    Reply(
        "graph of the other rule about signs",
        graph(
            node("aten.slice.Tensor", "agents_q", 1, 0, 1),
            node("aten.slice.Tensor", "agents_q", 1, 1, 2),
            node("aten.sub.Tensor", "n0", "n1"),
            header={"form": "general", "igm": "relax"},
        ),
        bugs.falls,
        "header says igm = relax, but enforce was asked for",
    ),
)  # fmt: skip
