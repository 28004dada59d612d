"""The gate against escapes: each is refused with its kind, its line and what it is about."""

from __future__ import annotations

import difflib
import itertools
import subprocess
import sys

import pytest

from qredit.sandbox.gate.check import MAX_DEPTH, check_gate
from qredit.sandbox.gate.rules import MAX_INTEGER
from qredit.sandbox.gate.tables import BUILTINS, FORBIDDEN_ATTRIBUTES, MODULE_TABLES
from qredit.sandbox.gate.text import MAX_BRACKETS, MAX_BYTES, MAX_CHAIN, MAX_INDENT, MAX_LINES, MAX_RUN
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


MORE: dict[str, tuple[str, str, int, str]] = {
    # an internal or forbidden name that is not the last of its chain
    "class behind a name": ("x.__class__.__name__", "forbidden", 6, "`x.__class__.__name__` is forbidden"),
    "class behind init": ("().__class__.__init__", "forbidden", 6, "`__class__.__init__` is forbidden"),
    "globals behind init": (
        "credit.__globals__.__init__", "forbidden", 6, "`credit.__globals__.__init__` is forbidden"
    ),
    "init before a name": ("x.__init__.foo", "forbidden", 6, "`x.__init__.foo` is forbidden"),
    "hub behind a docstring": ("torch.hub.__doc__", "forbidden", 6, "`torch.hub.__doc__` is forbidden"),
    "init alone": ("super().__init__()", "unsupported", 6, "`__init__` is not supported"),
    # builtins as objects
    "store on a builtin": ("dict.x = 1", "unsupported", 6, "setting the attribute `dict.x` is not supported"),
    "method of a builtin": ("int.from_bytes([1])", "unsupported", 6, "`int.from_bytes` is not available"),
    "constructor of a builtin": ("dict.fromkeys([1])", "unsupported", 6, "`dict.fromkeys` is not available"),
    "builtin in an annotation": ("y: type.foo = 1", "unsupported", 6, "`type.foo` is not available"),
    # annotations are code; their operators have no place of their own
    "sum as annotation": ("y: 1 + 2 = 3", "unsupported", 6, "this annotation is not supported"),
    "sign as annotation": ("y: -1 = 3", "unsupported", 6, "this annotation is not supported"),
    "comparison as annotation": ("y: 1 < 2 = 3", "unsupported", 6, "this annotation is not supported"),
    "lambda as annotation": ("y: (lambda: 0) = 3", "unsupported", 6, "this annotation is not supported"),
    "comprehension as annotation": ("y: [a for a in x] = 3", "unsupported", 6, "this annotation is not supported"),
    "walrus as annotation": ("y: (z := 1) = 3", "unsupported", 6, "`:=` is not supported"),
    "yield as annotation": ("def g() -> (yield): pass", "unsupported", 6, "`yield` is not supported"),
    "sum in an argument's annotation": ("z = 2 + 3\ndef g(a: 1 + 2): pass", "unsupported", 7, "this annotation is"),
    # modules under other names
    "math under another name": ("m = math", "unsupported", 6, "the module `math` is used as a value"),
    "module in a tuple": ("(torch, math)[0].load('f')", "forbidden", 6, "`load` is forbidden"),
    "module from a condition": ("(torch if x else math).load('f')", "forbidden", 6, "`load` is forbidden"),
    "module as subscript": ("torch['load']", "unsupported", 6, "the module `torch` is used as a value"),
    "module as argument": ("isinstance(torch, dict)", "unsupported", 6, "the module `torch` is used as a value"),
    "ops by subscript": ("torch.ops['aten']", "forbidden", 6, "`torch.ops` is forbidden"),
    "parameter F": ("(lambda F: F)(x)", "unsupported", 6, "`F` is given a new value"),
    "function torch": ("def torch(): pass", "unsupported", 6, "`torch` is given a new value"),
    "torch in a tuple of targets": ("for torch, y in (): pass", "unsupported", 6, "`torch` is given a new value"),
    "torch added to": ("torch += 1", "unsupported", 6, "`torch` is given a new value"),
    "eval as a loop's name": ("all(eval for eval in (1,))", "forbidden", 6, "`eval` is forbidden"),
    # stores on attributes, in every place that takes a target
    "starred target": ("*x.data, y = x", "unsupported", 6, "setting the attribute `x.data` is not supported"),
    "target of a comprehension": ("[0 for x.data in x]", "unsupported", 6, "setting the attribute `x.data` is not"),
    "annotated target": ("x.data: int = 1", "unsupported", 6, "setting the attribute `x.data` is not supported"),
    "target of nothing": ("torch.add: int", "unsupported", 6, "setting the attribute `torch.add` is not supported"),
    # strings that spell a name in another way
    "joined literals": ("y = '__cl' 'ass__'", "forbidden", 6, "a string names an internal attribute (`__`)"),
    "escapes": (r"y = '\x5f\x5fclass'", "forbidden", 6, "a string names an internal attribute (`__`)"),
    "named characters": (r"y = '\N{LOW LINE}\N{LOW LINE}x'", "forbidden", 6, "a string names an internal attribute"),
    "raw string": ("y = r'__class__'", "forbidden", 6, "a string names an internal attribute (`__`)"),
    "key of a store": ("state['__builtins__'] = 1", "forbidden", 6, "a string names an internal attribute (`__`)"),
    "format in a message": ("assert x, '{0.__class__}'.format(x)", "forbidden", 6, "a string names an internal"),
    "look-alike in an f-string": ("f'{\uff45\uff56\uff41\uff4c}'", "forbidden", 6, "`eval` is forbidden"),
    # places
    "blanks in a chain": ("x.  __class__", "forbidden", 6, "`x.__class__` is forbidden"),
    "slice": ("x[__import__('os'):]", "forbidden", 6, "`__import__` is forbidden"),
    "starred argument": ("max(*[eval])", "forbidden", 6, "`eval` is forbidden"),
    "keyword": ("torch.sum(x, __out=1)", "forbidden", 6, "`__out` is forbidden"),
    "keyword-only default": ("def g(*, a=open): pass", "forbidden", 6, "`open` is forbidden"),
    "default of a default": ("def g(a=lambda b=open: b): pass", "forbidden", 6, "`open` is forbidden"),
    "key of a sort": ("sorted([x], key=lambda a: a.__class__)", "forbidden", 6, "`a.__class__` is forbidden"),
    "element of a comprehension": ("[a.__class__ for a in (x,)]", "forbidden", 6, "`a.__class__` is forbidden"),
    "file of a print": ("print('x', file=open('f'))", "forbidden", 6, "`open` is forbidden"),
    "body of a class": ("class A:\n    y = __import__('os')", "forbidden", 7, "`__import__` is forbidden"),
    "import under an if": ("if 1: import os", "forbidden", 6, "importing `os` is forbidden"),
    "import under a try": ("try: import os\nexcept: pass", "forbidden", 6, "importing `os` is forbidden"),
    "pattern of a class": ("match x:\n    case dict(__class__=c): pass", "unsupported", 6, "`match` is not supported"),
    "exception group": ("try: pass\nexcept* ValueError: pass", "unsupported", 6, "`try` is not supported"),
    "asynchronous comprehension": ("[a async for a in x]", "unsupported", 6, "`async` is not supported"),
    "decorator inside": ("@credit\ndef g(): pass", "unsupported", 6, "a decorator is not supported"),
}  # fmt: skip
"""Further code in the body: code, kind, line, what."""

