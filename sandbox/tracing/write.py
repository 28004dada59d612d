"""A recorded program as the op list of a credit graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.fx import Node as Recorded

from qredit.credit.decode import INTEGER_LIMIT
from qredit.credit.opset import DTYPES, MEMORY_FORMATS, Operation, operations
from qredit.credit.schema import Argument, Constant, CreditGraph, Form, Header, InputName, Node, Ref
from qredit.sandbox.tracing.failure import Place, TraceFailure
from qredit.sandbox.tracing.record import Recording, line_of
from qredit.sandbox.tracing.words import MASK, remedy_of

_INTEGER_OPS: Mapping[Callable[..., Any], str] = {
    operator.add: "int.add",
    operator.sub: "int.sub",
    operator.mul: "int.mul",
    operator.floordiv: "int.floordiv",
    operator.mod: "int.mod",
}
_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_FORMAT_NAMES = {value: name for name, value in MEMORY_FORMATS.items()}
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "device": (None, torch.device("cpu")),
    "layout": (None, torch.strided),
    "pin_memory": (None, False),
    "non_blocking": (False,),
    "memory_format": (None, torch.preserve_format),
    "implicit": (False,),
    "accumulate": (False,),
    "sparse_grad": (False,),
    "sparse": (False,),
    "scale_grad_by_freq": (False,),
    "padding_idx": (-1,),
    "compute_mode": (None,),
}
"""Arguments that no credit graph has, with the values that say nothing."""

_INNER: Mapping[str, tuple[str, int]] = {
    "aten._softmax.default": ("aten.softmax.int", 2),
    "aten._log_softmax.default": ("aten.log_softmax.int", 2),
    "aten._cdist_forward.default": ("aten.cdist.default", 3),
}
"""What some operations become when they are recorded -> what is written, with how many arguments."""

_CHECKED_ELSEWHERE = frozenset({"aten._assert_tensor_metadata.default"})
"""Assertions about dtype and device at the time of recording: `parse_graph` proves dtypes, devices are not stored."""

_END = 2**31 - 1
"""Stands for "to the end", which torch writes as 2**63 - 1."""


@dataclass
class RecordedGraph:
    """An op list in the making."""

    constants: list[Constant] = field(default_factory=list)
    """Tensors that the function holds."""
    nodes: list[Node] = field(default_factory=list)
    """Operations."""
    lines: list[int | None] = field(default_factory=list)
    """Line of the candidate's source that each node stems from."""
    outputs: list[Ref] = field(default_factory=list)
    """What the function returns."""

    def to_bytes(self, header: Header) -> bytes:
        """Canonical JSON of the graph with this header; unchecked."""
        return CreditGraph(header, tuple(self.constants), tuple(self.nodes), tuple(self.outputs)).to_bytes()


def write_graph(recording: Recording, form: Form, source: str) -> RecordedGraph:
    """Write the operations that lead to the results; what is recorded but unused is left out.

    Raises:
        TraceFailure: an operation or argument that no credit graph has.
    """
    return _Writer(recording, form, source).write()


