"""Between which bounds the values of a tensor certainly lie: what makes reading at computed indices safe.

An index that is out of range kills a training on a GPU, long after the check. So an index operand needs bounds that
hold for every state: it comes from arange, argmax, topk, sort, a constant, `% n` or an integer clamp, perhaps reshaped
or shifted. A float that may be NaN has no bounds, not even after a clamp, because NaN passes through it and becomes an
arbitrary integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds, both inclusive."""

    low: float
    """No value is smaller; -inf for integers of which nothing is known."""
    high: float
    """No value is larger."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A tensor without data (device `meta`) and what is known of its values."""

    tensor: Tensor
    """Shape and dtype."""
    range: Range | None
    """None for a float that may be anything, NaN included."""


Named = Mapping[str, Any]
_EXACT = 2**24
"""Integers up to here are exact in float32."""

_SAME_AS_SELF = frozenset(
    (
        "_unsafe_view", "alias", "clone", "detach", "diagonal", "expand", "flip", "permute", "repeat",
        "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose",
        "unbind", "unsqueeze", "view", "gather", "index", "index_select", "amax", "amin", "max",
        "min", "floor", "ceil", "round", "trunc", "sort", "topk", "median",
    )
)  # fmt: skip
_INDICES = frozenset({"argmax", "argmin"})
_INDICES_SECOND = frozenset({"max", "min", "sort", "topk", "median"})


def result_range(op: str, named: Named, result: Tensor, item: int) -> Range | None:
    """Bounds of result number `item` of an operation.

    Args:
        op: name such as `aten.add.Tensor`.
        named: argument by name; tensors as `Bounded`.
        result: the result on the device `meta`.
        item: which result, of an operation that has several; 0 otherwise.
    """
    if result.dtype == torch.bool:
        return Range(0, 1)
    name = op.split(".")[1]
    if name in _INDICES or (name in _INDICES_SECOND and item == 1):
        found: Range | None = Range(0, _length(named, name) - 1)
    elif name in _SAME_AS_SELF:
        found = named["self"].range
    else:
        rule = _RULES.get(name)
        found = rule(named, result) if rule else None
    return _fit(found, result.dtype)


def unknown(dtype: torch.dtype) -> Range | None:
    """What is known of a tensor of which only the dtype is known."""
    if dtype.is_floating_point:
        return None
    return Range(0, 1) if dtype == torch.bool else Range(-math.inf, math.inf)


def value_range(value: Any) -> Range | None:
    """Bounds of an argument: a tensor or a number."""
    if isinstance(value, Bounded):
        return value.range
    if value is None or not math.isfinite(value):
        return None
    return Range(value, value)


def _fit(found: Range | None, dtype: torch.dtype) -> Range | None:
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return unknown(dtype)
    if dtype.is_floating_point:
        return found if max(-found.low, found.high) <= _EXACT else None
    limits = torch.iinfo(dtype)
    for bound in (found.low, found.high):
        if math.isfinite(bound) and not limits.min <= bound <= limits.max:
            return unknown(dtype)  # it would wrap around
    return Range(_whole(math.floor, found.low), _whole(math.ceil, found.high))


def _whole(rounding: Callable[[float], int], bound: float) -> float:
    return rounding(bound) if math.isfinite(bound) else bound


def _length(named: Named, name: str) -> int:
    tensor: Tensor = named["self"].tensor
    dim = named.get("dim", None if name in ("argmax", "argmin") else -1)
    return tensor.numel() if dim is None else tensor.shape[dim] if tensor.dim() else 1


def _union(*ranges: Range | None) -> Range | None:
    known = [r for r in ranges if r is not None]
    if len(known) < len(ranges) or not known:
        return None
    return Range(min(r.low for r in known), max(r.high for r in known))


def _arithmetic(function: Callable[[float, float], float]) -> Callable[[Named, Tensor], Range | None]:
    def rule(named: Named, result: Tensor) -> Range | None:
        a, b = value_range(named["self"]), value_range(named["other"])
        ends = [r for r in (a, b) if r is not None and max(-r.low, r.high) < 2**31]
        if len(ends) < 2 or result.dtype.is_floating_point or named.get("alpha", 1) != 1:
            return None
        values = [function(x, y) for x in (ends[0].low, ends[0].high) for y in (ends[1].low, ends[1].high)]
        return Range(min(values), max(values)) if max(map(abs, values)) < 2**31 else None

    return rule


