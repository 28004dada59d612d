"""Credit graphs written by hand, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

HEADER: dict[str, Any] = {
    "form": "weights",
    "has_bias": False,
    "igm": "enforce",
    "n_agents": 3,
    "scale": "sum_to_n",
    "state_size": 21,
}

BASE: list[dict[str, Any]] = [
    {"op": "aten.slice.Tensor", "args": ["state", 1, 0, 3]},  # n0: x [B, 3]
    {"op": "aten.slice.Tensor", "args": ["state", 1, 3, 9]},  # n1
    {"op": "aten.sym_size.int", "args": ["state", 0]},  # n2: B
    {"op": "aten.view.default", "args": ["n1", ["n2", 3, 2]]},  # n3: p [B, 3, 2]
    {"op": "aten.gt.Scalar", "args": ["n0", 4.5]},  # n4: m [B, 3]
    {"op": "aten._to_copy.default", "args": ["n0"], "kwargs": {"dtype": "int64"}},  # n5
    {"op": "aten.clamp.default", "args": ["n5", 0, 2]},  # n6: i [B, 3]
    {"op": "aten.transpose.int", "args": ["n3", 1, 2]},  # n7: t [B, 2, 3]
    {"op": "aten.slice.Tensor", "args": ["state", 1, 9, 12]},  # n8: y [B, 3]
    {"op": "aten.unsqueeze.default", "args": ["n0", 2]},  # n9: u [B, 3, 1]
]
"""Nodes that the tests build on."""

NEXT = len(BASE)
"""Number of the first further node."""

CONSTANTS: list[dict[str, Any]] = [
    {"dtype": "float32", "shape": [], "values": [0.5]},  # c0
    {"dtype": "int64", "shape": [3], "values": [2, 0, 1]},  # c1
    {"dtype": "float32", "shape": [3, 2], "values": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]},  # c2
    {"dtype": "float64", "shape": [3], "values": [1.0, "-inf", 3.0]},  # c3
    {"dtype": "float32", "shape": [3], "values": [1.0, -2.0, 3]},  # c4
]
"""Constants of every graph built here."""

NAMES = {"x": "n0", "B": "n2", "p": "n3", "m": "n4", "raw_i": "n5", "i": "n6", "t": "n7", "y": "n8", "u": "n9"}
"""What the tests call their results."""


def named(value: Any) -> Any:
    """Replace the names by references."""
    if isinstance(value, list):
        return [named(v) for v in value]
    return NAMES.get(value, value) if isinstance(value, str) else value


def document(nodes: Sequence[dict[str, Any]] = (), **changes: Any) -> dict[str, Any]:
    """A graph with further nodes after `BASE` (the first is `n10`) that returns `x`, and with changed parts."""
    content: dict[str, Any] = {
        "format": 1,
        "header": dict(HEADER),
        "constants": list(CONSTANTS),
        "nodes": [*BASE, *nodes],
        "outputs": ["n0"],
    }
    return {**content, **changes}


def encoded(content: Any) -> bytes:
    """As bytes; Python's `inf` and `nan` become the literals that JSON does not have."""
    return json.dumps(content).encode("ascii")


def with_operation(
    op: str, args: Sequence[Any], kwargs: dict[str, Any] | None = None, *, item: int | None = None
) -> dict[str, Any]:
    """A graph whose weights are `y` plus the sum of what one operation (node `n10`) returns."""
    entry: dict[str, Any] = {"op": op, "args": named(list(args))}
    if kwargs:
        entry["kwargs"] = kwargs
    result = "n10" if item is None else f"n10.{item}"
    return document(
        [
            entry,
            {"op": "aten._to_copy.default", "args": [result], "kwargs": {"dtype": "float32"}},
            {"op": "aten.sum.default", "args": ["n11"]},
            {"op": "aten.add.Tensor", "args": ["n8", "n12"]},
        ],
        outputs=["n13"],
    )
