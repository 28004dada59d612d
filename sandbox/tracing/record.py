"""`torch.export` of a candidate with a dynamic batch, and its errors in the words of a coder."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.export import Dim, ExportedProgram, default_decompositions, export
from torch.export.graph_signature import InputKind, InputSpec
from torch.fx import Graph, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.traceback import preserve_node_meta

from qredit.credit.opset import operations
from qredit.sandbox.tracing.candidate import Candidate
from qredit.sandbox.tracing.failure import FILENAME, CandidateCode, Place, TraceFailure, place_of, quiet, short, text_of
from qredit.sandbox.tracing.words import remedy_of

BATCH_MAX = 65536
"""Largest batch that the recording is made for; the smallest is 2, since torch treats 1 apart."""

_FRAME = re.compile(rf'File "{re.escape(FILENAME)}", line (\d+)')

_BRANCH = (
    "the program's path depends on values of tensors, which differ from state to state. "
    "Compute both sides and choose with `torch.where(condition, a, b)`, or multiply by a 0/1 mask."
)
_NUMBER = (
    "it turns a tensor into a Python number, so it cannot work for a whole batch. Keep it a tensor "
    "(no `.item()`, `int(x)`, `float(x)`), for example with `gather` or broadcasting."
)
_BATCH = (
    "the code is bound to one batch size: it loops over the batch, or uses `len(x)`, `int(...)` or a fixed number "
    "where the batch size belongs. Use `x.shape[0]` only as a size (`torch.zeros(B, N)`, `view(B, -1)`) and compute "
    "all rows at once; loops over agents are fine."
)
_STACK = "it builds a tensor out of tensor values. Use `torch.stack([a, b], dim=-1)` instead of `torch.tensor([a, b])`."
_TAKE = "torch records `take_along_dim` for one batch size only. Use `x.gather(dim, index)`, which does the same."
_NUMPY = "it leaves torch (numpy or Python numbers). Use the functions of torch on tensors."


@dataclass(frozen=True)
class Recording:
    """A candidate as a pure graph of `aten` operations."""

    graph: Graph
    """Placeholders, operations, one output."""
    held: tuple[Tensor | None, ...]
    """For each placeholder the tensor that the function holds, or `None` for one of its inputs."""


def record(candidate: Candidate) -> Recording:
    """Record a candidate as a pure graph of `aten` operations that works for any batch.

    `torch.export` sees to the batch; then its graph is traced once more, on the same fake tensors, to decompose it and
    to turn in-place operations into pure ones. `ExportedProgram.run_decompositions` does the same and takes four times
    as long.

    Raises:
        TraceFailure: it cannot be recorded, with the line and a remedy.
    """
    batch = Dim("batch", min=2, max=BATCH_MAX)
    shapes = tuple({0: batch} for _ in candidate.example)
    module = _OneInput(candidate) if len(candidate.example) == 1 else _TwoInputs(candidate)
    with _guards() as guards, _Recording(candidate.source, guards), quiet():
        program = export(module, candidate.example, dynamic_shapes=shapes, strict=False)
        _refuse_randomness(program.graph, candidate.source)
        return Recording(_pure(program), _held(program))


def line_of(recorded: Node) -> int | None:
    """Line of the candidate that a recorded operation stems from."""
    found = _FRAME.findall(recorded.meta.get("stack_trace") or "")
    return int(found[-1]) if found else None


def _refuse_randomness(graph: Graph, source: str) -> None:
    """Refuse it by its own name, before it is decomposed."""
    for recorded in graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(recorded.target, "tags", ()):
            place = Place(source, line_of(recorded))
            raise TraceFailure("unsupported", f"{place}{remedy_of(str(recorded.target))}", place.line)


def _pure(program: ExportedProgram) -> Graph:
    exported = program.graph_module
    inputs = [node.meta["val"] for node in exported.graph.nodes if node.op == "placeholder"]

    def run(*values: Tensor) -> Any:
        return _Replay(exported).run(*values)

    # The metadata holds the lines of the candidate; without the Python dispatcher some kernels want concrete sizes.
    with inputs[0].fake_mode, enable_python_dispatcher(), preserve_node_meta():
        traced = make_fx(dispatch_functionalize(run), decomposition_table=_decompositions(), tracing_mode="fake")
        graph: Graph = traced(*inputs).graph
        return graph


def _held(program: ExportedProgram) -> tuple[Tensor | None, ...]:
    def held(spec: InputSpec) -> Tensor | None:
        if spec.kind == InputKind.USER_INPUT:
            return None
        tensors: Mapping[Any, Any] = program.constants if spec.target in program.constants else program.state_dict
        tensor: Tensor = tensors[spec.target]
        return tensor

    return tuple(held(spec) for spec in program.graph_signature.input_specs)


class _OneInput(torch.nn.Module):
    """The weights form as a module: `torch.export` wants named inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, state: Tensor) -> Any:
        return self.function(state)


