"""Why a source became no credit graph, told to the coder: what, where, and what to write in its place."""

from __future__ import annotations

import io
import traceback
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from qredit.errors import JailError

FILENAME = "<credit function>"
"""File name of the candidate's code in tracebacks and in the recorded graph."""
MESSAGE_LIMIT = 500
"""Characters of a message; the candidate may control all of them."""
TEXT_LIMIT = 160
"""Characters of an exception's text or of a source line inside a message."""

FailureKind = Literal["trace", "contract", "unsupported", "graph"]


class TraceFailure(Exception):
    """The source cannot become a credit graph.

    Args:
        kind: `trace`: it raises or cannot be recorded; `contract`: wrong function, inputs or outputs; `unsupported`: an
            operation that no credit graph has; `graph`: what was recorded breaks a rule of the graph.
        message: cause and remedy, at most `MESSAGE_LIMIT` characters.
        line: the offending line of the source, counted from 1, where it is known.
    """

    def __init__(self, kind: FailureKind, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
        self.line = line


@dataclass(frozen=True)
class Place:
    """Where in the candidate's source something stands."""

    source: str
    """The candidate's module."""
    line: int | None
    """Line, counted from 1."""

    @property
    def code(self) -> str:
        """The line as it stands there, shortened; empty if unknown."""
        lines = self.source.splitlines()
        return short(lines[self.line - 1].strip()) if self.line and self.line <= len(lines) else ""

    def __str__(self) -> str:
        return f"`{self.code}`: " if self.code else ""


class Void(io.TextIOBase):
    """Swallows what the candidate, or torch in its name, prints."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing printed, and no warning: a warning would be about the candidate or about torch's own internals."""
    with warnings.catch_warnings(), redirect_stdout(Void()), redirect_stderr(Void()):
        warnings.simplefilter("ignore")
        yield


def short(text: str) -> str:
    """First line of a text, shortened."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first if len(first) <= TEXT_LIMIT else first[: TEXT_LIMIT - 3] + "..."


def text_of(error: BaseException) -> str:
    """Text of an exception; only its name if its class is the candidate's own, whose `__str__` is not to be trusted."""
    kind = type(error)
    return str(error) if kind.__module__.split(".")[0] in ("builtins", "torch") else kind.__name__


def place_of(error: BaseException, source: str) -> Place:
    """The innermost line of the candidate's source in an exception's traceback."""
    lines = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == FILENAME]
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        lines.append(error.lineno or 1)
    return Place(source, lines[-1] if lines else None)


class CandidateCode(AbstractContextManager[None]):
    """Around code of the candidate: whatever it raises becomes a `TraceFailure`.

    An `except` clause would have to name every type, and a candidate can make up its own. What this does not cover:
    a process that ends or never returns; that is the jail's business.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (TraceFailure, JailError, KeyboardInterrupt)):
            return
        if isinstance(error, ImportError) and _is_ours(error):
            raise JailError(
                "a function could not be traced",
                cause=f"torch imported `{error.name}` only after the lock-down",
                remedy="Report it with the function; `qredit.sandbox.tracing.warm` must have one like it.",
            ) from error
        raise self.failure(error) from None

    def failure(self, error: BaseException) -> TraceFailure:
        """What to tell the coder; while the function runs on plain tensors, Python's own words are the clearest."""
        place = place_of(error, self.source)
        return TraceFailure("trace", f"{place}{type(error).__name__}: {short(text_of(error))}", place.line)


def _is_ours(error: ImportError) -> bool:
    """Whether a library imported lazily; the candidate's own `import` ends in the candidate's frame."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    inner = [name for name in frames if not name.startswith("<frozen importlib")]
    return bool(inner) and inner[-1] != FILENAME
