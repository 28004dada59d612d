"""The gate's first half: limits on the bare text, before Python's parser sees it.

The parser is C code that recurses: what could make it deep is counted here, with strings and comments taken out by a
scan that is exact for well-formed text (anything else ends in the parser's own syntax error) and linear for any text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from qredit.sandbox.gate.finding import Finding

MAX_BYTES = 65_536
MAX_LINES = 2_000
MAX_BRACKETS = 40
MAX_INDENT = 100
"""Blanks before a statement."""
MAX_RUN = 12
"""Prefix operators in a row: `- - - x`, `not not x`."""
MAX_CHAIN = 60
"""Operators in one statement that nest to the right, and `elif` in the whole text."""

_STRING_OR_COMMENT = re.compile(
    r"""#[^\n]*|\"{3}(?:[^\\]|\\.)*?(?:\"{3}|\\?\Z)|'{3}(?:[^\\]|\\.)*?(?:'{3}|\\?\Z)"""
    r"""|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?""",
    re.DOTALL,
)
_PREFIX_RUN = re.compile(rf"(?:(?:[-+~]|\bnot\b|\blambda\b[^:\n]{{0,200}}:)[ \t\\\n]*){{{MAX_RUN + 1}}}")
_ELIF = re.compile(r"\belif\b")
_NESTS_RIGHT = re.compile(r"\*\*|\belse\b|\blambda\b|\bnot\b")
_BRACKET_OR_NEWLINE = re.compile(r"[()\[\]{}\n]")


def decode(source: str | bytes) -> str | Finding:
    """The text of a candidate, or why it is none: too long, not UTF-8."""
    try:
        data = source.encode("utf-8") if isinstance(source, str) else source
        if len(data) > MAX_BYTES:
            size = f"the text is {len(data)} bytes long, the limit is {MAX_BYTES}"
            return Finding(1, size, "Write a shorter function.")
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeEncodeError:
        return Finding(1, "the text holds half of a surrogate pair", "Write plain UTF-8 text.")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return Finding(line, "the text is not UTF-8", "Write plain UTF-8 text.")


def check_text(text: str, instead: str = "tensor operations") -> Finding | None:
    """The first limit that the text breaks, if any.

    Args:
        text: the source.
        instead: what replaces long code, for the message.
    """
    if text.removesuffix("\n").count("\n") >= MAX_LINES:
        return Finding(MAX_LINES + 1, f"the text has more than {MAX_LINES} lines", "Write a shorter function.")
    bare = _STRING_OR_COMMENT.sub(_blank, text)
    return _check_characters(text, bare) or _check_nesting(bare, instead)


def _blank(match: re.Match[str]) -> str:
    """As many newlines as the string or comment held, so that lines keep their numbers; a string stays a token."""
    found = match.group()
    return "" if found.startswith("#") else "''" + "\n" * found.count("\n")


def _check_characters(text: str, bare: str) -> Finding | None:
    """Control and invisible characters anywhere (they can hide code from a reader), others outside ASCII in code."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.isprintable():
            continue
        for char in line.replace("\t", ""):
            if unicodedata.category(char) in ("Cc", "Cf", "Cs"):
                return Finding(number, f"the text holds the invisible character U+{ord(char):04X}", "Remove it.")
    if bare.isascii():
        return None
    number = next(n for n, line in enumerate(bare.split("\n"), start=1) if not line.isascii())
    remedy = "Use ASCII names and operators; other characters may stand in comments and docstrings."
    return Finding(number, "a character outside ASCII stands in the code", remedy)


def _check_nesting(bare: str, instead: str) -> Finding | None:
    run = _PREFIX_RUN.search(bare)
    if run:
        line = bare.count("\n", 0, run.start()) + 1
        return Finding(line, "too many operators stand in a row", "Simplify the expression.")
    elifs = [match.start() for match in _ELIF.finditer(bare)]
    if len(elifs) > MAX_CHAIN:
        line = bare.count("\n", 0, elifs[MAX_CHAIN]) + 1
        return Finding(line, f"there are more than {MAX_CHAIN} `elif`", f"Compute with {instead}.")
    for line, depth, statement in _statements(bare):
        if depth > MAX_BRACKETS:
            return Finding(line, f"brackets are nested deeper than {MAX_BRACKETS}", "Use helper variables.")
        if len(statement) - len(statement.lstrip(" \t")) > MAX_INDENT:
            return Finding(line, f"a line is indented by more than {MAX_INDENT}", "Use helper functions.")
        if len(_NESTS_RIGHT.findall(statement)) > MAX_CHAIN:
            return Finding(line, "too many operators stand in one statement", "Use helper variables.")
    return None


def _statements(bare: str) -> Iterator[tuple[int, int, str]]:
    """Each statement, with its first line and its deepest bracket; brackets and backslashes join lines."""
    start, first, line, depth, deepest = 0, 1, 1, 0, 0
    for match in _BRACKET_OR_NEWLINE.finditer(bare):
        char, at = match.group(), match.start()
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char != "\n":
            depth = max(depth - 1, 0)
        else:
            line += 1
            if depth == 0 and not bare.endswith("\\", 0, at):
                yield first, deepest, bare[start:at]
                start, first, deepest = at + 1, line, 0
    yield first, deepest, bare[start:]
