"""One run of a graph without data, at one batch size: shapes, bytes, work, and bounds of what is computed.

It is on the device `meta`, where tensors have a shape and no memory, so a forged `expand` to terabytes costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qredit.credit.decode import shown
from qredit.credit.interpreter import constant_tensor, execute, prepare_inputs, resolved
from qredit.credit.opset import INTEGER_OPS, operations
from qredit.credit.ranges import Bounded, Range, result_range, unknown, value_range
from qredit.credit.schema import Constant, CreditGraph, GraphError, Node, Ref, graph_error
from qredit.credit.shapes import META, shapes_of

RESULTS_LIMIT = 256
"""Tensors that one `split` or `unbind` may return."""
RANK_LIMIT = 8
FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What torch raises for arguments that do not fit."""
_DIVISIONS = frozenset({"div", "floor_divide", "remainder", "fmod"})
_PRODUCTS = frozenset({"bmm", "cdist", "mm", "mv"})
_INDEXED = frozenset({"gather", "scatter", "scatter_add", "index_select", "embedding"})


def result_tensors(graph: CreditGraph, batch: int = 2) -> list[list[Tensor]]:
    """The results of each node for one size of the batch, on the device `meta`; an integer is no tensor."""
    trial = DryRun(graph, batch, Seen())
    trial.run()
    several = (r if isinstance(r, list) else [r] for r in trial.results)
    return [[b.tensor for b in results if isinstance(b, Bounded)] for results in several]


@dataclass(frozen=True)
class _Outcome:
    """What a node gives."""

    result: Any
    """A `Bounded`, several of them, or an integer."""
    tensors: tuple[Tensor, ...]
    """The tensors among it."""
    work: int
    """Multiplications."""


class Seen:
    """What dry runs remember.

    On the device `meta` a result is a shape, and like its bounds it follows from the operation and what is known of the
    arguments. Code that was unrolled repeats itself: most nodes need not be run, nor even looked at.
    """

    def __init__(self) -> None:
        self.outcomes: dict[Any, _Outcome] = {}
        """By operation and arguments with their bounds."""
        self.results: dict[Any, Any] = {}
        """By operation and arguments without them."""
        self._bounded: dict[Any, Bounded] = {}

    def bounded(self, tensor: Tensor, known: Range | None) -> Bounded:
        """The one object that stands for all tensors of a shape, a dtype and bounds; it lives as long as this."""
        return self._bounded.setdefault((*_signature(tensor), known), Bounded(tensor, known))


class DryRun:
    """One dry run."""

    def __init__(self, graph: CreditGraph, batch: int, seen: Seen) -> None:
        self.graph = graph
        self.batch = batch
        self.seen = seen
        self.bytes = 0
        self.work = 0
        self.results: list[Any] = []
        header = graph.header
        state = torch.empty(batch, header.state_size, device=META)
        agents_q = torch.empty(batch, header.n_agents, device=META)
        inputs = prepare_inputs(graph, state, agents_q)
        self.inputs = {name: seen.bounded(tensor, None) for name, tensor in inputs.items()}
        self.constants = [seen.bounded(constant_tensor(c, META), _constant_range(c)) for c in graph.constants]

    def run(self) -> None:
        for index, node in enumerate(self.graph.nodes):
            try:
                self.results.append(self.step(node))
            except GraphError as error:
                raise graph_error(where(self.graph, index), error.cause, error.remedy) from None
            except FAILURES as error:
                raise failed(where(self.graph, index), self.batch, error) from None
        self.check_outputs()

    def check_outputs(self) -> None:
        header = self.graph.header
        for position, (ref, width) in enumerate(zip(self.graph.outputs, header.output_widths, strict=True)):
            tensor = self.lookup(ref).tensor
            if tensor.dtype != torch.float32 or tuple(tensor.shape) != (self.batch, width):
                cause = f"it is {list(tensor.shape)} {tensor.dtype} for a batch of {self.batch}"
                raise graph_error(f"output {position}", cause, f"Return a float32 tensor [B, {width}].")

    def lookup(self, ref: Ref) -> Any:
        if ref.kind == "constant":
            return self.constants[ref.index]
        if ref.kind == "node":
            result = self.results[ref.index]
            return result if ref.item is None else result[ref.item]
        return self.inputs[ref.kind]

    def step(self, node: Node) -> Any:
        key = node.op, self.known(node.args), self.known(node.kwargs)
        outcome = self.seen.outcomes.get(key)
        if outcome is None:
            outcome = self.seen.outcomes[key] = self.outcome(node)
        self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in outcome.tensors)
        self.work += outcome.work
        return outcome.result

    def known(self, value: Any) -> Any:
        """All that decides what an operation does with an argument, as a key; equal numbers differ by type."""
        if isinstance(value, tuple):
            return tuple(map(self.known, value))
        if isinstance(value, Ref):
            value = self.lookup(value)
            if isinstance(value, Bounded):
                return id(value)
        return type(value), value

    def outcome(self, node: Node) -> _Outcome:
        if node.op in INTEGER_OPS:
            return _Outcome(execute(node, self.lookup, META), (), 0)
        named = dict(self.named(node))
        name = node.op.split(".")[1]
        _check_result_count(name, named)
        _check_division(name, named)
        _check_indices(name, named)
        result = self.result(node)
        if isinstance(result, int):
            return _Outcome(result, (), 0)
        several = not isinstance(result, Tensor)
        tensors = tuple(result) if several else (result,)
        for tensor in tensors:
            _check_result(tensor)
        work = 0
        if name in _PRODUCTS:
            work = tensors[0].numel() * named["x1" if name == "cdist" else "self"].tensor.shape[-1]
        bounded = [self.seen.bounded(t, result_range(node.op, named, t, i)) for i, t in enumerate(tensors)]
        return _Outcome(bounded if several else bounded[0], tensors, work)

    def result(self, node: Node) -> Any:
        call, args, kwargs = resolved(node, lambda ref: _tensor(self.lookup(ref)), META)
        key = (node.op, _signature(args), _signature(tuple(kwargs.items())))
        if key not in self.seen.results:
            self.seen.results[key] = shapes_of(call, args, kwargs)
        return self.seen.results[key]

    def named(self, node: Node) -> Iterator[tuple[str, Any]]:
        positional = [p.name for p in operations()[node.op].parameters if not p.keyword]
        for name, value in (*zip(positional, node.args, strict=False), *node.kwargs):
            if isinstance(value, tuple):
                yield name, [self.lookup(v) if isinstance(v, Ref) else v for v in value]
            else:
                yield name, self.lookup(value) if isinstance(value, Ref) else value


