"""Runs a function once and writes down each operation that reaches the tensors.

The operations are those below `torch.func.functionalize`, so that in-place writes and views have become pure ones, and
below the decomposition of what no credit graph has. Nothing is symbolic: the tensors are real, the sizes are numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions
from torch.func import functionalize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from qredit.credit.opset import operations
from qredit.sandbox.tracing.failure import FILENAME, Place, TraceFailure
from qredit.sandbox.tracing.recording import Step, Value, values_in
from qredit.sandbox.tracing.words import MASK, NUMPY, remedy_of, value_remedy

MAX_STEPS = 20_000
"""Operations that one run may make; far more than any graph may have."""


@dataclass
class Run:
    """One run, as it was recorded."""

    inputs: tuple[Value, ...] = ()
    constants: dict[Value, Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outputs: tuple[Value, ...] = ()
    tensors: list[Tensor] = field(default_factory=list)


def run_recorded(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], source: str) -> Run:
    """Run a function on plain tensors and record it.

    Raises:
        TraceFailure: it asks for the value of a tensor, is random, or has results whose size depends on the data.
    """
    recorder = _Recorder(source)
    run = recorder.run
    run.inputs = tuple(recorder.new(tensor, constant=False) for tensor in inputs)
    with ExitStack() as modes:
        modes.enter_context(recorder)
        modes.enter_context(_OwnWords(source))
        results = functionalize(lambda *values: tuple(function(*values)))(*inputs)
    run.outputs = tuple(recorder.value(result) for result in results)
    return run


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; keeping torch's compiler out would load it, which takes more than a second."""
        return False

    def __init__(self, source: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run = Run()
        self._source = source
        self._values: dict[int, Value] = {}
        self._constant: set[Value] = set()
        """Values that depend on no input."""

    def new(self, tensor: Tensor, *, constant: bool) -> Value:
        """Number a tensor; the run keeps it alive, so that its identity stays its own."""
        value = Value(len(self.run.tensors))
        self.run.tensors.append(tensor)
        self._values[id(tensor)] = value
        if constant:
            self._constant.add(value)
        return value

    def value(self, tensor: Tensor) -> Value:
        """The value that a tensor is; one that no operation gave is the function's own."""
        value = self._values.get(id(tensor))
        if value is None:
            value = self.new(tensor, constant=True)
            self.run.constants[value] = tensor
        return value

    def _named(self, argument: Any) -> Any:
        """The same with a value in place of each tensor."""
        if isinstance(argument, Tensor):
            return self.value(argument)
        if isinstance(argument, (list, tuple)):
            return type(argument)(map(self._named, argument))
        return argument

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        named_args = self._named(args)
        named_kwargs = {name: self._named(argument) for name, argument in kwargs.items()}
        used = list(values_in((named_args, list(named_kwargs.values()))))
        constant = self._constant.issuperset(used)
        self._refuse_what_depends_on_data(func, args, constant)
        if func in _UNTOUCHED:
            result = func(*args, **kwargs)
            self._values[id(result)] = used[0]
            self.run.tensors.append(result)
            return result
        if func not in _allowed():
            with self:
                result = _decompositions().get(func, func.decompose)(*args, **kwargs)
            if result is not NotImplemented:
                return result
        pure = self._pure(func, args)
        result = func(*args, **kwargs)
        several = isinstance(result, (tuple, list))
        given = list(result) if several else [result]
        if not any(isinstance(item, Tensor) for item in given):
            return result  # the value of a constant
        results = tuple(self.new(item, constant=constant) if isinstance(item, Tensor) else _NOTHING for item in given)
        if len(self.run.steps) >= MAX_STEPS:
            self._refuse("graph", f"the function makes more than {MAX_STEPS} operations. Compute on whole tensors.")
        self.run.steps.append(Step(pure, named_args, named_kwargs, results, several, _line()))
        return result

    def _pure(self, func: Any, args: tuple[Any, ...]) -> Any:
        """The pure form of an operation.

        The function's own writes never come here; those inside a composite operation of torch do. They write into a
        tensor that was made there, whose name then stands for the new values.
        """
        name = func._schema.name.removeprefix("aten::")
        if not func._schema.is_mutable or not name.endswith("_"):
            return func
        target = args[0]
        shared = [t for t in self.run.tensors if t is not target and _storage(t) == _storage(target)]
        if shared or self.value(target) in self.run.constants or self.value(target) in self.run.inputs:
            self._refuse("unsupported", remedy_of(str(func)))
        return getattr(getattr(torch.ops.aten, name.rstrip("_"), None), func._overloadname, func)

    def _refuse_what_depends_on_data(self, func: Any, args: tuple[Any, ...], constant: bool) -> None:
        tags = func.tags
        if torch.Tag.nondeterministic_seeded in tags:
            self._refuse("unsupported", remedy_of(str(func)))
        if constant:
            return
        if torch.Tag.data_dependent_output in tags:
            place = self._place()
            self._refuse("trace", value_remedy(place.code))
        if torch.Tag.dynamic_output_shape in tags:
            if func is not torch.ops.aten.index.Tensor:
                self._refuse("unsupported", remedy_of(str(func)))
            if any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]):
                self._refuse("unsupported", MASK)

    def _refuse(self, kind: Any, cause: str) -> None:
        place = self._place()
        raise TraceFailure(kind, f"{place}{cause}", place.line)

    def _place(self) -> Place:
        return Place(self._source, _line())


class _OwnWords(TorchFunctionMode):
    """Stands before what would look at the memory of a tensor, which the tensors inside `functionalize` do not have."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _MEMORY:
            place = Place(self._source, _line())
            raise TraceFailure("trace", f"{place}{NUMPY}", place.line)
        own = _one_hot if func in _ONE_HOT else func
        return own(*args, **(kwargs or {}))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """`one_hot` without torch's check that the index is in range: outside it, the row is zero."""
    if num_classes < 1:
        raise TraceFailure("unsupported", "`one_hot` needs the number of classes: `F.one_hot(index, num_classes)`.")
    classes = torch.arange(num_classes, device=tensor.device)
    return (tensor.unsqueeze(-1) == classes).to(torch.int64)


def _sinc(x: Tensor) -> Tensor:
    """`sinc` with a gradient at 0, where torch's own decomposition divides by 0 and gives NaN."""
    zero = x == 0
    scaled = torch.where(zero, 1.0, x * torch.pi)
    return torch.where(zero, 1.0, scaled.sin() / scaled)


_ONE_HOT = frozenset({torch.nn.functional.one_hot, torch._C._nn.one_hot})
_MEMORY = frozenset(
    getattr(Tensor, name)
    for name in (
        "__array__",
        "__dlpack__",
        "__reduce_ex__",
        "data_ptr",
        "numpy",
        "storage",
        "tolist",
        "untyped_storage",
    )
)
_NOTHING = Value(-1)
"""In place of what is no tensor among several results."""
_UNTOUCHED = frozenset({torch.ops.aten.lift_fresh.default, torch.ops.aten.lift.default})
"""What wraps a tensor and changes nothing."""


@cache
def _allowed() -> frozenset[Any]:
    return frozenset(operation.call for operation in operations().values())


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """How to express operations that no credit graph has by others, perhaps allowed ones."""
    return {**core_aten_decompositions(), torch.ops.aten.sinc.default: _sinc}


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _line() -> int | None:
    """Line of the candidate that runs now: the innermost, if a helper of its own was called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != FILENAME:
        frame = frame.f_back
    return None if frame is None else frame.f_lineno
