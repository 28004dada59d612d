"""The whole operation allowlist through the locked child: nothing is imported that no file can be read for any more.

Each overload stands in an expression that tracing turns into it; the few that tracing never produces go to the verify
job as a graph. Several expressions share one function, so that one jail serves them all in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from qredit.credit import parse_graph
from qredit.credit.opset import INTEGER_OPS, operations
from qredit.sandbox import Accepted, Jail, verify
from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.payloads import VerifyReport, VerifyRequest
from tests.credit.build import document, encoded, named
from tests.credit.corpus import LAYOUT, N_AGENTS, states
from tests.credit.test_opset import CASES

PER_FUNCTION = 12
"""Expressions in one function."""
HEAD = """
import torch
import torch.nn.functional as F

def credit(state):
    x = state["agent"][:, :, 2]
    y = state["agent"][:, :, 0]
    p = state["food"][:, :, :2]
    B = x.shape[0]
    m = x > 1.5
    i = x.long().clamp(0, 2)
    total = x.new_zeros(B, 1)
"""
TERM = "    total = total + 0.0 * torch.nan_to_num(({}).float(), 0.0, 1.0, -1.0).clamp(-9.0, 9.0).sum()\n"

TRACED: Mapping[str, str] = {
    # one number in, one number out
    **{
        f"aten.{name}.default": f"torch.{name}(x)"
        for name in (
            "abs",
            "acos",
            "asin",
            "atan",
            "ceil",
            "cos",
            "erf",
            "exp",
            "exp2",
            "expm1",
            "floor",
            "isinf",
            "isnan",
            "log",
            "log1p",
            "log10",
            "log2",
            "logical_not",
            "nan_to_num",
            "neg",
            "reciprocal",
            "relu",
            "round",
            "rsqrt",
            "sigmoid",
            "sign",
            "sin",
            "sqrt",
            "tan",
            "tanh",
            "trunc",
        )
    },
    **{
        f"aten.{name}.default": f"F.{name}(x)" for name in ("elu", "gelu", "hardtanh", "leaky_relu", "silu", "softplus")
    },
    "aten.bitwise_not.default": "~m",
    "aten.round.decimals": "x.round(decimals=1)",
    # two numbers in, one number out
    "aten.add.Tensor": "x + y",
    "aten.atan2.default": "torch.atan2(x, y)",
    "aten.copysign.Tensor": "x.copysign(y)",
    "aten.div.Tensor": "x / y",
    "aten.div.Tensor_mode": "torch.div(x, 2.0, rounding_mode='floor')",
    "aten.floor_divide.default": "x // 2",
    "aten.fmod.Scalar": "torch.fmod(x, 2.5)",
    **{f"aten.{name}.default": f"torch.{name}(x, y)" for name in ("fmax", "fmin", "hypot", "maximum", "minimum")},
    "aten.mul.Tensor": "x * y",
    "aten.pow.Scalar": "2.0 ** x",
    "aten.pow.Tensor_Scalar": "x ** 2",
    "aten.pow.Tensor_Tensor": "x ** y",
    "aten.remainder.Scalar": "x % 2",
    "aten.remainder.Tensor": "torch.remainder(x, y)",
    "aten.rsub.Scalar": "1 - x",
    "aten.sub.Tensor": "x - y",
    # comparison, logic, choice
    "aten.bitwise_and.Tensor": "m & (y > 1)",
    "aten.bitwise_or.Tensor": "m | (y > 1)",
    "aten.bitwise_xor.Tensor": "m ^ (y > 1)",
    "aten.clamp.default": "x.clamp(0.5, 2.0)",
    "aten.clamp.Tensor": "torch.clamp(x, y, y + 1)",
    "aten.clamp_max.default": "x.clamp_max(2.0)",
    "aten.clamp_max.Tensor": "x.clamp_max(y)",
    "aten.clamp_min.default": "x.clamp_min(1.0)",
    "aten.clamp_min.Tensor": "x.clamp_min(y)",
    **{f"aten.{name}.Scalar": f"x.{name}(1)" for name in ("eq", "ge", "gt", "le", "lt", "ne")},
    **{f"aten.{name}.Tensor": f"x.{name}(y)" for name in ("eq", "ge", "gt", "le", "lt", "ne")},
    **{f"aten.logical_{name}.default": f"torch.logical_{name}(m, x)" for name in ("and", "or", "xor")},
    "aten.masked_fill.Scalar": "x.masked_fill(m, 2.0)",
    "aten.masked_fill.Tensor": "x.masked_fill(m, torch.tensor(2.0))",
    "aten.where.self": "torch.where(m, x, y)",
    # reductions, scans, order
    **{
        f"aten.{name}.default": f"torch.{name}(x)"
        for name in ("all", "amax", "amin", "any", "argmax", "argmin", "max", "mean", "min", "prod", "sum")
    },
    **{f"aten.{name}.dim": f"m.{name}(dim=1)" for name in ("all", "any")},
    **{f"aten.{name}.dim": f"x.{name}(dim=1).values" for name in ("max", "median", "min")},
    **{f"aten.{name}.default": f"x.{name}(dim=1)" for name in ("cumprod", "cumsum", "logsumexp")},
    **{f"aten.{name}.int": f"F.{name}(x, dim=1)" for name in ("log_softmax", "softmax")},
    **{f"aten.{name}.correction": f"x.{name}(dim=1)" for name in ("std", "var")},
    "aten.linalg_vector_norm.default": "x.norm(dim=1)",
    "aten.mean.dim": "x.mean(dim=1)",
    "aten.prod.dim_int": "x.prod(dim=1)",
    "aten.sort.default": "x.sort(dim=1).values",
    "aten.sort.stable": "x.sort(dim=1, stable=True).values",
    "aten.sum.dim_IntList": "x.sum(dim=1)",
    "aten.topk.default": "x.topk(2, dim=1).values",
    # products and distances
    "aten.bmm.default": "torch.bmm(p, p.mT)",
    "aten.cdist.default": "torch.cdist(p, p)",
    "aten.mm.default": "x @ torch.ones(3, 2)",
    "aten.mv.default": "x @ torch.ones(3)",
    # shape
    "aten.cat.default": "torch.cat([x, y], dim=1)",
    "aten.clone.default": "x.clone()",
    "aten.constant_pad_nd.default": "F.pad(x, (1, 0))",
    "aten.detach.default": "x.detach()",
    "aten.diagonal.default": "torch.diagonal(p, dim1=1, dim2=2)",
    "aten.expand.default": "x.unsqueeze(1).expand(B, 2, 3)",
    "aten.flip.default": "x.flip(1)",
    "aten.permute.default": "p.permute(0, 2, 1)",
    "aten.repeat.default": "x.repeat(1, 2)",
    "aten.roll.default": "x.roll(1, dims=1)",
    "aten.select.int": "x[:, 0]",
    "aten.slice.Tensor": "x[:, 1:]",
    "aten.split.Tensor": "x.split(2, dim=1)[0]",
    "aten.split_with_sizes.default": "x.split([1, 2], dim=1)[0]",
    "aten.squeeze.default": "p.squeeze()",
    "aten.squeeze.dim": "x[:, :1].squeeze(1)",
    "aten.squeeze.dims": "x[:, :1].squeeze((1,))",
    "aten.stack.default": "torch.stack([x, y], dim=1)",
    "aten.t.default": "x.t()",
    "aten.transpose.int": "p.transpose(1, 2)",
    "aten.tril.default": "p.tril()",
    "aten.triu.default": "p.triu()",
    "aten.unbind.int": "x.unbind(dim=1)[0]",
    "aten.unsqueeze.default": "x.unsqueeze(1)",
    "aten.view.default": "state['food'].view(B, 9)",
    # reading and writing at indices
    "aten.fill.Scalar": "x.clone().fill_(2.0)",
    "aten.fill.Tensor": "x.clone().fill_(torch.tensor(2.0))",
    "aten.gather.default": "x.gather(1, i)",
    "aten.index.Tensor": "x[:, [2, 0]]",
    "aten.index_put.default": "x.index_copy(1, torch.tensor([2, 0]), y[:, :2])",
    "aten.index_select.default": "x.index_select(1, torch.tensor([2, 0]))",
    "aten.scatter.src": "x.scatter(1, i, y)",
    "aten.scatter.value": "x.scatter(1, i, 2.0)",
    "aten.scatter_add.default": "x.scatter_add(1, i, y)",
    "aten.select_scatter.default": "torch.select_scatter(x, y[:, 0], 1, 0)",
    "aten.slice_scatter.default": "torch.slice_scatter(x, y[:, 1:], 1, 1)",
    # making and converting
    "aten._to_copy.default": "x.double()",
    "aten.arange.default": "torch.arange(3)",
    "aten.arange.start": "torch.arange(1, 3)",
    "aten.arange.start_step": "torch.arange(0, 6, 2)",
    "aten.eye.default": "torch.eye(3)",
    "aten.full.default": "torch.full((B, 3), 0.5)",
    "aten.full_like.default": "torch.full_like(x, 0.5)",
    "aten.linspace.default": "torch.linspace(0, 1, 3)",
    "aten.new_full.default": "x.new_full((B, 2), 0.5)",
    "aten.new_ones.default": "x.new_ones(B, 2)",
    "aten.new_zeros.default": "x.new_zeros(B, 2)",
    "aten.ones.default": "torch.ones(B, 2)",
    "aten.ones_like.default": "torch.ones_like(x)",
    "aten.scalar_tensor.default": "torch.where(m, x, 0.0)",
    "aten.sym_size.int": "torch.ones(B)",
    "aten.zeros.default": "torch.zeros(B, 2)",
    "aten.zeros_like.default": "torch.zeros_like(x)",
    # arithmetic on sizes
    "int.mul": "torch.zeros(B * 3)",
}
"""Overload -> an expression that the gate lets through and that tracing turns into it."""

UNTRACED: frozenset[str] = frozenset(
    {
        "aten._unsafe_view.default", "aten.add.Scalar", "aten.alias.default", "aten.count_nonzero.dim_IntList",
        "aten.div.Scalar", "aten.embedding.default", "aten.mul.Scalar", "aten.square.default", "aten.sub.Scalar",
        "aten.where.Scalar", "aten.where.ScalarOther", "aten.where.ScalarSelf",
    }
)  # fmt: skip
"""What no source that passes the gate becomes: tracing writes the same by other overloads."""

GRAPHS: Mapping[str, tuple[Sequence[Any], Mapping[str, Any]]] = {
    **{op: CASES[op][:2] for op in UNTRACED},
    **{op: ([7, 4], {}) for op in ("int.add", "int.sub", "int.floordiv", "int.mod")},  # nothing traced calculates so
}
"""Overload -> its arguments in a graph that the verify job is given."""


@pytest.fixture(scope="module")
def jail(lockdown_jail: Jail) -> Jail:
    """One warm jail for all."""
    return lockdown_jail


def chunks() -> list[tuple[str, ...]]:
    """The traced overloads, some to a function."""
    names = list(TRACED)
    return [tuple(names[start : start + PER_FUNCTION]) for start in range(0, len(names), PER_FUNCTION)]


def test_every_overload_is_covered() -> None:
    allowed = {*operations(), *INTEGER_OPS}
    assert set(TRACED) | set(GRAPHS) == allowed
    assert set(TRACED) & set(GRAPHS) == set()


@pytest.mark.parametrize("chunk", chunks(), ids=lambda chunk: chunk[0])
def test_traced_and_verified(jail: Jail, chunk: Sequence[str]) -> None:
    source = HEAD + "".join(TERM.format(TRACED[op]) for op in chunk) + "    return x + total\n"
    assert check_gate(source) is None
    verdict = verify(source, layout=LAYOUT, n_agents=N_AGENTS, states=states(8).numpy(), jail=jail)
    assert isinstance(verdict, Accepted), verdict
    assert set(chunk) <= {node.op for node in parse_graph(verdict.payload).nodes}


def graph_with(op: str) -> bytes:
    """Weights `x` plus nothing, made of what the operation (node `n10`) gives."""
    args, kwargs = GRAPHS[op]
    nodes: list[dict[str, Any]] = [{"op": op, "args": named(list(args)), **({"kwargs": kwargs} if kwargs else {})}]
    if op.startswith("int."):
        nodes.append({"op": "aten.ones.default", "args": [["n10"]]})
    last = 9 + len(nodes)
    nodes += [
        {"op": "aten._to_copy.default", "args": [f"n{last}"], "kwargs": {"dtype": "float32"}},
        {"op": "aten.nan_to_num.default", "args": [f"n{last + 1}", 0.0, 1.0, -1.0]},
        {"op": "aten.sum.default", "args": [f"n{last + 2}"]},
        {"op": "aten.mul.Tensor", "args": [f"n{last + 3}", 0.0]},
        {"op": "aten.add.Tensor", "args": ["x", f"n{last + 4}"]},
    ]
    return encoded(document([*nodes[:-1], {**nodes[-1], "args": named(nodes[-1]["args"])}], outputs=[f"n{last + 5}"]))


@pytest.mark.parametrize("op", sorted(GRAPHS))
def test_verified_as_a_graph(jail: Jail, op: str) -> None:
    graph = graph_with(op)
    assert op in {node.op for node in parse_graph(graph).nodes}
    rollout = (states(8) + 0.1).numpy().astype("<f4").tobytes()
    request = VerifyRequest(graph, rollout, LAYOUT, N_AGENTS, "sum_to_n", "enforce")
    result = jail.run("verify", request.to_bytes(), timeout_seconds=60)
    assert result.outcome == "done", result.detail
    report = VerifyReport.from_bytes(result.output)
    assert (report.stage, report.message) == ("", "")