MORE_AT_TOP: dict[str, tuple[str, str, str]] = {
    "torch, then os": ("import torch, os", "forbidden", "importing `os` is forbidden"),
    "private module": ("from torch._C import ops", "forbidden", "importing `torch._C.ops` is forbidden"),
    "everything of os": ("from os import *", "forbidden", "importing `os.*` is forbidden"),
    "math as torch": ("import math as torch", "unsupported", "importing `math` is not supported"),
    "functional as torch": ("from torch.nn import functional as torch", "unsupported", "importing `torch.nn.func"),
    "Tensor as F": ("from torch import Tensor as F", "unsupported", "importing `torch.Tensor` is not supported"),
    "torch as an internal name": ("import torch as __x", "unsupported", "importing `torch` is not supported"),
    "neighbour called torch": ("from .torch import Tensor", "unsupported", "importing `.torch.Tensor` is not supp"),
    "everything of typing": ("from typing import *", "unsupported", "importing `typing.*` is not supported"),
    "decorator of torch": ("@torch.hub.load\ndef f(): pass", "forbidden", "`torch.hub.load` is forbidden"),
    "shift": ("A = 1 << 10**9", "unsupported", "a value is computed at module level"),
    "call with a call": ("A = math.sqrt(len('a'))", "unsupported", "a value is computed at module level"),
    "call with keywords": ("A = math.prod([1], start=2)", "unsupported", "a value is computed at module level"),
    "text as annotation": ("def f() -> \"__import__('os')\": pass", "forbidden", "a string names an internal attri"),
}
"""Further code above the function: code, kind, what."""


