"""Bounds of values: sound for every operation that claims some, on random integers."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given

from qredit.credit.opset import operations
from qredit.credit.ranges import Bounded, Range, result_range, unknown, value_range

small = st.integers(-5, 9)


def bounded(values: torch.Tensor) -> Bounded:
    return Bounded(values, Range(float(values.min()), float(values.max())))


CASES: dict[str, tuple[Any, ...]] = {
    "aten.add.Tensor": ("t", "t"),
    "aten.sub.Tensor": ("t", "t"),
    "aten.mul.Tensor": ("t", "t"),
    "aten.mul.Scalar": ("t", 3),
    "aten.rsub.Scalar": ("t", 4),
    "aten.maximum.default": ("t", "t"),
    "aten.minimum.default": ("t", "t"),
    "aten.clamp.default": ("t", -1, 3),
    "aten.clamp_min.default": ("t", 2),
    "aten.clamp_max.default": ("t", 2),
    "aten.clamp.Tensor": ("t", "t", "t"),
    "aten.remainder.Scalar": ("t", 4),
    "aten.sum.dim_IntList": ("t", [1]),
    "aten.cat.default": (["t", "t"], 1),
    "aten.stack.default": (["t", "t"], 1),
    "aten.flip.default": ("t", [1]),
    "aten.amax.default": ("t", [1]),
    "aten.max.dim": ("t", 1),
    "aten.sort.default": ("t", 1),
    "aten.topk.default": ("t", 2, 1),
    "aten.argmin.default": ("t", 1),
    "aten.argmax.default": ("t",),
    "aten.full_like.default": ("t", 7),
    "aten.constant_pad_nd.default": ("t", [1, 0], -9),
    "aten.select_scatter.default": ("t", "column", 1, 0),
    "aten.gt.Scalar": ("t", 2),
    "aten.abs.default": ("t",),
    "aten.neg.default": ("t",),
    "aten.cumsum.default": ("t", 1),
    "aten.floor_divide.default": ("t", 2),
}


@pytest.mark.parametrize("op", sorted(CASES))
@given(data=st.data())
def test_bounds_hold(op: str, data: st.DataObject) -> None:
    def tensor(shape: tuple[int, ...]) -> Bounded:
        values = data.draw(st.lists(small, min_size=math.prod(shape), max_size=math.prod(shape)))
        return bounded(torch.tensor(values).reshape(shape))

    def draw(argument: Any) -> Any:
        if isinstance(argument, list):
            return [draw(a) for a in argument]
        return tensor((2, 3)) if argument == "t" else tensor((2,)) if argument == "column" else argument

    def plain(argument: Any) -> Any:
        if isinstance(argument, list):
            return [plain(a) for a in argument]
        return argument.tensor if isinstance(argument, Bounded) else argument

    operation = operations()[op]
    arguments = [draw(a) for a in CASES[op]]
    named = dict(zip((p.name for p in operation.parameters), arguments, strict=False))
    result = operation.call(*plain(arguments))
    results = [result] if isinstance(result, torch.Tensor) else list(result)
    for item, value in enumerate(results):
        found = result_range(op, named, value, item)
        assert found is not None
        assert found.low <= float(value.min())
        assert float(value.max()) <= found.high


@given(low=st.integers(-9, 9), step=st.integers(-3, 3), count=st.integers(1, 9))
def test_arange(low: int, step: int, count: int) -> None:
    assume(step != 0)
    result = torch.arange(low, low + step * count, step)
    named = {"start": low, "end": low + step * count, "step": step}
    assert result_range("aten.arange.start_step", named, result, 0) == Range(int(result.min()), int(result.max()))


def test_what_is_unknown() -> None:
    """A float may be NaN; an integer is at least some number."""
    floating, integer = torch.zeros(2), torch.zeros(2, dtype=torch.int64)
    assert unknown(torch.float32) is None
    assert unknown(torch.bool) == Range(0, 1)
    everything = Range(-math.inf, math.inf)
    assert unknown(torch.int64) == everything
    clamp = {"self": Bounded(floating, None), "min": 0, "max": 2}
    assert result_range("aten.clamp.default", clamp, floating, 0) is None
    convert = {"self": Bounded(floating, None)}
    assert result_range("aten._to_copy.default", convert, integer, 0) == everything
    assert value_range(math.nan) is None
    assert value_range(None) is None


def test_arithmetic_that_may_wrap_around_is_unknown() -> None:
    integer, byte = torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.uint8)
    everything = Range(-math.inf, math.inf)
    one_sided = {"self": Bounded(integer, Range(3, math.inf)), "other": 1}
    assert result_range("aten.add.Tensor", one_sided, integer, 0) == everything
    large = {"self": Bounded(integer, Range(0, 2**30)), "other": 4}
    assert result_range("aten.mul.Tensor", large, integer, 0) == everything
    wrapped = {"self": Bounded(byte, Range(0, 200)), "other": 100}
    assert result_range("aten.add.Tensor", wrapped, byte, 0) == everything
    assert result_range("aten._to_copy.default", {"self": Bounded(integer, Range(-1, 5))}, byte, 0) == everything


def test_floats_keep_bounds_only_where_they_are_exact() -> None:
    floating = torch.zeros(2)
    mask = {"self": Bounded(torch.zeros(2, dtype=torch.bool), Range(0, 1))}
    assert result_range("aten._to_copy.default", mask, floating, 0) == Range(0, 1)
    large = {"self": Bounded(torch.zeros(2, dtype=torch.int64), Range(0, 2**25))}
    assert result_range("aten._to_copy.default", large, floating, 0) is None
    scaled = {"self": Bounded(floating, Range(0, 1)), "other": 3}
    assert result_range("aten.mul.Tensor", scaled, floating, 0) is None
    fraction = {"self": Bounded(floating, Range(-0.5, 2.7))}
    assert result_range("aten._to_copy.default", fraction, torch.zeros(2, dtype=torch.int64), 0) == Range(0, 2)
