"""The allowlist: against torch's own schemas, and each operation run once."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
import torch

from qredit.credit import interpret, parse_graph, specialise
from qredit.credit.dry_run import result_tensors
from qredit.credit.opset import DTYPES, INTEGER_OPS, operations
from qredit.credit.optable import TABLE
from tests.credit.build import NEXT, document, encoded, with_operation
from tests.credit.corpus import states

Case = tuple[list[Any], dict[str, Any], int | None]


def case(*args: Any, item: int | None = None, **kwargs: Any) -> Case:
    return list(args), kwargs, item


def words(text: str) -> list[str]:
    return text.split()


# Arguments by operation; the names are those of `build.NAMES`.
CASES: dict[str, Case] = {
    **{
        f"aten.{name}.default": case("x")
        for name in words(
            "abs asin acos atan ceil cos elu erf exp exp2 expm1 floor gelu hardtanh isinf isnan leaky_relu log"
            " log10 log1p log2 logical_not neg nan_to_num reciprocal relu round rsqrt sigmoid sign silu sin softplus"
            " sqrt square tan tanh trunc any all argmax argmin max min mean sum amax amin prod clone detach alias"
            " squeeze full_like ones_like zeros_like"
        )
    },
    **{
        f"aten.{name}.Scalar": case("x", 2.5) for name in words("add sub mul div eq ne lt le gt ge fmod remainder rsub")
    },
    **{
        f"aten.{name}.Tensor": case("x", "y")
        for name in words("add sub mul div eq ne lt le gt ge remainder copysign clamp_max clamp_min clamp")
    },
    **{
        f"aten.{name}.default": case("x", "y")
        for name in words("atan2 hypot maximum minimum fmax fmin floor_divide logical_and logical_or logical_xor")
    },
    **{f"aten.bitwise_{name}.Tensor": case("m", "m") for name in ("and", "or", "xor")},
    **{f"aten.{name}.dim": case("x", 1, True) for name in ("any", "all")},
    **{f"aten.{name}.dim": case("x", 1, item=1) for name in ("max", "min", "median")},
    **{f"aten.{name}.correction": case("x", [1], keepdim=True, correction=0) for name in ("std", "var")},
    **{f"aten.{name}.default": case("x", 1) for name in ("cumsum", "cumprod", "unsqueeze", "clamp_min", "clamp_max")},
    **{f"aten.{name}.int": case("x", 1) for name in ("softmax", "log_softmax")},
    "aten.bitwise_not.default": case("m"),
    "aten.clamp.default": case("x", None, 3),
    "aten.full_like.default": case("x", 2.0),
    "aten.round.decimals": case("x", decimals=1),
    "aten.div.Tensor_mode": case("x", "y", rounding_mode="trunc"),
    "aten.pow.Scalar": case(1.5, "x"),
    "aten.pow.Tensor_Scalar": case("x", 2),
    "aten.pow.Tensor_Tensor": case("x", "y"),
    "aten.masked_fill.Scalar": case("x", "m", "inf"),
    "aten.masked_fill.Tensor": case("x", "m", "c0"),
    "aten.where.self": case("m", "x", "y"),
    "aten.where.Scalar": case("m", 1.0, 0.0),
    "aten.where.ScalarOther": case("m", "x", 0.0),
    "aten.where.ScalarSelf": case("m", -1, "y"),
    "aten.argmax.default": case("x", 1, True),
    "aten.amax.default": case("x", [1]),
    "aten.count_nonzero.dim_IntList": case("x", [1]),
    "aten.linalg_vector_norm.default": case("x", 1, [1], True),
    "aten.logsumexp.default": case("x", [1]),
    "aten.mean.dim": case("x", [1], True),
    "aten.sum.dim_IntList": case("p", [1, 2], dtype="float64"),
    "aten.prod.dim_int": case("x", 1),
    "aten.sort.default": case("x", 1, True, item=0),
    "aten.sort.stable": case("x", stable=True, dim=1, item=1),
    "aten.topk.default": case("x", 2, 1, item=1),
    "aten.bmm.default": case("p", "t"),
    "aten.cdist.default": case("p", "p", 1.0),
    "aten.mm.default": case("x", "c2"),
    "aten.mv.default": case("x", "c4"),
    "aten._unsafe_view.default": case("x", ["B", 3, 1]),
    "aten.cat.default": case(["x", "y"], 1),
    "aten.stack.default": case(["x", "y"], 1),
    "aten.clone.default": case("t", memory_format="contiguous_format"),
    "aten.constant_pad_nd.default": case("x", [1, 1], 2.0),
    "aten.diagonal.default": case("p", 0, 1, 2),
    "aten.expand.default": case("x", [2, "B", 3]),
    "aten.flip.default": case("x", [1]),
    "aten.permute.default": case("p", [0, 2, 1]),
    "aten.repeat.default": case("x", [1, 2]),
    "aten.roll.default": case("x", [1], [1]),
    "aten.select.int": case("x", 1, -1),
    "aten.slice.Tensor": case("x", 1, 0, 2147483647),
    "aten.split.Tensor": case("x", 2, 1, item=1),
    "aten.split_with_sizes.default": case("x", [1, 2], 1, item=1),
    "aten.squeeze.dim": case("x", 0),
    "aten.squeeze.dims": case("x", [0]),
    "aten.t.default": case("x"),
    "aten.transpose.int": case("p", 1, 2),
    "aten.tril.default": case("p"),
    "aten.triu.default": case("p", 1),
    "aten.unbind.int": case("x", 1, item=2),
    "aten.view.default": case("x", ["B", -1, 1]),
    "aten.embedding.default": case("c2", "i"),
    "aten.fill.Scalar": case("x", 3.0),
    "aten.fill.Tensor": case("x", "c0"),
    "aten.gather.default": case("x", 1, "i"),
    "aten.index.Tensor": case("x", [None, "c1"]),
    "aten.index_put.default": case("x", [None, "c1"], "y"),
    "aten.index_select.default": case("x", 1, "c1"),
    "aten.scatter.src": case("x", 1, "i", "y"),
    "aten.scatter.value": case("x", 1, "i", 2.0),
    "aten.scatter_add.default": case("x", 1, "i", "y"),
    "aten.select_scatter.default": case("p", "x", 2, 0),
    "aten.slice_scatter.default": case("p", "u", 2, 0, 1),
    "aten._to_copy.default": case("x", dtype="int32"),
    "aten.arange.default": case(4),
    "aten.arange.start": case(1, 4),
    "aten.arange.start_step": case(0, 6, 2, dtype="float32"),
    "aten.eye.default": case(3),
    "aten.full.default": case(["B", 3], 0.5),
    "aten.linspace.default": case(0, 1, 5),
    "aten.new_full.default": case("x", ["B"], 2.0),
    "aten.new_ones.default": case("x", ["B", 2]),
    "aten.new_zeros.default": case("x", ["B", 2], dtype="bool"),
    "aten.ones.default": case(["B"]),
    "aten.scalar_tensor.default": case(2.0),
    "aten.zeros.default": case([2, "B"]),
}

NOT_DIFFERENTIABLE = {"aten.floor_divide.default"}
"""Torch has no derivative of it, neither here nor in Python."""


def test_each_line_is_what_torch_says() -> None:
    """Names, types, defaults and order; what is left out must have a default, and nothing is written in place."""
    lines = [line for line in TABLE.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(operations())
    for line in lines:
        name, _, ours = line.partition("(")
        packet, _, overload = name.partition(".")
        schema = getattr(getattr(torch.ops.aten, packet), overload or "default")._schema
        assert not schema.is_mutable, line
        theirs = re.sub(r"\(a[^)]*\)", "", str(schema)).partition("(")[2].rpartition(") -> ")[0].split(", ")
        arguments = ours.rpartition(") -> ")[0].replace("Operand", "Tensor").split(", ")
        positional = arguments[: arguments.index("*")] if "*" in arguments else arguments
        assert positional == theirs[: len(positional)], line
        assert set(arguments) - {"*"} <= set(theirs), line
        assert all("=" in a for a in set(theirs) - set(arguments) - {"*"}), line
        result = re.sub(r"\(a[^)]*\)", "", str(schema)).rpartition(" -> ")[2]
        assert result in ("Tensor", "SymInt", "Tensor[]", "(Tensor values, Tensor indices)"), line


def test_what_must_never_be_allowed() -> None:
    names = {name.split(".")[1] for name in operations()}
    assert not names & {
        "from_file",
        "set_",
        "resize_",
        "as_strided",
        "item",
        "_local_scalar_dense",
        "nonzero",
        "unique",
    }
    forbidden = ("empty", "rand", "bernoulli", "multinomial", "dropout", "normal_", "from_", "copy_")
    assert [n for n in names if n.startswith(forbidden) or (n.endswith("_") and not n.startswith("__"))] == []
    assert all(name.startswith("aten.") for name in operations())
    assert 120 <= len(operations()) <= 190


def test_every_operation_has_a_case() -> None:
    assert set(CASES) == set(operations()) - {"aten.sym_size.int"}


@pytest.mark.parametrize("op", sorted(CASES))
def test_operation_runs(op: str) -> None:
    """Parsed, interpreted and specialised, with equal results; a gradient flows back without an error."""
    graph = parse_graph(encoded(with_operation(op, *CASES[op][:2], item=CASES[op][2])))
    assert op in {node.op for node in graph.nodes}
    for batch in (1, 2, 5):
        outcomes = []
        for run in (partial(interpret, graph), specialise(graph)):
            state = states(batch).requires_grad_(op not in NOT_DIFFERENTIABLE)
            (weights,) = run(state=state)
            assert weights.shape == (batch, 3)
            gradient = torch.autograd.grad(weights.sum(), [state])[0] if state.requires_grad else weights
            outcomes.append((weights.detach(), gradient))
        assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*outcomes, strict=True))


def node(op: str, *args: Any) -> dict[str, Any]:
    return {"op": op, "args": list(args)}


@pytest.mark.parametrize(
    ("nodes", "slope", "offset"),
    [
        ([node("int.add", "n2", 2)], 1, 2),
        ([node("int.sub", "n2", 1), node("int.add", "n10", 1)], 1, 0),
        ([node("int.mul", "n2", 3)], 3, 0),
        ([node("int.mul", "n2", 6), node("int.floordiv", "n10", 3)], 2, 0),
        ([node("int.mod", 7, 4)], 0, 3),
    ],
)
def test_arithmetic_on_sizes(nodes: list[dict[str, Any]], slope: int, offset: int) -> None:
    """Counts the ones of a vector that is as long as the result says."""
    n = NEXT + len(nodes)
    further = [
        node("aten.ones.default", [f"n{n - 1}"]),
        node("aten.sum.default", f"n{n}"),
        node("aten.mul.Tensor", "n0", 0),
        node("aten.add.Tensor", f"n{n + 2}", f"n{n + 1}"),
    ]
    graph = parse_graph(encoded(document([*nodes, *further], outputs=[f"n{n + 3}"])))
    for batch in (1, 4):
        for (result,) in (interpret(graph, state=states(batch)), specialise(graph)(state=states(batch))):
            assert result[0, 0].item() == slope * batch + offset
    assert set(INTEGER_OPS) == {"int.add", "int.sub", "int.mul", "int.floordiv", "int.mod"}


@pytest.mark.parametrize(
    ("args", "dtype"),
    [
        (["raw_i", "x"], torch.float32),
        (["m", "raw_i"], torch.int64),
        (["x", "c3"], torch.float64),
        (["raw_i", 0.5], torch.float32),
        (["raw_i", True], torch.int64),
    ],
)
def test_dtype_promotion_follows_torch(args: list[Any], dtype: torch.dtype) -> None:
    graph = parse_graph(encoded(with_operation("aten.add.Tensor", args)))
    assert result_tensors(graph)[NEXT][0].dtype == dtype
    assert len(DTYPES) == 6
