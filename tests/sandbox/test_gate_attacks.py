"""The gate against escapes: each is refused with its kind, its line and what it is about."""

from __future__ import annotations

import itertools

import pytest

from qredit.sandbox.gate import check_gate
from qredit.sandbox.gate_tables import BUILTINS, FORBIDDEN_ATTRIBUTES, MODULE_TABLES
from qredit.sandbox.gate_text import MAX_BYTES
from tests.sandbox import gate_attacks as attacks


def refused(source: str, kind: str, line: int, what: str) -> None:
    """The gate refuses it with this."""
    verdict = check_gate(source)
    assert verdict is not None, "it was let through"
    assert (verdict.stage, verdict.kind, verdict.line) == ("gate", kind, line)
    assert verdict.message.startswith(f"Line {line}: {what}")


@pytest.mark.parametrize(("code", "what"), attacks.FORBIDDEN_INSIDE)
def test_forbidden_in_the_body(code: str, what: str) -> None:
    refused(attacks.inside(code), "forbidden", attacks.LINE_INSIDE, what)


@pytest.mark.parametrize(("code", "what"), attacks.UNSUPPORTED_INSIDE)
def test_unsupported_in_the_body(code: str, what: str) -> None:
    refused(attacks.inside(code), "unsupported", attacks.LINE_INSIDE, what)


@pytest.mark.parametrize(("code", "what"), attacks.FORBIDDEN_AT_TOP)
def test_forbidden_above_the_function(code: str, what: str) -> None:
    refused(attacks.at_top(code), "forbidden", attacks.LINE_AT_TOP, what)


@pytest.mark.parametrize(("code", "what"), attacks.UNSUPPORTED_AT_TOP)
def test_unsupported_above_the_function(code: str, what: str) -> None:
    refused(attacks.at_top(code), "unsupported", attacks.LINE_AT_TOP, what)


@pytest.mark.parametrize(("code", "kind", "line", "what"), attacks.WHOLE)
def test_in_other_places(code: str, kind: str, line: int, what: str) -> None:
    refused(attacks.HEAD + code, kind, line, what)


DEEP = {
    "brackets": "y = " + "(" * 300 + "1" + ")" * 300,
    "signs": "y = " + "-" * 5000 + "1",
    "not": "y = " + "not " * 5000 + "1",
    "powers": "y = " + "2**" * 3000 + "1",
    "sums": "y = " + "1+" * 9000 + "1",
    "attributes": "y = x" + ".T" * 5000,
    "subscripts": "y = x" + "[0]" * 5000,
    "calls": "y = x" + "()" * 5000,
    "lambdas": "y = " + "lambda: " * 2000 + "1",
    "elif": "if 1: pass\n" + "elif 1: pass\n" * 500,
    "if": "\n".join(" " * depth + "if 1:" for depth in range(120)) + "\n" + " " * 121 + "pass",
    "lines": "y = 1\n" * 5000,
    "integer": "y = " + "9" * 400,
    "integer beyond Python's limit": "y = " + "9" * 5000,
    "length": "y = '" + "a" * MAX_BYTES + "'",
    "list": "y = [" + "1," * 25000 + "]",
}


@pytest.mark.parametrize("code", DEEP.values(), ids=DEEP)
def test_what_is_deep_or_long_is_refused_and_breaks_nothing(code: str) -> None:
    verdict = check_gate(attacks.inside(code))
    assert verdict is not None
    assert verdict.kind == "unsupported"
    assert len(verdict.message) < 400


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"def credit(s):\n    return '\xe9'\n",
        b"\x00",
        b"a\xed\xa0\x80",
        "x = '\ud800'",
        "\ufeffimport torch\n",
    ],
)
def test_text_that_is_none(data: str | bytes) -> None:
    verdict = check_gate(data)
    assert verdict is not None
    assert verdict.kind == "unsupported"


def test_a_cookie_for_another_encoding_changes_nothing() -> None:
    """As UTF-7 the line would be a call of `eval`."""
    refused(
        "# -*- coding: utf-7 -*-\n" + attacks.inside("+AGUAdgBhAGw-('1')"), "unsupported", 7, "`AGUAdgBhAGw` is not"
    )


def test_no_allowed_name_is_a_forbidden_one() -> None:
    for table in MODULE_TABLES.values():
        assert not table & FORBIDDEN_ATTRIBUTES
    assert not BUILTINS & FORBIDDEN_ATTRIBUTES


def test_every_case_is_another_one() -> None:
    tables = (
        attacks.FORBIDDEN_INSIDE,
        attacks.UNSUPPORTED_INSIDE,
        attacks.FORBIDDEN_AT_TOP,
        attacks.UNSUPPORTED_AT_TOP,
    )
    sources = [code for table in tables for code, _ in table]
    assert len(sources) + len(attacks.WHOLE) + len(DEEP) >= 180
    assert not [a for a, b in itertools.pairwise(sorted(sources)) if a == b]
