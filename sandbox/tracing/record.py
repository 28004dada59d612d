"""A candidate as pure operations that fit every batch: it runs twice, and what differs must be the batch size.

The two runs have different states, so that a value of a tensor which found its way into the program shows as well. What
the function does at these two batch sizes is what the graph does at all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from qredit.sandbox.tracing.candidate import Candidate, first_line
from qredit.sandbox.tracing.failure import CandidateCode, Place, TraceFailure, place_of, quiet, short, text_of
from qredit.sandbox.tracing.recorder import Run, run_recorded
from qredit.sandbox.tracing.recording import BatchSize, Recording, Step, values_in
from qredit.sandbox.tracing.words import BATCH, NUMPY, STACK


def record(candidate: Candidate) -> Recording:
    """Record a candidate as pure `aten` operations that work for any batch.

    Raises:
        TraceFailure: it cannot be recorded, with the line and a remedy.
    """
    with _Recording(candidate.source), quiet():
        first = run_recorded(candidate, candidate.example, candidate.source)
    require_same(candidate, [first.tensors[value.index] for value in first.outputs])
    with _OtherBatch(candidate.source), quiet():
        second = run_recorded(candidate, candidate.other_example, candidate.source)
    sizes = candidate.example[0].shape[0], candidate.other_example[0].shape[0]
    return _Comparison(candidate.source, *sizes).of(first, second)


def require_same(candidate: Candidate, results: Sequence[Tensor]) -> None:
    """Refuse a function whose later call differs from its first with the same inputs.

    The graph is pure, so the contract checks cannot see values that the function keeps between calls, or the time.

    Raises:
        TraceFailure: it does.
    """
    for first, again in zip(candidate.results, results, strict=True):
        # Decomposed operations may round otherwise, hence a tolerance.
        if not torch.allclose(first, again, rtol=1e-3, atol=1e-5, equal_nan=True):
            message = (
                "Two calls with the same input give different results. Remove values that are kept between calls "
                "(in lists, dictionaries or default values), randomness and time."
            )
            raise TraceFailure("contract", message, first_line(candidate.function))


class _Recording(CandidateCode):
    """Around the recording: the function already ran on plain tensors, so what fails now is about recording."""

    def failure(self, error: BaseException) -> TraceFailure:
        place = place_of(error, self.source)
        text = text_of(error)
        cause = f"it runs, but cannot be recorded: {type(error).__name__}: {short(text)}"
        cause = STACK if "data is not allocated yet" in text else NUMPY if "numpy" in text else cause
        return TraceFailure("trace", f"{place}{cause}", place.line)


class _OtherBatch(CandidateCode):
    """Around the second run: what worked for one batch does not for another."""

    def failure(self, error: BaseException) -> TraceFailure:
        place = place_of(error, self.source)
        return TraceFailure("trace", f"{place}{BATCH}", place.line)


class _Comparison:
    """Two runs of one function, at batch sizes `b` and `c`."""

    def __init__(self, source: str, b: int, c: int) -> None:
        self._source, self._b, self._c = source, b, c
        self._line: int | None = None

    def of(self, first: Run, second: Run) -> Recording:
        """What both have in common."""
        steps = []
        for one, other in zip(first.steps, second.steps, strict=False):
            self._line = one.line or self._line
            steps.append(self._step(one, other))
        if len(first.steps) != len(second.steps):
            longer = max(first.steps, second.steps, key=len)
            self._line = longer[len(steps)].line or self._line
            self._refuse()
        if first.outputs != second.outputs:
            self._refuse()
        self._constants(first, second)
        shapes = tuple(
            tuple(self._size(x, y) for x, y in zip(one.shape, other.shape, strict=True))
            for one, other in zip(first.tensors, second.tensors, strict=True)
        )
        return Recording(first.inputs, first.constants, tuple(steps), first.outputs, tuple(first.tensors), shapes)

    def _refuse(self) -> NoReturn:
        place = Place(self._source, self._line)
        raise TraceFailure("trace", f"{place}{BATCH}", place.line)

    def _step(self, one: Step, other: Step) -> Step:
        if one.operation is not other.operation or one.results != other.results or one.line != other.line:
            self._refuse()
        grows = _grows(one.operation)
        names = [a.name for a in one.operation._schema.arguments]
        args = tuple(self._same(x, y, name in grows) for name, x, y in zip(names, one.args, other.args, strict=False))
        if len(one.args) != len(other.args) or one.kwargs.keys() != other.kwargs.keys():
            self._refuse()
        kwargs = {name: self._same(x, other.kwargs[name], name in grows) for name, x in one.kwargs.items()}
        return Step(one.operation, args, kwargs, one.results, one.several, one.line)

    def _same(self, x: Any, y: Any, grows: bool) -> Any:
        """The argument that `x` was in one run and `y` in the other."""
        if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)) and len(x) == len(y):
            return [self._same(p, q, grows) for p, q in zip(x, y, strict=True)]
        if grows and type(x) is int and type(y) is int:
            return self._size(x, y)
        if type(x) is not type(y) or not (x == y or (x != x and y != y)):  # NaN equals itself here
            self._refuse()
        return x

    def _size(self, x: int, y: int) -> int | BatchSize:
        if x == y:
            return x
        factor, rest = divmod(x, self._b)
        if rest or factor < 1 or y != factor * self._c:
            self._refuse()
        return BatchSize(factor)

    def _constants(self, first: Run, second: Run) -> None:
        """A tensor of the function's own must not depend on the batch, nor on the state."""
        for value, tensor in first.constants.items():
            other = second.constants.get(value)
            if other is None or not _equal(tensor, other):
                users = (
                    step.line for step in first.steps if value in values_in((step.args, list(step.kwargs.values())))
                )
                self._line = next(users, None)
                self._refuse()


def _equal(x: Tensor, y: Tensor) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and torch.equal(x.nan_to_num(), y.nan_to_num())


def _grows(operation: torch._ops.OpOverload) -> set[str]:
    """Names of the arguments that may grow with the batch: sizes and places, but no number to calculate with."""
    numbers = {"start", "end"} if operation._schema.name == "aten::arange" else set()
    return {a.name for a in operation._schema.arguments if "int" in str(a.type).lower() or a.name in numbers}