def _clamp(named: Named, _: Tensor) -> Range | None:
    own = named["self"].range
    if own is None:
        return None
    low, high = own.low, own.high
    for name, bound in (("min", named.get("min")), ("max", named.get("max"))):
        if bound is None:
            continue
        limit = value_range(bound)
        if limit is None:
            return None
        if name == "min":
            low, high = max(low, limit.low), max(high, limit.high)
        else:
            low, high = min(low, limit.low), min(high, limit.high)
    return Range(low, high)


def _extreme(function: Callable[[float, float], float]) -> Callable[[Named, Tensor], Range | None]:
    def rule(named: Named, _: Tensor) -> Range | None:
        a, b = value_range(named["self"]), value_range(named["other"])
        return None if a is None or b is None else Range(function(a.low, b.low), function(a.high, b.high))

    return rule


def _convert(named: Named, result: Tensor) -> Range | None:
    own: Range | None = named["self"].range
    if own is None or result.dtype.is_floating_point or not math.isfinite(own.low) or not math.isfinite(own.high):
        return own
    return Range(math.trunc(own.low), math.trunc(own.high))


def _arange(named: Named, result: Tensor) -> Range | None:
    start, step = named.get("start", 0), named.get("step", 1)
    if not all(isinstance(v, int) for v in (start, step, named["end"])):
        return None
    last = start + (result.numel() - 1) * step
    return Range(min(start, last), max(start, last))


def _remainder(named: Named, result: Tensor) -> Range | None:
    divisor = value_range(named["other"])
    if divisor is None or divisor.low < 1 or result.dtype.is_floating_point:
        return None
    return Range(0, divisor.high - 1)


def _sum(named: Named, result: Tensor) -> Range | None:
    own = named["self"].range
    if own is None or result.dtype.is_floating_point:
        return None
    terms = named["self"].tensor.numel() // max(result.numel(), 1)
    return Range(min(own.low * terms, own.low), max(own.high * terms, own.high))


def _filled(value: str) -> Callable[[Named, Tensor], Range | None]:
    return lambda named, _: value_range(named[value])


_RULES: Mapping[str, Callable[[Named, Tensor], Range | None]] = {
    "add": _arithmetic(lambda a, b: a + b),
    "sub": _arithmetic(lambda a, b: a - b),
    "rsub": _arithmetic(lambda a, b: b - a),
    "mul": _arithmetic(lambda a, b: a * b),
    "maximum": _extreme(max),
    "minimum": _extreme(min),
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": _clamp,
    "_to_copy": _convert,
    "arange": _arange,
    "remainder": _remainder,
    "sum": _sum,
    "cat": lambda named, _: _union(*(t.range for t in named["tensors"])),
    "constant_pad_nd": lambda named, _: _union(value_range(named["self"]), value_range(named.get("value", 0))),
    "stack": lambda named, _: _union(*(t.range for t in named["tensors"])),
    "where": lambda named, _: _union(value_range(named["self"]), value_range(named["other"])),
    "masked_fill": lambda named, _: _union(value_range(named["self"]), value_range(named["value"])),
    "full": _filled("fill_value"),
    "full_like": _filled("fill_value"),
    "new_full": _filled("fill_value"),
    "fill": _filled("value"),
    "zeros": lambda *_: Range(0, 0),
    "zeros_like": lambda *_: Range(0, 0),
    "new_zeros": lambda *_: Range(0, 0),
    "ones": lambda *_: Range(1, 1),
    "ones_like": lambda *_: Range(1, 1),
    "new_ones": lambda *_: Range(1, 1),
    "select_scatter": lambda named, _: _union(value_range(named["self"]), value_range(named["src"])),
    "slice_scatter": lambda named, _: _union(value_range(named["self"]), value_range(named["src"])),
}
