"""One node of a credit graph as one expression of plain torch: the public functions that old versions have too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from qredit.credit.opset import INTEGER_OPS, operations
from qredit.credit.plain_call import Call, dtype_text
from qredit.credit.schema import Argument, Node, Ref

OLDEST = (1, 10)
"""The torch version that the expressions are for; `torch_version` names those that need a later one."""

_INFIX: Mapping[str, str] = MappingProxyType(
    {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "mul": "*", "div": "/"}
    | {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
)
_FUNCTIONAL = frozenset({"elu", "gelu", "hardtanh", "leaky_relu", "silu", "softplus"})
"""What stands in `torch.nn.functional` alone."""
_METHODS = frozenset({"clone", "detach", "new_full", "new_ones", "new_zeros", "squeeze", "t"})
_SPREAD: Mapping[str, str] = MappingProxyType(
    {"_unsafe_view": "reshape", "expand": "expand", "permute": "permute", "repeat": "repeat", "view": "reshape"}
)
"""Methods whose list of numbers is written without brackets. `reshape` is `view` wherever a view is possible."""
_INTEGER = MappingProxyType(dict(zip(INTEGER_OPS, ("+", "-", "*", "//", "%"), strict=True)))
_ALL_DIMS = frozenset({"aten.mean.dim", "aten.sum.dim_IntList"})
_LATER: Mapping[str, tuple[int, int]] = MappingProxyType({"aten.round.decimals": (1, 11)})


def expression(
    node: Node, name_of: Callable[[Ref], str], tensor_of: Callable[[Ref], Tensor], dtype: torch.dtype | None
) -> str:
    """A node as an expression.

    Args:
        node: of a checked graph.
        name_of: how a reference is written.
        tensor_of: a tensor of the shape and dtype of what a reference names.
        dtype: of the result; None for an integer.
    """
    if node.op in INTEGER_OPS:
        left, right = (name_of(a) if isinstance(a, Ref) else f"({a})" for a in node.args)
        return f"{left} {_INTEGER[node.op]} {right}"
    return _written(Call(operations()[node.op], _given(node), name_of, tensor_of, dtype))


def torch_version(node: Node) -> tuple[int, int]:
    """The first version of torch that has what `expression` writes."""
    values = _given(node)
    if node.op.startswith(("aten.std.", "aten.var.")) and values.get("correction", 1) not in (0, 1):
        return (2, 0)
    if node.op.startswith("aten.gelu.") and values.get("approximate", "none") != "none":
        return (1, 12)
    return _LATER.get(node.op, OLDEST)


def _given(node: Node) -> dict[str, Argument]:
    if node.op in INTEGER_OPS:
        return {}
    positional = [p.name for p in operations()[node.op].parameters if not p.keyword]
    pairs = (*zip(positional, node.args, strict=False), *node.kwargs)
    return {name: value for name, value in pairs if value is not None}


def _written(c: Call) -> str:
    name, packet = c.operation.name, c.packet
    special = _SPECIAL.get(name) or _SPECIAL.get(packet)
    if special is not None:
        return special(c)
    if packet in _INFIX:
        return f"{c.operand('self')} {_INFIX[packet]} {c.operand('other')}"
    if packet in _SPREAD:
        ((sizes, _),) = ((n, v) for n, v in c.values.items() if n != "self")
        return f"{c.text('self')}.{_SPREAD[packet]}({c.text(sizes)[1:-1].rstrip(',')})"
    if packet in _METHODS:
        return c.call(f"{c.text('self')}.{packet}", leave_out=("self",))
    if c.operation.is_factory:
        return c.call(f"torch.{packet}", ("dtype",), dtype=_dtype(c), device="state.device")
    return c.call(f"{'F' if packet in _FUNCTIONAL else 'torch'}.{packet}")


def _dtype(c: Call) -> str:
    assert c.dtype is not None
    return dtype_text(c.dtype)


def _sum(sign: str) -> Callable[[Call], str]:
    def write(c: Call) -> str:
        if c.values.get("alpha", 1) != 1:
            return c.call(f"torch.{c.packet}")
        first, second = ("other", "self") if c.packet == "rsub" else ("self", "other")
        return f"{c.operand(first)} {sign} {c.operand(second)}"

    return write


def _all_dims(c: Call) -> str:
    """A missing list of dimensions, which old versions do not take, is all of them."""
    if "dim" in c.values:
        return c.call(f"torch.{c.packet}")
    return c.call(f"torch.{c.packet}", dim=str(tuple(range(c.rank))))


def _deviation(c: Call) -> str:
    """`std` and `var`: `correction` has a name of its own in old versions if it is 0 or 1."""
    correction = c.values.get("correction", 1)
    further = {} if "dim" in c.values else {"dim": str(tuple(range(c.rank)))}
    if correction in (0, 1):
        return c.call(f"torch.{c.packet}", ("correction",), **further, unbiased=str(correction == 1))
    return c.call(f"torch.{c.packet}", **further)


def _elu(c: Call) -> str:
    if all(c.values.get(name, 1) == 1 for name in ("scale", "input_scale")):
        return c.call("F.elu", ("scale", "input_scale"))
    scales = (c.text(name) if name in c.values else "1" for name in ("alpha", "scale", "input_scale"))
    return f"torch.ops.aten.elu({c.text('self')}, {', '.join(scales)})"


def _gelu(c: Call) -> str:
    return c.call("F.gelu", ("approximate",) if c.values.get("approximate") == "none" else ())


def _part(c: Call) -> str:
    """One index, or a slice, of one dimension, as it stands between square brackets or in a tuple."""
    if "index" in c.values:
        return c.text("index")
    bounds = [c.text(name) if c.values.get(name) not in (None, open_) else "" for name, open_ in _OPEN]
    step = c.text("step") if c.values.get("step", 1) != 1 else ""
    return ":".join([*bounds, *([step] if step else [])])


_OPEN = (("start", 0), ("end", 2**31 - 1))
"""What a slice says for `from the first` and `to the last`."""


def _taken(c: Call) -> str:
    return f"{c.text('self')}[{':, ' * c.dim()}{_part(c)}]"


def _replaced(c: Call) -> str:
    part = _part(c)
    if "index" not in c.values:
        part = f"slice({', '.join(text or 'None' for text in part.split(':'))})"
    return _with_values(c, ["slice(None)"] * c.dim() + [part], "src")


def _with_values(c: Call, place: Sequence[str], values: str) -> str:
    return f"_with_values({c.text('self')}, ({', '.join(place)},), {c.text(values)})"


def _indices(c: Call, free: str) -> list[str] | None:
    """The index of each dimension; None if one has no dimension: Python takes that for a plain number."""
    indices = c.values["indices"]
    assert isinstance(indices, tuple)
    if any(isinstance(i, Ref) and not c.tensor_of(i).dim() for i in indices):
        return None
    return [c.name_of(i) if isinstance(i, Ref) else free for i in indices]


def _index(c: Call) -> str:
    places = _indices(c, ":")
    return _overload(c) if places is None else f"{c.text('self')}[{', '.join(places)}]"


def _index_put(c: Call) -> str:
    places = _indices(c, "slice(None)")
    return _overload(c) if places is None else _with_values(c, places, "values")


def _overload(c: Call) -> str:
    return f"torch.ops.aten.{c.packet}({', '.join(c.text(name) for name in c.values)})"


def _squeeze_dims(c: Call) -> str:
    dims = c.values["dim"]
    assert isinstance(dims, tuple)
    places = sorted((d % max(c.rank, 1) for d in dims if isinstance(d, int)), reverse=True)
    return c.text("self") + "".join(f".squeeze({d})" for d in places)


def _where(c: Call) -> str:
    """Old versions neither promote dtypes here nor take a number beside a tensor."""
    texts = [c.text("condition")]
    tensor = next((c.text(n) for n in ("self", "other") if c.is_tensor(n)), None)
    for name in ("self", "other"):
        value, text = c.values[name], c.text(name)
        if c.is_tensor(name):
            assert isinstance(value, Ref)
            text += f".to({_dtype(c)})" if c.tensor_of(value).dtype != c.dtype else ""
        elif tensor is not None:
            text = f"{tensor}.new_full((), {text}, dtype={_dtype(c)})"
        texts.append(text)
    return f"torch.where({', '.join(texts)})"


def _converted(c: Call) -> str:
    return f"{c.text('self')}.to({c.text('dtype')})" if "dtype" in c.values else f"{c.text('self')}.clone()"


_SPECIAL: Mapping[str, Callable[[Call], str]] = MappingProxyType(
    {
        "_to_copy": _converted,
        "add": _sum("+"),
        "alias": lambda c: f"{c.text('self')}[...]",
        "bitwise_not": lambda c: f"~{c.text('self')}",
        "constant_pad_nd": lambda c: c.call("F.pad"),
        "aten.div.Tensor_mode": lambda c: c.call("torch.div"),
        "elu": _elu,
        "embedding": lambda c: f"F.embedding({c.text('indices')}, {c.text('weight')})",
        "fill": lambda c: f"{c.text('self')}.clone().fill_({c.text('value')})",
        "floor_divide": lambda c: f"torch.div({c.text('self')}, {c.text('other')}, rounding_mode='floor')",
        "gelu": _gelu,
        "index": _index,
        "index_put": _index_put,
        "linalg_vector_norm": lambda c: c.call("torch.linalg.vector_norm"),
        "neg": lambda c: f"-{c.text('self')}",
        "rsub": _sum("-"),
        "scalar_tensor": lambda c: f"torch.full((), {c.text('s')}, dtype={_dtype(c)}, device=state.device)",
        "select": _taken,
        "select_scatter": _replaced,
        "slice": _taken,
        "slice_scatter": _replaced,
        "split_with_sizes": lambda c: c.call("torch.split"),
        "aten.squeeze.dims": _squeeze_dims,
        "std": _deviation,
        "sub": _sum("-"),
        "sym_size": lambda c: f"{c.text('self')}.size({c.text('dim')})",
        "var": _deviation,
        "where": _where,
        **dict.fromkeys(_ALL_DIMS, _all_dims),
    }
)
"""By operation, or by its name without the overload: what is not just a function of the same name."""