class _Writer:
    def __init__(self, recording: Recording, form: Form, source: str) -> None:
        self.recording = recording
        self.source = source
        names: tuple[InputName, ...] = ("state",) if form == "weights" else ("agents_q", "state")
        self.inputs = iter(names)
        self.graph = RecordedGraph()
        self.refs: dict[Recorded, Ref] = {}
        self.line: int | None = None

    def write(self) -> RecordedGraph:
        held = iter(self.recording.held)
        needed = _needed(self.recording.graph)
        for recorded in self.recording.graph.nodes:
            self.line = line_of(recorded) or self.line
            if recorded.op == "placeholder":
                tensor = next(held)
                self.refs[recorded] = Ref(next(self.inputs)) if tensor is None else self.constant(tensor)
            elif recorded.op == "output":
                results: Any = recorded.args[0]
                self.graph.outputs = [self.refs[value] for value in results]
            elif recorded in needed:
                self.operation(recorded)
            elif _is_assertion(recorded):
                self.refuse(f"it checks something at run time (`{recorded.target}`). Remove the check.")
        return self.graph

    def refuse(self, cause: str) -> NoReturn:
        place = Place(self.source, self.line)
        raise TraceFailure("unsupported", f"{place}{cause}", place.line)

    def constant(self, tensor: Tensor) -> Ref:
        if tensor.dtype not in _DTYPE_NAMES:
            self.refuse(f"it holds a tensor of {tensor.dtype}. Use float32, int64 or bool.")
        values = tuple(tensor.detach().reshape(-1).tolist())
        constant = Constant(_DTYPE_NAMES[tensor.dtype], tuple(tensor.shape), values)
        self.graph.constants.append(constant)
        return Ref("constant", len(self.graph.constants) - 1)

    def operation(self, recorded: Recorded) -> None:
        target: Any = recorded.target
        arguments: tuple[Any, ...] = recorded.args
        if target is operator.getitem:
            whole, item = arguments
            self.refs[recorded] = Ref("node", self.refs[whole].index, item)
        elif target in _INTEGER_OPS:
            self.refs[recorded] = self.add(_INTEGER_OPS[target], [self.argument(a) for a in arguments])
        elif str(target) == "aten.index_put.default" and self.write_masked(recorded):
            return
        elif str(target) == "aten.copy.default":
            self.copy(recorded, *arguments[:2])
        elif str(target) in _INNER and arguments[_INNER[str(target)][1] :] in ((), (None,), (False,)):
            outer, count = _INNER[str(target)]
            self.refs[recorded] = self.add(outer, [self.argument(a) for a in arguments[:count]])
        else:
            allowed = operations().get(str(target))
            if allowed is None or allowed.call is not target:
                self.refuse(remedy_of(str(target)))
            if allowed.name == "aten.index.Tensor" and any(_is_mask(i) for i in arguments[1]):
                self.refuse(MASK)
            args, kwargs = self.arguments(allowed, recorded)
            self.refs[recorded] = self.add(allowed.name, args, kwargs)

    def add(self, op: str, args: Sequence[Argument], kwargs: Mapping[str, Argument] | None = None) -> Ref:
        self.graph.nodes.append(Node(op, tuple(args), tuple(sorted((kwargs or {}).items()))))
        self.graph.lines.append(self.line)
        return Ref("node", len(self.graph.nodes) - 1)

    def arguments(self, operation: Operation, recorded: Recorded) -> tuple[list[Argument], dict[str, Argument]]:
        """Positional and keyword arguments as the allowlist has them."""
        target: Any = recorded.target
        schema = target._schema.arguments
        values = dict(zip((a.name for a in schema), recorded.args, strict=False)) | recorded.kwargs
        defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
        known = {p.name: p for p in operation.parameters}
        for name, value in values.items():
            if name not in known and value not in _HARMLESS.get(name, ()):
                self.refuse(f"`{operation.name}` with `{name}={value}` is not available. Leave the argument out.")
        positional = [p.name for p in operation.parameters if not p.keyword]
        given = max((i + 1 for i, name in enumerate(positional) if name in values), default=0)
        args = [self.argument(values.get(name, defaults.get(name)), operation.name) for name in positional[:given]]
        kwargs = {name: self.argument(v) for name, v in values.items() if name in known and known[name].keyword}
        return args, kwargs

    def argument(self, value: Any, op: str = "") -> Argument:
        if isinstance(value, Recorded):
            return self.refs[value]
        if isinstance(value, (list, tuple)):
            return tuple(self.argument(v, op) for v in value)
        if isinstance(value, torch.dtype):
            if value not in _DTYPE_NAMES:
                self.refuse(f"{value} is not available. Use float32, int64 or bool.")
            return _DTYPE_NAMES[value]
        if isinstance(value, torch.memory_format) and value in _FORMAT_NAMES:
            return _FORMAT_NAMES[value]
        if isinstance(value, int) and value >= INTEGER_LIMIT and "slice" in op:
            return _END
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        return self.refuse(f"it uses a value of type {type(value).__name__}, which no credit function can hold.")

    def copy(self, recorded: Recorded, target: Recorded, source: Recorded) -> None:
        """`x[...] = y`: the values of `y` in the shape and dtype of `x`; torch's own `copy` has no derivative."""
        reference = self.refs[source]
        wanted, found = target.meta["val"], source.meta["val"]
        if wanted.dtype != found.dtype:
            dtype = self.argument(wanted.dtype)
            reference = self.add("aten._to_copy.default", [reference], {"dtype": dtype})
        if wanted.shape != found.shape:
            sizes = tuple(
                size if isinstance(size, int) else self.add("aten.sym_size.int", [self.refs[target], dim])
                for dim, size in enumerate(wanted.shape)
            )
            reference = self.add("aten.expand.default", [reference, sizes])
        self.refs[recorded] = reference

    def write_masked(self, recorded: Recorded) -> bool:
        """`x[mask] = number` as `masked_fill`: indexing with a mask itself has a size that depends on the data."""
        arguments: tuple[Any, ...] = recorded.args
        target, indices, value = arguments[:3]
        *leading, mask = indices
        if any(i is not None for i in leading) or not _is_mask(mask):
            return False
        if value.meta["val"].numel() != 1 or arguments[3:] not in ((), (False,)):
            self.refuse("it writes different values at a mask. Use `torch.where(mask, values, x)`.")
        reference = self.refs[mask]
        trailing = target.meta["val"].dim() - len(leading) - mask.meta["val"].dim()
        for _ in range(trailing):
            reference = self.add("aten.unsqueeze.default", [reference, -1])
        number = self.refs[value]
        if value.meta["val"].dim():
            number = self.add("aten.view.default", [number, ()])
        self.refs[recorded] = self.add("aten.masked_fill.Tensor", [self.refs[target], reference, number])
        return True


def _needed(graph: torch.fx.Graph) -> set[Recorded]:
    output = next(n for n in graph.nodes if n.op == "output")
    needed: set[Recorded] = set()
    waiting = list(output.all_input_nodes)
    while waiting:
        recorded = waiting.pop()
        if recorded not in needed:
            needed.add(recorded)
            waiting += recorded.all_input_nodes
    return needed


def _is_mask(index: Recorded | None) -> bool:
    return index is not None and index.meta["val"].dtype == torch.bool


def _is_assertion(recorded: Recorded) -> bool:
    name = str(recorded.target)
    return name not in _CHECKED_ELSEWHERE and ("assert" in name or "constrain" in name)