def _check_result(tensor: Tensor) -> None:
    if tensor.numel() == 0 or tensor.dim() > RANK_LIMIT:
        raise graph_error("", f"the result {list(tensor.shape)} is empty or has more than {RANK_LIMIT} dimensions")


def _signature(value: Any) -> Any:
    """All that decides what an operation does with an argument on the device `meta`; equal numbers differ by type."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return tuple(map(_signature, value))
    return type(value), value


def _tensor(value: Any) -> Any:
    return value.tensor if isinstance(value, Bounded) else value


def _constant_range(constant: Constant) -> Range | None:
    if not all(math.isfinite(v) for v in constant.values):
        return None
    return Range(min(constant.values), max(constant.values))


def _check_result_count(name: str, named: Mapping[str, Any]) -> None:
    """Before the call: a forged `unbind` of a huge view would return millions of tensors."""
    if name not in ("unbind", "split", "split_with_sizes"):
        return
    tensor = named["self"].tensor
    length = tensor.shape[named.get("dim", 0)]
    if name == "split":
        size = named["split_size"]
        length = -(-length // size) if size > 0 else RESULTS_LIMIT + 1
    if name != "split_with_sizes" and length > RESULTS_LIMIT:
        raise graph_error("", f"it returns {length} tensors, the limit is {RESULTS_LIMIT}")


def _check_division(name: str, named: Mapping[str, Any]) -> None:
    """Integers divided by zero raise or, on some processors, end the process; so does the smallest by -1."""
    if name not in _DIVISIONS or (name == "div" and named.get("rounding_mode") is None):
        return
    operands = [named["self"], named["other"]]
    if any(isinstance(o, float) or (isinstance(o, Bounded) and o.tensor.is_floating_point()) for o in operands):
        return
    divisor = value_range(named["other"])
    if divisor is None or divisor.low < 1:
        raise graph_error(
            "", "the integer divisor may be zero or negative", "Divide floats, or clamp the divisor to 1."
        )


def _check_indices(name: str, named: Mapping[str, Any]) -> None:
    if name in ("index", "index_put"):
        for dim, index in enumerate(named["indices"]):
            if index is not None:
                size = named["self"].tensor.shape[dim]
                _check_index(index, -size, size - 1)
    elif name in _INDEXED:
        table = named["weight" if name == "embedding" else "self"].tensor
        dim = named.get("dim", 0 if name == "embedding" else None)
        size = table.numel() if dim is None else table.shape[dim] if table.dim() else 1
        _check_index(named["indices" if "indices" in named else "index"], 0, size - 1)


def _check_index(index: Bounded, low: int, high: int) -> None:
    if index.tensor.dtype not in (torch.int64, torch.int32):
        remedy = "Use torch.where(mask, a, b) instead of indexing with a mask."
        raise graph_error("", f"an index must be an integer tensor, it is {index.tensor.dtype}", remedy)
    known = index.range or unknown(index.tensor.dtype)
    if known is None or known.low < low or known.high > high:
        cause = f"an index may leave {low}..{high}: nothing proves that it stays inside for every state"
        remedy = f"Convert it to integers first and clamp it last: index.long().clamp({max(low, 0)}, {high})."
        raise graph_error("", cause, remedy)


def failed(where: str, batch: int, error: Exception) -> GraphError:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    cause = f"with a batch of {batch} it fails: {first[:200]}"
    return graph_error(where, cause, "Make it work for every batch size from 1.")


def where(graph: CreditGraph, index: int) -> str:
    return f"node n{index} ({shown(graph.nodes[index].op)})"
