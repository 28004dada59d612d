"""A recorded program as the op list of a credit graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from qredit.credit.decode import INTEGER_LIMIT
from qredit.credit.opset import DTYPES, MEMORY_FORMATS, Operation, operations
from qredit.credit.schema import Argument, Constant, CreditGraph, Form, Header, InputName, Node, Ref
from qredit.sandbox.tracing.failure import Place, TraceFailure
from qredit.sandbox.tracing.recording import BatchSize, Recording, Step, Value, values_in
from qredit.sandbox.tracing.words import remedy_of

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
        names: tuple[InputName, ...] = ("agents_q", "state") if form == "general" else ("state",)
        self.graph = RecordedGraph()
        self.refs: dict[Value, Ref] = dict(zip(recording.inputs, map(Ref, names), strict=True))
        self.sizes: dict[int, Ref] = {}
        self.line: int | None = None

    def write(self) -> RecordedGraph:
        needed = _needed(self.recording)
        for value, tensor in self.recording.constants.items():
            if value in needed:
                self.refs[value] = self.constant(tensor)
        for step in self.recording.steps:
            self.line = step.line or self.line
            if not needed.isdisjoint(step.results):
                self.step(step)
        self.graph.outputs = [self.refs[value] for value in self.recording.outputs]
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

    def step(self, step: Step) -> None:
        name, arguments = str(step.operation), step.args
        if name == "aten.index_put.default" and self.write_masked(step):
            return
        if name == "aten.copy.default":
            self.copy(step, *arguments[:2])
        elif name in _INNER and tuple(arguments[_INNER[name][1] :]) in ((), (None,), (False,)):
            outer, count = _INNER[name]
            self.give(step, self.add(outer, [self.argument(a) for a in arguments[:count]]))
        else:
            allowed = operations().get(name)
            if allowed is None or allowed.call is not step.operation:
                self.refuse(remedy_of(name))
            args, kwargs = self.arguments(allowed, step)
            self.give(step, self.add(allowed.name, args, kwargs))

    def add(self, op: str, args: Sequence[Argument], kwargs: Mapping[str, Argument] | None = None) -> Ref:
        self.graph.nodes.append(Node(op, tuple(args), tuple(sorted((kwargs or {}).items()))))
        self.graph.lines.append(self.line)
        return Ref("node", len(self.graph.nodes) - 1)

    def give(self, step: Step, reference: Ref) -> None:
        """Note where the results of a step are to be found."""
        for item, value in enumerate(step.results):
            self.refs[value] = Ref("node", reference.index, item) if step.several else reference

    def arguments(self, operation: Operation, step: Step) -> tuple[list[Argument], dict[str, Argument]]:
        """Positional and keyword arguments as the allowlist has them."""
        schema = step.operation._schema.arguments
        values = dict(zip((a.name for a in schema), step.args, strict=False)) | step.kwargs
        defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
        known = {p.name: p for p in operation.parameters}
        for name, value in values.items():
            if name not in known and value not in _HARMLESS.get(name, ()):
                self.refuse(f"`{operation.name}` with `{name}={value}` is not available. Leave the argument out.")
        positional = [p.name for p in operation.parameters if not p.keyword]
        given = max((i + 1 for i, name in enumerate(positional) if name in values), default=0)
        args = [self.positional(operation, name, values.get(name, defaults.get(name))) for name in positional[:given]]
        kwargs = {name: self.argument(v) for name, v in values.items() if name in known and known[name].keyword}
        return args, kwargs

    def positional(self, operation: Operation, name: str, value: Any) -> Argument:
        """A positional argument; where only a tensor may stand, a number becomes one: `60 // x`, `1 - x`."""
        parameter = next(p for p in operation.parameters if p.name == name)
        if parameter.type == "Tensor" and not parameter.is_list and isinstance(value, (bool, int, float)):
            dtype = _DTYPE_NAMES[torch.tensor(value).dtype]
            return self.add("aten.scalar_tensor.default", [value], {"dtype": dtype})
        return self.argument(value, operation.name)

    def argument(self, value: Any, op: str = "") -> Argument:
        if isinstance(value, Value):
            return self.refs[value]
        if isinstance(value, BatchSize):
            return self.size(value.factor)
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

    def size(self, factor: int) -> Ref:
        """`factor * B`."""
        if factor not in self.sizes:
            if factor == 1:
                self.sizes[factor] = self.add("aten.sym_size.int", [Ref("state"), 0])
            else:
                self.sizes[factor] = self.add("int.mul", [self.size(1), factor])
        return self.sizes[factor]

    def copy(self, step: Step, target: Value, source: Value | float) -> None:
        """`x[...] = y`: the values of `y` in the shape and dtype of `x`; torch's own `copy` has no derivative."""
        if not isinstance(source, Value):  # `x.copy_(0.5)`
            self.give(step, self.add("aten.fill.Scalar", [self.refs[target], self.argument(source)]))
            return
        reference = self.refs[source]
        wanted = self.recording.tensor(target).dtype
        if wanted != self.recording.tensor(source).dtype:
            reference = self.add("aten._to_copy.default", [reference], {"dtype": self.argument(wanted)})
        shape = self.recording.shape(target)
        if shape != self.recording.shape(source):
            reference = self.add("aten.expand.default", [reference, self.argument(shape)])
        self.give(step, reference)

    def write_masked(self, step: Step) -> bool:
        """`x[mask] = number` as `masked_fill`: indexing with a mask itself has a size that depends on the data."""
        target, indices, value = step.args[:3]
        *leading, mask = indices
        if mask is None or self.recording.tensor(mask).dtype != torch.bool or any(i is not None for i in leading):
            return False
        if self.recording.tensor(value).numel() != 1 or tuple(step.args[3:]) not in ((), (False,)):
            self.refuse("it writes different values at a mask. Use `torch.where(mask, values, x)`.")
        reference = self.refs[mask]
        trailing = self.recording.tensor(target).dim() - len(leading) - self.recording.tensor(mask).dim()
        for _ in range(trailing):
            reference = self.add("aten.unsqueeze.default", [reference, -1])
        number = self.refs[value]
        if self.recording.tensor(value).dim():
            number = self.add("aten.view.default", [number, ()])
        self.give(step, self.add("aten.masked_fill.Tensor", [self.refs[target], reference, number]))
        return True


def _needed(recording: Recording) -> set[Value]:
    """The values that lead to the results."""
    needed = set(recording.outputs)
    for step in reversed(recording.steps):
        if not needed.isdisjoint(step.results):
            needed.update(values_in((step.args, list(step.kwargs.values()))))
    return needed
