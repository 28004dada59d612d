"""What is known of a credit function after it has run under the recorder: which operations on which tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Value:
    """One tensor of a recording."""

    index: int
    """Its place among the recording's tensors."""


@dataclass(frozen=True)
class BatchSize:
    """An integer that is `factor * B` for every batch."""

    factor: int
    """1 for the batch size itself."""


@dataclass(frozen=True)
class Step:
    """One operation."""

    operation: torch._ops.OpOverload
    """The exact overload."""
    args: tuple[Any, ...]
    """Positional arguments, with a `Value` for each tensor and a `BatchSize` for what grows with the batch."""
    kwargs: dict[str, Any]
    """Keyword arguments, likewise."""
    results: tuple[Value, ...]
    """The tensors that it gives."""
    several: bool
    """Whether it gives a tuple, be it of one."""
    line: int | None
    """Line of the candidate's source that asked for it."""


def values_in(arguments: Any) -> Iterator[Value]:
    """The values among arguments, also those inside lists."""
    if isinstance(arguments, Value):
        yield arguments
    elif isinstance(arguments, (list, tuple)):
        for argument in arguments:
            yield from values_in(argument)


@dataclass(frozen=True)
class Recording:
    """A function as pure operations on tensors, in the order in which they ran."""

    inputs: tuple[Value, ...]
    """The flat state or transition, after `agents_q` in the general form."""
    constants: dict[Value, Tensor]
    """Tensors that the function brought along."""
    steps: tuple[Step, ...]
    """The operations."""
    outputs: tuple[Value, ...]
    """What the function returned."""
    tensors: tuple[Tensor, ...]
    """Every tensor as it was at the example's batch: for dtypes and shapes."""
    shapes: tuple[tuple[int | BatchSize, ...], ...]
    """Their shapes for every batch."""

    def tensor(self, value: Value) -> Tensor:
        """The example's tensor."""
        return self.tensors[value.index]

    def shape(self, value: Value) -> tuple[int | BatchSize, ...]:
        """Its shape for every batch."""
        return self.shapes[value.index]
