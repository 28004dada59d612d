"""The candidate's module: executed in a fresh namespace, its function found and tried on plain tensors."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from qredit.credit.schema import Form
from qredit.layout import StateLayout
from qredit.sandbox.functions import FUNCTIONS, Function, wanted_functions
from qredit.sandbox.tracing.failure import FILENAME, CandidateCode, Place, TraceFailure, quiet, short

_OUTPUTS: Mapping[Form, tuple[tuple[str, ...], str, str]] = {
    "weights": (("weights", "bias"), "N1", "weights [B, N], or (weights [B, N], bias [B, 1])"),
    "general": (("Q_tot",), "1", "Q_tot [B, 1]"),
    "shares": (("shares",), "N", "shares [B, N]"),
    "value": (("value",), "1", "value [B, 1]"),
}
"""Names of its outputs, width of each, and both in words."""

_READS_BY_NAME = re.compile(r"""\[\s*["']""")
_BATCHES = (7, 11, 13, 17, 19, 23, 29, 31)
_OTHER_BATCHES = (10, 16, 22, 26, 28, 34, 38, 46)
"""Even, so that code for odd batches differs."""


@dataclass(frozen=True)
class Candidate:
    """A function that ran once on plain tensors and returned what it should."""

    source: str
    """Its module."""
    function: Callable[..., Any]
    """What its module defines."""
    kind: Function
    """Which of the wanted functions it is."""
    named: bool
    """Whether a state is a dictionary of named tensors; else it is the flat tensor `[B, S]`."""
    layout: StateLayout
    """The state's fields."""
    example: tuple[Tensor, ...]
    """Inputs to record with: the flat state or transition, after `agents_q` in the general form."""
    other_example: tuple[Tensor, ...]
    """The same with other values and another batch size."""
    results: tuple[Tensor, ...] = ()
    """What it returned for them when it ran for the first time."""

    @property
    def form(self) -> Form:
        """Form of the credit graph."""
        return self.kind.form

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run it on flat inputs; the results as a tuple."""
        *first, state = inputs
        if self.kind.reads_transitions:
            size = self.layout.size
            before, actions, after = state.tensor_split([size, state.shape[1] - size], dim=1)
            result = self.function(self._shown(before), actions.long(), self._shown(after))
        else:
            result = self.function(*first, self._shown(state))
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    def _shown(self, state: Tensor) -> Any:
        return self.layout.named(state) if self.named else state


def load_candidate(
    source: str, layout: StateLayout, n_agents: int, forms: Collection[str], n_actions: int | None = None
) -> Candidate:
    """Execute a module's text and try its function.

    States are dictionaries of named tensors first, or flat tensors first if the source never reads anything by a name;
    if that raises, the other is tried. What the first attempt raised is told if both fail.

    Raises:
        TraceFailure: no function of a wanted form, or it does not run, or what it returns is not what its form says.
    """
    function, kind = _find(_execute(source), wanted_functions(forms, n_actions))
    # Without the number of actions, no function that reads transitions is wanted.
    inputs = layout.transition(n_agents, n_actions or 1) if kind.reads_transitions else layout
    example, other = (_example(inputs, n_agents, kind.form, batches) for batches in (_BATCHES, _OTHER_BATCHES))
    _check_arguments(source, function, kind)
    by_name = _READS_BY_NAME.search(source) is not None
    failures = []
    for named in (by_name, not by_name):
        candidate = Candidate(source, function, kind, named, layout, example, other)
        try:
            results = _try(candidate, n_agents)
        except TraceFailure as failure:
            failures.append(failure)
            if failure.kind == "contract":
                break  # it ran, so this is the kind of state that it wants
        else:
            return replace(candidate, results=results)
    raise failures[0] if failures[-1].kind != "contract" else failures[-1]


def _execute(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "credit_function", "__builtins__": builtins}
    with CandidateCode(source), quiet():
        exec(compile(source, FILENAME, "exec", dont_inherit=True), namespace)
    return namespace


def _find(namespace: Mapping[str, Any], wanted: Sequence[Function]) -> tuple[Callable[..., Any], Function]:
    """The one function that is wanted; whatever else the module defines is a helper."""
    defined = [f for f in FUNCTIONS if callable(namespace.get(f.name))]
    found = [f for f in defined if f in wanted]
    if len(found) > 1:
        found = [f for f in found if not f.everyday] or found
    if len(found) == 1:
        return namespace[found[0].name], found[0]
    if found:
        cause = f"there are several: {', '.join(f.name for f in found)}. Give helper functions other names"
    elif defined:
        cause = f"it defines `{defined[0].signature}`, which is not wanted here"
    else:
        cause = "there is none"
    *others, last = (f"`{f.signature}`" for f in wanted if f.offered)
    signatures = f"{', '.join(others)} or {last}" if others else last
    raise TraceFailure("contract", f"The module must define one function {signatures}; {cause}.")


def _check_arguments(source: str, function: Callable[..., Any], kind: Function) -> None:
    wanted = kind.arguments
    with CandidateCode(source):
        signature = inspect.signature(function)
    try:
        signature.bind(*wanted)
    except TypeError as error:
        message = f"The function is called with {len(wanted)} positional arguments, {', '.join(wanted)}: {error}."
        raise TraceFailure("contract", message, first_line(function)) from None


class _PlainRun(CandidateCode):
    """Around the first run: a missing field of the state is the commonest mistake."""

    def __init__(self, candidate: Candidate) -> None:
        super().__init__(candidate.source)
        self.candidate = candidate

    def failure(self, error: BaseException) -> TraceFailure:
        failure = super().failure(error)
        place = Place(self.source, failure.line)
        key = error.args[0] if isinstance(error, KeyError) and error.args else None
        if self.candidate.named and isinstance(key, str):
            fields = ", ".join(f"`{f.name}` {['B', *f.shape]}".replace("'", "") for f in self.candidate.layout.fields)
            message = f"{place}there is no `{short(key)}`. The fields of the state are {fields}."
            return TraceFailure("trace", message, failure.line)
        batch = self.candidate.example[0].shape[0]
        if isinstance(error, RuntimeError):
            message = f"{failure.message} (B is {batch} in this test run; write code for any B.)"
            return TraceFailure("trace", message, failure.line)
        return failure


def _try(candidate: Candidate, n_agents: int) -> tuple[Tensor, ...]:
    inputs = tuple(t.clone() for t in candidate.example)
    with _PlainRun(candidate), quiet():
        results = candidate(*inputs)
    batch, line = inputs[0].shape[0], first_line(candidate.function)
    names, widths, what = _OUTPUTS[candidate.form]
    if not 1 <= len(results) <= len(widths):
        raise TraceFailure("contract", f"The function returns {len(results)} values. Return {what}.", line)
    for name, result, letter in zip(names, results, widths, strict=False):
        width = n_agents if letter == "N" else 1
        if not isinstance(result, Tensor):
            cause = f"The function returns {short(type(result).__name__)} as {name}. Return {what}."
            raise TraceFailure("contract", cause, line)
        if tuple(result.shape) != (batch, width):
            shape = str(list(result.shape)).replace(str(batch), "B")
            message = f"The function returns {name} of shape {shape}, it must be [B, {width}]. {_shape_remedy(result)}"
            raise TraceFailure("contract", message, line)
        if result.dtype != torch.float32:
            cause = f"The function returns {name} of {result.dtype}. Add `.float()` at the end."
            raise TraceFailure("contract", cause, line)
    if any(t._version for t in inputs):
        cause = "The function writes into its input. Copy it first: `x = x.clone()`, or use `torch.where`."
        raise TraceFailure("contract", cause, line)
    return tuple(result.detach().clone() for result in results)


def first_line(function: Callable[..., Any]) -> int | None:
    """Line of the source in which a function begins, if it is one."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if inspect.iscode(code) else None


def _shape_remedy(result: Tensor) -> str:
    if result.dim() == 1:
        return "Use keepdim=True, unsqueeze(1), or expand a vector of N weights over the batch."
    return "Reduce or reshape it."


def _dimensions(layout: StateLayout, n_agents: int) -> set[int]:
    """Sizes that the batch of the example must not be confused with."""
    return {n_agents, layout.size, *(f.size for f in layout.fields), *(d for f in layout.fields for d in f.shape)}


def _example(layout: StateLayout, n_agents: int, form: Form, batches: Sequence[int]) -> tuple[Tensor, ...]:
    """Inputs of the first batch size that no dimension of the state has, the same in every run."""
    batch = next(size for size in batches if size not in _dimensions(layout, n_agents))
    state = _example_state(layout, batch)
    agents_q = torch.linspace(-2.0, 2.0, batch * n_agents).reshape(batch, n_agents)
    return (agents_q, state) if form == "general" else (state,)


def _example_state(layout: StateLayout, batch: int) -> Tensor:
    """A state `[B, S]` with whole values inside each field's range; no two batch sizes start alike."""
    columns = []
    for field in layout.fields:
        low, high = max(field.low, -1e3), min(field.high, 1e3)
        steps = torch.arange(batch * field.size, dtype=torch.float32).reshape(batch, field.size) * 0.618034
        steps = (steps + batch * 0.414214) % 1.0
        columns.append((low + (max(high, low) - low) * steps).round().clamp(low, max(high, low)))
    return torch.cat(columns, dim=1)
