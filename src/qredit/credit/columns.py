"""Which numbers of a state a credit function reads."""

from __future__ import annotations

from qredit.credit.schema import CreditGraph, Node, Ref
from qredit.credit.simplify import references, simplify

_STATE = Ref("state")


def columns_read(graph: CreditGraph) -> list[int]:
    """Numbers of the state, out of `S`, on which the graph's results may depend, in ascending order.

    Read off the graph: a state is cut along its numbers first, as `layout.named` does, or else all of it counts.
    """
    size = graph.header.state_size
    read: set[int] = set()
    for node in simplify(graph, gradients_of=frozenset()).nodes.values():
        if _STATE in references(node):
            read.update(_cut(node, size))
    return sorted(read)


def _cut(node: Node, size: int) -> range:
    """What a node reads of the state."""
    everything = range(size)
    if node.op == "aten.sym_size.int" and node.args[1:] == (0,):  # the size of the batch
        return range(0)
    first, *rest = node.args
    numbers = [value for value in rest if type(value) is int]
    if first != _STATE or node.kwargs or len(numbers) < len(rest) or numbers[0] not in (1, -1):
        return everything
    if node.op == "aten.slice.Tensor" and len(numbers) in (3, 4):
        start, end, *step = numbers[1:]
        return everything[start : end : step[0] if step else 1]
    if node.op == "aten.select.int":
        place = numbers[1] % size
        return everything[place : place + 1]
    return everything
