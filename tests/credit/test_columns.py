"""What a credit function reads of the state."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from qredit.credit import interpret, parse_graph
from qredit.credit.columns import columns_read
from qredit.sandbox.tracing.trace import trace_source
from tests.credit.build import document, encoded
from tests.credit.corpus import CORPUS, LAYOUT, N_AGENTS, Function, agents_q, states


def read_by(nodes: list[dict[str, Any]], output: str = "n10") -> list[int]:
    """Columns of a graph of 21 numbers per state that has these nodes from `n10` on."""
    return columns_read(parse_graph(encoded(document(nodes, outputs=[output]))))


@pytest.mark.parametrize(
    ("op", "args", "columns"),
    [
        ("aten.slice.Tensor", [1, 4, 7], [4, 5, 6]),
        ("aten.slice.Tensor", [-1, 4, 7], [4, 5, 6]),
        ("aten.slice.Tensor", [1, -3, 100], [18, 19, 20]),
        ("aten.slice.Tensor", [1, 0, 5, 2], [0, 2, 4]),
    ],
)
def test_cuts(op: str, args: list[int], columns: list[int]) -> None:
    assert read_by([{"op": op, "args": ["state", *args]}]) == columns


@pytest.mark.parametrize(("place", "column"), [(2, 2), (-1, 20), (-21, 0)])
def test_one_number(place: int, column: int) -> None:
    one = {"op": "aten.select.int", "args": ["state", 1, place]}
    added = {"op": "aten.unsqueeze.default", "args": ["n10", 1]}
    assert read_by([one, added, {"op": "aten.add.Tensor", "args": ["n8", "n11"]}], "n12") == sorted({column, 9, 10, 11})


@pytest.mark.parametrize(
    "first",
    [
        {"op": "aten.slice.Tensor", "args": ["state", 0, 0, 1]},
        {"op": "aten.mul.Scalar", "args": ["state", 2.0]},
        {"op": "aten.flip.default", "args": ["state", [1]]},
    ],
    ids=["rows", "all numbers", "turned round"],
)
def test_what_is_not_cut_along_its_numbers_counts_as_a_whole(first: dict[str, Any]) -> None:
    cut = {"op": "aten.slice.Tensor", "args": ["n10", 1, 0, 3]}
    assert read_by([first, cut, {"op": "aten.add.Tensor", "args": ["n8", "n11"]}], "n12") == list(range(21))


def test_what_nobody_uses_is_not_read() -> None:
    unused = {"op": "aten.slice.Tensor", "args": ["state", 1, 12, 21]}
    assert read_by([unused], "n8") == [9, 10, 11]


@pytest.mark.parametrize("function", [f for f in CORPUS if not f.general], ids=lambda f: f.name)
def test_other_numbers_change_nothing(function: Function) -> None:
    graph = parse_graph(trace_source(function.source, LAYOUT, N_AGENTS, scale="sum_to_n", igm="enforce"))
    read = columns_read(graph)
    here, there = states(16), states(16, seed=1)
    there[:, read] = here[:, read]
    found = (interpret(graph, state=state, agents_q=agents_q(16)) for state in (here, there))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