class _TwoInputs(_OneInput):
    """The general form."""

    def forward(self, agents_q: Tensor, state: Tensor) -> Any:  # type: ignore[override]
        return self.function(agents_q, state)


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """How to express operations that no credit graph has by others, perhaps allowed ones."""
    allowed = {operation.call for operation in operations().values()}
    table: dict[Any, Callable[..., Any]] = default_decompositions()
    return {op: table[op] for op in table if op not in allowed}


class _Replay(Interpreter):
    """Runs an exported graph with `one_hot` in words of our own."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super().call_function(_one_hot if target is torch.ops.aten.one_hot.default else target, args, kwargs)


def _one_hot(index: Tensor, num_classes: int = -1) -> Tensor:
    """`one_hot` without torch's check that the index is in range: outside it, the row is zero."""
    if num_classes < 1:
        raise TraceFailure("unsupported", "`one_hot` needs the number of classes: `F.one_hot(index, num_classes)`.")
    classes = torch.arange(num_classes, device=index.device)
    return (index.unsqueeze(-1) == classes).to(torch.int64)


class _Recording(CandidateCode):
    """Around the recording: the function already ran on plain tensors, so what fails now is about recording."""

    def __init__(self, source: str, guards: _GuardLines) -> None:
        super().__init__(source)
        self.guards = guards

    def failure(self, error: BaseException) -> TraceFailure:
        place = place_of(error, self.source)
        text = text_of(error)
        if "Constraints violated" in text:
            place = Place(self.source, self.guards.line("specialized it to be a constant" in text))
            special = {"take_along_dim": _TAKE, "tolist": _NUMPY}
            cause = next((words for name, words in special.items() if name in place.code), _BATCH)
        elif "numpy" in text:
            cause = _NUMPY
        elif type(error).__name__ == "GuardOnDataDependentSymNode":
            cause = _NUMBER if any(call in place.code for call in ("int(", "float(", "range(", "[")) else _BRANCH
            cause = _BRANCH if place.code.startswith(("if ", "elif ", "while ", "assert ")) else cause
        elif "data is not allocated yet" in text:
            cause = _STACK
        else:
            cause = f"it runs, but cannot be recorded for every batch size: {type(error).__name__}: {short(text)}"
        return TraceFailure("trace", f"{place}{cause}", place.line)


class _GuardLines(logging.Handler):
    """Remembers at which line of the candidate the recording had to assume something about the batch size.

    torch's final complaint names no line, but it logs each assumption at the moment it makes it.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seen: list[tuple[str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "guard added" not in str(record.msg) or not isinstance(record.args, tuple) or len(record.args) < 2:
            return
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code.co_filename != FILENAME:
            frame = frame.f_back
        if frame is not None:
            self.seen.append((str(record.args[1]), frame.f_lineno))

    def line(self, fixed: bool) -> int | None:
        """Line of the assumption: that the batch size is `fixed` to a constant, or another."""
        lines = [line for text, line in self.seen if not fixed or text.startswith("Eq(")]
        if not lines:
            return None
        return lines[0] if fixed else lines[-1]


@contextmanager
def _guards() -> Iterator[_GuardLines]:
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    handler = _GuardLines()
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False  # torch's own handler would print
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.handlers, level, logger.propagate = before
        logger.setLevel(level)
