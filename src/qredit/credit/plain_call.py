"""An operation of a credit graph with its arguments, and how they are written as Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit.opset import DTYPES, MEMORY_FORMATS, Operation, Parameter
from qredit.credit.schema import Argument, Ref


@dataclass(frozen=True)
class Call:
    """A node with what is known of its arguments."""

    operation: Operation
    """What it calls."""
    values: Mapping[str, Argument]
    """Arguments by name; those that are None are left out."""
    name_of: Callable[[Ref], str]
    """How a reference is written."""
    tensor_of: Callable[[Ref], Tensor]
    """A tensor of the shape and dtype of what a reference names."""
    dtype: torch.dtype | None
    """The result's dtype; None for an integer."""

    @property
    def packet(self) -> str:
        """The operation's name without the overload."""
        return self.operation.name.split(".")[1]

    def text(self, name: str) -> str:
        """An argument as Python."""
        parameter = next(p for p in self.operation.parameters if p.name == name)
        return self.written(parameter, self.values[name])

    def written(self, parameter: Parameter, value: Argument) -> str:
        """A value of a parameter as Python."""
        if isinstance(value, str):
            if parameter.type == "ScalarType":
                return dtype_text(DTYPES[value])
            return f"torch.{value}" if value in MEMORY_FORMATS else repr(value)
        if isinstance(value, tuple):
            entries = [self.written(parameter, v) for v in value]
            return f"({', '.join(entries)}{',' * (len(entries) == 1)})"
        return self.name_of(value) if isinstance(value, Ref) else number_text(value)

    def operand(self, name: str) -> str:
        """An argument beside an infix operator."""
        text = self.text(name)
        return f"({text})" if text.startswith("-") else text

    def dim(self, name: str = "dim", default: int = 0) -> int:
        """A dimension of `self`, counted from the front."""
        dim = self.values.get(name, default)
        assert isinstance(dim, int)
        return dim % max(self.rank, 1)

    def is_tensor(self, name: str) -> bool:
        """Whether an argument is a tensor rather than a number."""
        return next(p for p in self.operation.parameters if p.name == name).type == "Tensor"

    @property
    def rank(self) -> int:
        """Dimensions of `self`."""
        source = self.values["self"]
        assert isinstance(source, Ref)
        return self.tensor_of(source).dim()

    def call(self, function: str, leave_out: Sequence[str] = (), **further: str) -> str:
        """A call with the required arguments in order and the others by name."""
        given = [p for p in self.operation.parameters if p.name in self.values and p.name not in leave_out]
        texts = [self.text(p.name) if p.required and not p.keyword else f"{p.name}={self.text(p.name)}" for p in given]
        return f"{function}({', '.join([*texts, *(f'{name}={text}' for name, text in further.items())])})"


def dtype_text(dtype: torch.dtype) -> str:
    """A dtype as Python."""
    return str(dtype)


def number_text(value: bool | int | float | None) -> str:
    """A number as Python that gives the very number."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{'-' if value < 0 else ''}math.{'nan' if math.isnan(value) else 'inf'}"
    return repr(value)
