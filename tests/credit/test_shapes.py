"""The short way to a result's shape, dtype and strides, against what the operation really gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qredit.credit.opset import DTYPES, Operation, operations
from qredit.credit.shapes import META, shapes_of

BY_ELEMENT = sorted(name for name, op in operations().items() if torch.Tag.pointwise in getattr(op.call, "tags", ()))
SIZES = st.sampled_from([1, 2, 5])
SCALARS = st.sampled_from([0.5, 2, True, -3])


@st.composite
def broadcasting(draw: st.DrawFn, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast: parts from the end of one, in which some sizes are 1."""
    whole = draw(st.lists(SIZES, max_size=4))
    shapes = []
    for _ in range(count):
        part = whole[draw(st.integers(0, len(whole))) :]
        shapes.append(tuple(size if draw(st.booleans()) else 1 for size in part))
    return shapes


def arguments(draw: Callable[..., Any], operation: Operation) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of an operation on `meta`, those that may be left out being left out at times."""
    wanted = [p for p in operation.parameters if p.required or draw(st.booleans())]
    tensors = [p for p in wanted if p.type in ("Tensor", "Operand")]
    shapes = iter(draw(broadcasting(len(tensors))))
    found: dict[str, Any] = {}
    for p in wanted:
        if p in tensors:
            dtype = draw(st.sampled_from(list(DTYPES.values())))
            found[p.name] = torch.empty(next(shapes), dtype=dtype, device=META)
        elif p.type in ("Scalar", "float"):
            found[p.name] = draw(SCALARS)
    keywords = {p.name for p in operation.parameters if p.keyword}
    positional = []
    for p in operation.parameters:  # no gaps among those that have no name
        if p.keyword or p.name not in found:
            break
        positional.append(found[p.name])
    return positional, {name: value for name, value in found.items() if name in keywords}


def outcome(result: Any) -> tuple[tuple[int, ...], torch.dtype, tuple[int, ...]] | str:
    """Shape, dtype, and the strides of the dimensions that have any use for them."""
    assert isinstance(result, Tensor)
    strides = tuple(s for s, size in zip(result.stride(), result.shape, strict=True) if size > 1)
    return tuple(result.shape), result.dtype, strides


@pytest.mark.parametrize("name", BY_ELEMENT)
@pytest.mark.filterwarnings("ignore:where received a uint8")
@settings(max_examples=30)
@given(data=st.data())
def test_the_short_way_leads_where_the_operation_leads(name: str, data: st.DataObject) -> None:
    call, (args, kwargs) = operations()[name].call, arguments(data.draw, operations()[name])
    real_kwargs = {key: real(value) for key, value in kwargs.items()}
    try:
        expected = outcome(call(*map(real, args), **real_kwargs))
    except RuntimeError:
        with pytest.raises(RuntimeError):
            shapes_of(call, args, kwargs)
    else:
        found = shapes_of(call, args, kwargs)
        assert found.is_meta
        assert outcome(found) == expected


def real(value: Any) -> Any:
    """A tensor of ones in place of one without memory."""
    return torch.ones(value.shape, dtype=value.dtype) if isinstance(value, Tensor) else value


def test_it_is_taken_for_most_operations_by_element() -> None:
    assert len(BY_ELEMENT) > 40
    assert {"aten.add.Tensor", "aten.where.self", "aten.clamp.default"} <= set(BY_ELEMENT)


def test_what_lies_otherwise_in_memory_goes_torchs_way() -> None:
    x = torch.empty(2, 5, device=META).T
    assert shapes_of(torch.ops.aten.add.Tensor, [x, x], {}).stride() == (1, 5)


def test_nothing_is_allocated() -> None:
    x = torch.empty(1, device=META).expand(2**40)
    assert shapes_of(torch.ops.aten.exp.default, [x.unsqueeze(0)[:, :1]], {}).shape == (1, 1)
    huge = torch.empty(2**40, device=META)
    assert shapes_of(torch.ops.aten.add.Tensor, [huge, huge], {}).shape == (2**40,)
