"""Which nodes of a graph do the same work, which are used at all, and through which a gradient flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qredit.credit.dry_run import result_tensors
from qredit.credit.schema import Argument, CreditGraph, InputName, Node, Ref


@dataclass(frozen=True)
class Simplified:
    """The work of a graph without repetition and without what nobody reads."""

    nodes: Mapping[int, Node]
    """The nodes that remain, by their number in the graph, in ascending order."""
    outputs: tuple[Ref, ...]
    """The graph's outputs among them."""


def simplify(graph: CreditGraph, *, gradients_of: frozenset[InputName]) -> Simplified:
    """Share equal nodes and drop unused ones.

    Args:
        graph: from `parse_graph`.
        gradients_of: inputs that may ask for a gradient. Nodes through which it flows are not shared: that would add
            the gradients of both uses before they flow back instead of after, which rounds differently.
    """
    carriers = gradient_carriers(graph, gradients_of)
    first: dict[str, int] = {}
    moved: dict[int, int] = {}
    nodes: dict[int, Node] = {}
    for index, node in enumerate(graph.nodes):
        args = tuple(_moved(a, moved) for a in node.args)
        kwargs = tuple((name, _moved(a, moved)) for name, a in node.kwargs)
        nodes[index] = Node(node.op, args, kwargs)
        if index not in carriers:
            key = repr(nodes[index])  # `repr` tells 1, 1.0 and True apart, and 0.0 from -0.0
            moved[index] = first.setdefault(key, index)
    outputs = tuple(_moved_ref(ref, moved) for ref in graph.outputs)
    used = {ref.index for ref in outputs if ref.kind == "node"}
    for index in reversed(range(len(graph.nodes))):
        if index in used:
            used |= {ref.index for ref in references(nodes[index]) if ref.kind == "node"}
    return Simplified({index: nodes[index] for index in sorted(used)}, outputs)


def gradient_carriers(graph: CreditGraph, gradients_of: frozenset[InputName]) -> set[int]:
    """Numbers of the nodes with a floating-point result that depends on these inputs through such results."""
    carriers: set[int] = set()
    for index, (node, tensors) in enumerate(zip(graph.nodes, result_tensors(graph), strict=True)):
        reached = any(
            ref.kind in gradients_of or (ref.kind == "node" and ref.index in carriers) for ref in references(node)
        )
        if reached and any(t.is_floating_point() for t in tensors):
            carriers.add(index)
    return carriers


def references(node: Node) -> Iterator[Ref]:
    """Every reference among a node's arguments."""
    for argument in (*node.args, *(value for _, value in node.kwargs)):
        for value in argument if isinstance(argument, tuple) else (argument,):
            if isinstance(value, Ref):
                yield value


def _moved(argument: Argument, moved: Mapping[int, int]) -> Argument:
    if isinstance(argument, tuple):
        return tuple(_moved(a, moved) for a in argument)
    return _moved_ref(argument, moved) if isinstance(argument, Ref) else argument


def _moved_ref(ref: Ref, moved: Mapping[int, int]) -> Ref:
    return Ref("node", moved.get(ref.index, ref.index), ref.item) if ref.kind == "node" else ref