@pytest.mark.parametrize(("code", "kind", "line", "what"), MORE.values(), ids=MORE)
def test_further_attacks_in_the_body(code: str, kind: str, line: int, what: str) -> None:
    refused(attacks.inside(code), kind, line, what)


@pytest.mark.parametrize(("code", "kind", "what"), MORE_AT_TOP.values(), ids=MORE_AT_TOP)
def test_further_attacks_above_the_function(code: str, kind: str, what: str) -> None:
    refused(attacks.at_top(code), kind, attacks.LINE_AT_TOP, what)


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


TEXTS: dict[str, tuple[str | bytes, int, str]] = {
    "no UTF-8": (b"\xff\xfe", 1, "the text is not UTF-8"),
    "UTF-16": ("import torch".encode("utf-16"), 1, "the text is not UTF-8"),
    "Latin-1": (b"def credit(s):\n    return '\xe9'\n", 2, "the text is not UTF-8"),
    "surrogate as bytes": (b"a\n\xed\xa0\x80", 2, "the text is not UTF-8"),
    "surrogate": ("x = '\ud800'", 1, "the text holds half of a surrogate pair"),
    "NUL": (b"\x00", 1, "the text holds the invisible character U+0000"),
    "byte order mark": ("\ufeffimport torch\n", 1, "the text holds the invisible character U+FEFF"),
    "byte order mark as bytes": (b"\xef\xbb\xbfimport torch\n", 1, "the text holds the invisible character U+FEFF"),
    "mark and cookie": ("\ufeff# coding: utf-7\n", 1, "the text holds the invisible character U+FEFF"),
    "carriage return": ("# fine\rimport os\n", 1, "the text holds the invisible character U+000D"),
    "giant": ("#" * (MAX_BYTES + 1), 1, f"the text is {MAX_BYTES + 1} bytes long, the limit is {MAX_BYTES}"),
    "giant in bytes only": ("\u2212" * MAX_BYTES, 1, f"the text is {3 * MAX_BYTES} bytes long"),
}
"""Text or bytes that are no text of a program, line, what."""


@pytest.mark.parametrize(("data", "line", "what"), TEXTS.values(), ids=TEXTS)
def test_text_that_is_none(data: str | bytes, line: int, what: str) -> None:
    verdict = check_gate(data)
    assert verdict is not None
    assert (verdict.kind, verdict.line) == ("unsupported", line)
    assert verdict.message.startswith(f"Line {line}: {what}")


def returns(expression: str) -> str:
    """A function of two lines."""
    return f"def credit(s):\n    return {expression}\n"


