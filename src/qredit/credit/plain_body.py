"""A credit graph as the body of a Python function: one line of plain torch per operation that the outputs need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit.dry_run import result_tensors
from qredit.credit.opset import DTYPES, operations
from qredit.credit.plain_call import dtype_text, number_text
from qredit.credit.plain_ops import OLDEST, expression, torch_version
from qredit.credit.schema import Constant, CreditGraph, Node, Ref
from qredit.credit.simplify import references, simplify
from qredit.layout import StateLayout

WIDTH = 110
"""Characters of a line, where it can be broken."""
_INDENT = " " * 8
_VIEWS = frozenset({"aten.view.default", "aten._unsafe_view.default"})


@dataclass(frozen=True)
class Body:
    """The text of a function and of what it needs."""

    lines: tuple[str, ...]
    """Statements of the function, indented; the last returns the raw outputs."""
    buffers: tuple[str, ...]
    """Statements of `__init__` that make the constants, indented."""
    torch_version: tuple[int, int]
    """The first version of torch that has all that is called."""


def function_body(graph: CreditGraph, layout: StateLayout | None) -> Body:
    """Write a graph as Python.

    Values and gradients are the very bits of the interpreter, where the same torch runs both.

    Args:
        graph: from `parse_graph`.
        layout: of the graph's flat input; what is read of the state is named after its fields.
    """
    return _Writer(graph, layout).body()


class _Writer:
    def __init__(self, graph: CreditGraph, layout: StateLayout | None) -> None:
        self.graph = graph
        self.simplified = simplify(graph, gradients_of=frozenset(graph.header.inputs))
        self.small, self.large = (result_tensors(graph, batch) for batch in (2, 3))
        self.fields = {} if layout is None else {(part.start, part.stop): f.name for f, part in layout.slices()}
        self.inputs = {
            "state": torch.empty(2, graph.header.state_size, device="meta"),
            "agents_q": torch.empty(2, graph.header.n_agents, device="meta"),
        }
        self.names: dict[int, str] = {}

    def body(self) -> Body:
        nodes = self.simplified.nodes
        lines = [line for index, node in nodes.items() for line in self.statement(index, node)]
        lines.append(f"{_INDENT}return {', '.join(self.name_of(ref) for ref in self.simplified.outputs)}")
        used = {ref.index for ref in self._all_references() if ref.kind == "constant"}
        buffers = [line for index in sorted(used) for line in _buffer(index, self.graph.constants[index])]
        return Body(tuple(lines), tuple(buffers), max(map(torch_version, nodes.values()), default=OLDEST))

    def _all_references(self) -> Iterator[Ref]:
        yield from self.simplified.outputs
        for node in self.simplified.nodes.values():
            yield from references(node)

    def statement(self, index: int, node: Node) -> list[str]:
        self.names[index] = f"{self.base(node)}_{index}"
        tensors = self.small[index]
        text = expression(node, self.name_of, self.tensor_of, tensors[0].dtype if tensors else None)
        shapes = f"  # {', '.join(_shape(a, b) for a, b in zip(tensors, self.large[index], strict=True))}"
        lines = broken(f"{_INDENT}{self.names[index]} = {text}")
        return [*lines[:-1], lines[-1] + (shapes if len(tensors) == 1 else "")]

    def base(self, node: Node) -> str:
        """What a result is called: the field that it is, or the operation."""
        first = node.args[0] if node.args else None
        if isinstance(first, Ref):
            if node.op == "aten.slice.Tensor" and first.kind == "state" and node.args[1:2] == (1,):
                start, end = (*node.args[2:4], None, None)[:2]
                if isinstance(start, int) and isinstance(end, int) and (start, end) in self.fields:
                    return self.fields[start, end]
            if node.op in _VIEWS and first.kind == "node":
                inner = self.names[first.index].rpartition("_")[0]
                if inner in self.fields.values():
                    return inner
        if node.op == "aten.sym_size.int":
            return "batch" if first == Ref("state") and node.args[1] == 0 else "size"
        return "number" if node.op.startswith("int.") else node.op.split(".")[1].lstrip("_")

    def name_of(self, ref: Ref) -> str:
        if ref.kind == "constant":
            return f"self.constant_{ref.index}"
        if ref.kind != "node":
            return str(ref)
        if ref.item is None:
            return self.names[ref.index]
        pair = operations()[self.graph.nodes[ref.index].op].results == 2
        return self.names[ref.index] + ((".values", ".indices")[ref.item] if pair else f"[{ref.item}]")

    def tensor_of(self, ref: Ref) -> Tensor:
        if ref.kind == "constant":
            constant = self.graph.constants[ref.index]
            return torch.empty(constant.shape, dtype=DTYPES[constant.dtype], device="meta")
        return self.small[ref.index][ref.item or 0] if ref.kind == "node" else self.inputs[ref.kind]


def broken(line: str) -> list[str]:
    """A long statement in several lines: broken behind commas, all of which stand inside brackets."""
    lines: list[str] = []
    for part in line.split(", "):
        if lines and len(lines[-1]) + len(part) + 2 <= WIDTH:
            lines[-1] += f", {part}"
        else:
            lines[-1:] = [f"{lines[-1]},"] if lines else []
            lines.append(f"{_INDENT}    {part}" if lines else part)
    return lines


def _buffer(index: int, constant: Constant) -> Sequence[str]:
    values = f"[{', '.join(map(number_text, constant.values))}]"
    text = f"torch.tensor({values}, dtype={dtype_text(DTYPES[constant.dtype])}).reshape({constant.shape})"
    return broken(f'{_INDENT}self.register_buffer("constant_{index}", {text}, persistent=False)')


def _shape(small: Tensor, large: Tensor) -> str:
    """The shape in letters, from those of batches of 2 and 3."""
    return f"[{', '.join(_length(a, b - a) for a, b in zip(small.shape, large.shape, strict=True))}]"


def _length(at_two: int, per_state: int) -> str:
    fixed = at_two - 2 * per_state
    if not per_state:
        return str(fixed)
    times = "B" if per_state == 1 else f"{per_state}B"
    return f"{times}{fixed:+d}" if fixed else times
