"""Runs a candidate's `describe` on every observation, in the locked child; its texts are the candidate's word.

Every row is described twice, the second time by a module loaded anew, in reverse order and with sets that iterate
backwards: what depends on other calls, on chance or on the order of a set is refused. Not covered: a function that
plans for exactly this, and sets that no call of `set` made, such as `a.keys() & b.keys()`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Final

from qredit.layout import StateLayout
from qredit.sandbox.descriptions import MAX_REPLY_BYTES, DescribeRequest, fault_of, pack_texts
from qredit.sandbox.gate.describe import BUILTINS
from qredit.sandbox.gate.describe_rules import FUNCTION
from qredit.sandbox.tracing.failure import FILENAME, TraceFailure, place_of, quiet, short, text_of

WHOLE: Final = 2.0**53
"""Below it a whole number is given as an `int`."""

Describe = Callable[[dict[str, Any], int], object]


def describe_rows(request: DescribeRequest) -> bytes:
    """Execute a module's text and describe every observation.

    Returns:
        A reply with one text per observation.

    Raises:
        TraceFailure: the function is missing or raises, or what it returns are no texts, with the first such row.
    """
    rows = range(len(request.egos))
    with quiet():
        bench = _Bench(request)
        texts = [bench.text(row) for row in rows]
        bench = _Bench(request, set=BackwardSet)
        again = {row: bench.text(row) for row in reversed(rows)}
        once_more = bench.text(0)  # with a single row, the only call that has another before it
    for row in rows:
        if texts[row] != again[row] or (row == 0 and texts[row] != once_more):
            message = (
                f"two calls give different texts in {bench.place(row)}. Remove what is kept between calls, and do not "
                "rely on the order of a set: use `sorted(...)`."
            )
            raise TraceFailure("contract", message)
    reply = pack_texts(texts)
    if len(reply) > MAX_REPLY_BYTES:
        cause = f"all texts together take {len(reply)} bytes, the limit is {MAX_REPLY_BYTES}"
        raise TraceFailure("contract", f"{cause}. Write shorter texts, or describe fewer observations in one call.")
    return reply


class _Bench:
    """A candidate's module, executed in a fresh namespace with builtins of its own, some of them replaced."""

    def __init__(self, request: DescribeRequest, **replaced: Any) -> None:
        self.request = request
        namespace: dict[str, Any] = {"__name__": "describe_function", "__builtins__": _builtins() | replaced}
        with _Candidate(request.source, "while the module is loaded"):
            exec(compile(request.source, FILENAME, "exec", dont_inherit=True), namespace)
        function = namespace.get(FUNCTION)
        if not callable(function):
            raise TraceFailure("contract", "the module must define one function `describe(observation, ego)`.")
        self.function: Describe = function

    def place(self, row: int) -> str:
        """Where something went wrong, for a message."""
        return f"row {row} (ego {self.request.egos[row]})"

    def text(self, row: int) -> str:
        """Describe one row; each call gets an observation of its own."""
        observation = observed(self.request.row(row), self.request.layout)
        fields = ", ".join(f"`{f.name}` {list(f.shape)}" for f in self.request.layout.fields)
        where = f"in {self.place(row)}. The observation's fields are {fields}"
        with _Candidate(self.request.source, where):
            text = self.function(observation, self.request.egos[row])
        if type(text) is not str:
            cause = f"it returns {short(type(text).__name__)} in {self.place(row)}"
            raise TraceFailure("contract", f"{cause}. Return a string.")
        if fault := fault_of(text):
            raise TraceFailure("contract", f"it returns, in {self.place(row)}, {fault}.")
        return text


@dataclass(frozen=True)
class _Candidate(AbstractContextManager[None]):
    """Around code of the candidate: whatever it raises, of whichever type, becomes a `TraceFailure`."""

    source: str
    where: str

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, TraceFailure):
            return
        place = place_of(error, self.source)
        cause = f"{place}{type(error).__name__}: {short(text_of(error))}"
        raise TraceFailure("trace", f"{cause} {self.where}.", place.line) from None


def _builtins() -> dict[str, Any]:
    """All builtins of a describe function; `import` knows `math` alone."""

    def import_math(name: str, *_: object) -> ModuleType:
        if name != "math":
            raise ImportError(f"there is no module `{short(name)}`, only `math`")
        return math

    return {name: getattr(builtins, name) for name in BUILTINS} | {"__import__": import_math}


def observed(values: tuple[float, ...], layout: StateLayout) -> dict[str, Any]:
    """An observation `[O]` as named fields: numbers and nested lists of numbers, whole ones as `int`."""
    numbers = [int(v) if v.is_integer() and abs(v) < WHOLE else v for v in values]
    return {field.name: _nested(numbers[part], field.shape) for field, part in layout.slices()}


def _nested(numbers: list[float], shape: tuple[int, ...]) -> Any:
    if not shape:
        return numbers[0]
    if len(shape) == 1:
        return numbers
    step = len(numbers) // shape[0]
    return [_nested(numbers[i : i + step], shape[1:]) for i in range(0, len(numbers), step)]


class BackwardSet(set[Any]):
    """A set that iterates backwards, as a set may: its order is nobody's promise."""

    def __iter__(self) -> Iterator[Any]:
        return iter(list(super().__iter__())[::-1])

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}" if self else "set()"

    def __and__(self, other: Any) -> Any:
        return _backward(super().__and__(other))

    def __or__(self, other: Any) -> Any:
        return _backward(super().__or__(other))

    def __sub__(self, other: Any) -> Any:
        return _backward(super().__sub__(other))

    def __xor__(self, other: Any) -> Any:
        return _backward(super().__xor__(other))


def _backward(result: Any) -> Any:
    return BackwardSet(result) if isinstance(result, set) else result


WARM: Final[Mapping[str, bool]] = {
    "import math\ndef describe(observation, ego):\n    return f'{math.pi:.2f} {sorted(set(observation))}'\n": True,
    "def describe(observation, ego):\n    return observation['no such field']\n": False,
    "def describe(observation, ego)\n": False,
}
"""Functions to run before the lock-down, and whether they describe."""


def warm_up(layout: StateLayout) -> None:
    """Load what describing and failing to describe import lazily."""
    for source, good in WARM.items():
        try:
            describe_rows(DescribeRequest(source, layout, (0,), bytes(8 * layout.size)))
        except TraceFailure:
            if good:
                raise
