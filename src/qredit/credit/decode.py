"""From hostile bytes to plain JSON data, in bounded time and memory."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from qredit.credit.schema import graph_error

SIZE_LIMIT = 200_000
"""Bytes of a credit graph."""
DEPTH_LIMIT = 8
"""Nesting of brackets; a graph needs 5."""
INTEGER_LIMIT = 2**31
"""Integers are smaller in magnitude, so that no arithmetic on them can explode."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def decode_json(data: bytes) -> Any:
    """Decode JSON that a stranger wrote.

    Raises:
        GraphError: too large, too deep, no JSON, a key twice, an integer of 2**31 or more, or a number that is not
            finite (typed constants and arguments write `"inf"`).
    """
    if len(data) > SIZE_LIMIT:
        raise graph_error(f"{len(data)} bytes", f"a credit graph has at most {SIZE_LIMIT} bytes")
    # Before json.loads, whose recursion a forged file could exhaust.
    depth = 0
    for byte in _STRING.sub(b"", data):
        if byte in b"[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                raise graph_error("credit graph", f"brackets are nested deeper than {DEPTH_LIMIT}")
        elif byte in b"]}":
            depth -= 1
    try:
        return json.loads(
            data.decode("ascii"),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise graph_error("credit graph", f"byte {error.start} is not ASCII") from None
    except json.JSONDecodeError as error:
        raise graph_error("credit graph", f"no valid JSON at character {error.pos}: {error.msg}") from None


def shown(value: object) -> str:
    """A value of the file for a message: short, on one line."""
    text = repr(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise graph_error(f"key {shown(twice)}", "it stands twice in one object")
    return result


def _integer(text: str) -> int:
    # The length comes first: converting a long run of digits takes quadratic time.
    if len(text) > 11 or abs(int(text)) >= INTEGER_LIMIT:
        raise graph_error(f"integer {shown(text)}", "integers are smaller than 2**31 in magnitude")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if len(text) <= 40 else math.inf
    if not math.isfinite(value):
        raise graph_error(f"number {shown(text)}", "it is too large or has more than 40 characters")
    return value


def _no_constant(text: str) -> NoReturn:
    raise graph_error(f"number `{text}`", 'JSON has none; a typed argument or constant writes "inf", "-inf" or "nan"')
