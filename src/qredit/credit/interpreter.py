"""The reference interpreter: a credit graph, node by node, in the plainest way; what is faster is tested against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from qredit.credit.decode import INTEGER_LIMIT
from qredit.credit.opset import DTYPES, INTEGER_OPS, MEMORY_FORMATS, operations
from qredit.credit.schema import Argument, Constant, CreditGraph, Node, Ref, graph_error

Lookup = Callable[[Ref], Any]


def interpret(graph: CreditGraph, *, state: Tensor, agents_q: Tensor | None = None) -> tuple[Tensor, ...]:
    """Run a graph.

    Args:
        graph: from `parse_graph`.
        state: `[B, S]`, float32, on any device; what the graph makes (zeros, constants) goes to the same device.
        agents_q: `[B, N]`, float32; needed by the general form, ignored by all others.

    Returns:
        Weights `[B, N]` and, if the header says so, a bias `[B, 1]`; in the general form `Q_tot [B, 1]`, in the others
        shares `[B, N]` or values `[B, 1]`. Neither scale nor IGM is applied: `apply_form` and `credit_weights` do that.
    """
    inputs = prepare_inputs(graph, state, agents_q)
    constants = [constant_tensor(c, state.device) for c in graph.constants]
    results: list[Any] = []

    def lookup(ref: Ref) -> Any:
        if ref.kind == "constant":
            return constants[ref.index]
        if ref.kind == "node":
            return results[ref.index] if ref.item is None else results[ref.index][ref.item]
        return inputs[ref.kind]

    for node in graph.nodes:
        results.append(execute(node, lookup, state.device))
    return tuple(lookup(ref) for ref in graph.outputs)


def prepare_inputs(graph: CreditGraph, state: Tensor, agents_q: Tensor | None) -> Mapping[str, Tensor]:
    """Check the inputs' shapes and dtype; contiguous, because the graph's views were recorded on such inputs."""
    inputs = {"state": _prepare("state", state, graph.header.state_size)}
    if graph.header.form == "general":
        if agents_q is None:
            raise ValueError("the general form needs agents_q [B, N]")
        inputs["agents_q"] = _prepare("agents_q", agents_q, graph.header.n_agents)
    return inputs


def _prepare(name: str, value: Tensor, width: int) -> Tensor:
    if value.dim() != 2 or value.shape[1] != width or value.dtype != torch.float32:
        raise ValueError(f"{name} must be [B, {width}] float32, it is {list(value.shape)} {value.dtype}")
    return value.contiguous()


def constant_tensor(constant: Constant, device: torch.device) -> Tensor:
    """The constant as a tensor of its shape."""
    return torch.tensor(constant.values, dtype=DTYPES[constant.dtype], device=device).reshape(constant.shape)


def execute(node: Node, lookup: Lookup, device: torch.device) -> Any:
    """Run one node: a tensor, an integer, or a sequence of tensors."""
    call, args, kwargs = resolved(node, lookup, device)
    return call(*args, **kwargs)


def resolved(
    node: Node, lookup: Lookup, device: torch.device
) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """The callable of a node and all its arguments."""
    call, args, kwargs = bind(node, device)
    return call, [_resolve(a, lookup) for a in args], {name: _resolve(a, lookup) for name, a in kwargs.items()}


def bind(node: Node, device: torch.device) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """The callable of a node and its arguments, in which only references are still open."""
    if node.op in INTEGER_OPS:
        return _INTEGER[node.op], node.args, {}
    operation = operations()[node.op]
    types = {p.name: p.type for p in operation.parameters}
    positional = [p.type for p in operation.parameters if not p.keyword]
    args = [_named_value(kind, a) for kind, a in zip(positional, node.args, strict=False)]
    kwargs = {name: _named_value(types[name], a) for name, a in node.kwargs}
    if operation.is_factory:
        kwargs["device"] = device
    return operation.call, args, kwargs


def _named_value(kind: str, value: Argument) -> Any:
    if isinstance(value, str):
        if kind == "ScalarType":
            return DTYPES[value]
        if kind == "MemoryFormat":
            return MEMORY_FORMATS[value]
    return value


def _resolve(value: Any, lookup: Lookup) -> Any:
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, tuple):
        return [_resolve(v, lookup) for v in value]
    return value


def _checked(result: int) -> int:
    if abs(result) >= INTEGER_LIMIT:
        raise graph_error("arithmetic on sizes", "the result is 2**31 or more")
    return result


def _divisor(value: int) -> int:
    if value == 0:
        raise graph_error("arithmetic on sizes", "it divides by zero")
    return value


_INTEGER: Mapping[str, Callable[[int, int], int]] = {
    "int.add": lambda a, b: _checked(a + b),
    "int.sub": lambda a, b: _checked(a - b),
    "int.mul": lambda a, b: _checked(a * b),
    "int.floordiv": lambda a, b: _checked(a // _divisor(b)),
    "int.mod": lambda a, b: _checked(a % _divisor(b)),
}
