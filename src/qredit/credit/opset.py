"""The allowed operations as objects: what `optable` lists, with torch's operator and the type of each argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import torch

from qredit.credit.optable import FACTORIES, TABLE

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "bool": torch.bool,
        "uint8": torch.uint8,
        "int32": torch.int32,
        "int64": torch.int64,
        "float32": torch.float32,
        "float64": torch.float64,
    }
)
"""Name in the file -> dtype."""

MEMORY_FORMATS: Mapping[str, torch.memory_format] = MappingProxyType(
    {"contiguous_format": torch.contiguous_format, "preserve_format": torch.preserve_format}
)
"""Name in the file -> memory format."""

TEXTS: Mapping[tuple[str, str], re.Pattern[str]] = MappingProxyType(
    {
        ("aten.div.Tensor_mode", "rounding_mode"): re.compile("floor|trunc"),
        ("aten.gelu.default", "approximate"): re.compile("none|tanh"),
    }
)
"""What the text arguments may be."""

INTEGER_OPS = ("int.add", "int.sub", "int.mul", "int.floordiv", "int.mod")
"""Arithmetic on sizes, each with two integers."""


@dataclass(frozen=True)
class Parameter:
    """One argument of an operation."""

    name: str
    """Its name in torch's schema."""
    type: str
    """Its type without `?` and `[]`: `Tensor`, `Operand`, `Scalar`, `int`, `SymInt`, `float`, `bool`, `str`, ..."""
    is_list: bool
    """Whether it is a list."""
    optional: bool
    """Whether None may stand for it (for `Tensor?[]`: for an element)."""
    keyword: bool
    """Whether it can be given by keyword only."""
    required: bool
    """Whether it has no default."""


@dataclass(frozen=True)
class Operation:
    """One allowed overload."""

    name: str
    """Name in the file, such as `aten.mul.Tensor`."""
    parameters: tuple[Parameter, ...]
    """Arguments in order."""
    results: int | None
    """How many tensors it returns; 0 for an integer, None for a list whose length depends on the arguments."""
    call: Callable[..., Any]
    """The torch operator."""

    @property
    def is_factory(self) -> bool:
        """Whether it gets the device of the state."""
        return self.name in FACTORIES


@cache
def operations() -> Mapping[str, Operation]:
    """Every allowed overload by its name in the file; built once."""
    lines = (line for line in TABLE.splitlines() if line and not line.startswith("#"))
    return MappingProxyType({operation.name: operation for operation in map(_operation, lines)})


_LINE = re.compile(r"(?P<name>\w+)(?:\.(?P<overload>\w+))?\((?P<parameters>.*)\) -> (?P<result>.+)")
_PARAMETER = re.compile(r"(?P<type>\w+)(?P<optional>\?)?(?P<list>\[1?\])?(?P<none>\?)? (?P<name>\w+)(?P<default>=.+)?")
_RESULTS = {"Tensor": 1, "SymInt": 0, "Tensor[]": None, "(Tensor values, Tensor indices)": 2}


def _operation(line: str) -> Operation:
    match = _LINE.fullmatch(line)
    assert match is not None, line
    name, overload = match["name"], match["overload"] or "default"
    parameters: list[Parameter] = []
    keyword = False
    for text in match["parameters"].split(", "):
        if text == "*":
            keyword = True
            continue
        part = _PARAMETER.fullmatch(text)
        assert part is not None, text
        parameters.append(
            Parameter(
                name=part["name"],
                type=part["type"],
                is_list=part["list"] is not None,
                optional=part["optional"] is not None or part["none"] is not None,
                keyword=keyword,
                required=part["default"] is None,
            )
        )
    call = getattr(getattr(torch.ops.aten, name), overload)  # names of the table above only, never of a file
    return Operation(f"aten.{name}.{overload}", tuple(parameters), _RESULTS[match["result"]], call)