LIMITS: dict[str, tuple[str, str, int, str]] = {
    "bytes": ("#" * MAX_BYTES, "#" * (MAX_BYTES + 1), 1, "the text is 65537 bytes long"),
    "lines": ("\n" * MAX_LINES, "\n" * (MAX_LINES + 1), MAX_LINES + 1, "the text has more than 2000 lines"),
    "lines, the last one open": (
        "\n" * (MAX_LINES - 1) + "#", "\n" * MAX_LINES + "#", MAX_LINES + 1, "the text has more than 2000 lines"
    ),
    "brackets": (
        returns("(" * MAX_BRACKETS + "s" + ")" * MAX_BRACKETS),
        returns("[" * (MAX_BRACKETS + 1) + "s" + "]" * (MAX_BRACKETS + 1)),
        2,
        "brackets are nested deeper than 40",
    ),
    "blanks": (
        f"def credit(s):\n{' ' * MAX_INDENT}return s\n",
        f"def credit(s):\n{' ' * (MAX_INDENT + 1)}return s\n",
        2,
        "a line is indented by more than 100",
    ),
    "signs": (
        returns("- " * MAX_RUN + "s"), returns("- " * (MAX_RUN + 1) + "s"), 2, "too many operators stand in a row"
    ),
    "signs over lines": (
        returns("- \\\n" * MAX_RUN + "s"), returns("- \\\n" * (MAX_RUN + 1) + "s"), 2, "too many operators stand in"
    ),
    "else": (
        returns("s if 1 else " * MAX_CHAIN + "s"),
        returns("s if 1 else " * (MAX_CHAIN + 1) + "s"),
        2,
        "too many operators stand in one statement",
    ),
    "elif": (
        "def credit(s):\n    if 1: pass\n" + "    elif 1: pass\n" * MAX_CHAIN + "    return s\n",
        "def credit(s):\n    if 1: pass\n" + "    elif 1: pass\n" * (MAX_CHAIN + 1) + "    return s\n",
        MAX_CHAIN + 3,
        "there are more than 60 `elif`",
    ),
    "integers": (
        returns(f"s * {MAX_INTEGER}"), returns(f"s * {MAX_INTEGER + 1}"), 2, "an integer literal is too large"
    ),
    "depth": (
        returns("s" + ".T" * (MAX_DEPTH - 5)), returns("s" + ".T" * (MAX_DEPTH + 1)), 2, "the code is nested too deeply"
    ),
    "nodes": (returns(f"[{'1,' * 19_000}]"), returns(f"[{'1,' * 20_000}]"), 2, "the code is too long"),
}  # fmt: skip
"""What just passes, what just does not, with line and what."""


@pytest.mark.parametrize(("good", "bad", "line", "what"), LIMITS.values(), ids=LIMITS)
def test_each_limit_holds_where_it_says(good: str, bad: str, line: int, what: str) -> None:
    assert check_gate(good) is None
    refused(bad, "unsupported", line, what)


def test_one_similar_name_is_looked_for_however_many_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up reads every known name: thousands of them kept the host busy for half a minute."""
    looked_up: list[str] = []
    find = difflib.get_close_matches

    def counting(word: str, possibilities: list[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
        looked_up.append(word)
        assert max(map(len, possibilities)) < 100
        return find(word, possibilities, n, cutoff)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    known = [f"value_{i}" for i in range(900)]
    lines = [f"{name} = x" for name in [*known, "long_" * 50]] + [f"x.{name}_{name}" for name in known]
    refused(attacks.inside("\n".join(lines)), "unsupported", 907, "`x.value_0_value_0` is not available. Use other")
    refused(attacks.inside("\n".join(["valeu_1", *lines])), "unsupported", 6, "`valeu_1` is not defined. Did you mean")
    assert looked_up == ["value_0_value_0", "valeu_1"]


def test_a_name_longer_than_what_is_shown_is_compared_with_nothing() -> None:
    name = "near_" * 20
    refused(
        attacks.inside(f"{name} = x\n{name}s"),
        "unsupported",
        7,
        f"`{name[:57]}...` is not defined. Define it, or use the functions of `torch`.",
    )


@pytest.mark.parametrize("code", ["y = 10**10**10", "y = 1 << 10**9", "y = 'a' * 10**10", "y = [0] * 10**10"])
def test_arithmetic_is_left_to_the_limits_of_the_jail(code: str) -> None:
    """The gate computes nothing, so it neither hangs nor knows how large a result is."""
    assert check_gate(attacks.inside(code)) is None


def test_what_counts_as_a_builtin_does_not_depend_on_the_session() -> None:
    """An interactive one puts its last value into `builtins._`."""
    source = attacks.inside("best, _ = x.max(dim=1)")
    code = (
        "import builtins, sys\nbuiltins._ = 1\n"
        "from qredit.sandbox.gate.check import check_gate\nprint(check_gate(sys.stdin.read()))"
    )
    run = subprocess.run([sys.executable, "-c", code], input=source, capture_output=True, text=True, check=True)
    assert run.stdout == "None\n"


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
    sources += [case[0] for table in (MORE, MORE_AT_TOP) for case in table.values()]
    assert len(sources) + len(attacks.WHOLE) + len(DEEP) >= 180
    assert not [a for a, b in itertools.pairwise(sorted(sources)) if a == b]
