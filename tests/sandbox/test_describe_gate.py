"""The gate's profile of describe functions: good ones pass, and each rule refuses with its kind, line and remedy."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.gate.describe import BUILTINS, DESCRIBE, METHODS
from qredit.sandbox.gate.describe_rules import FORMAT
from qredit.sandbox.gate.profile import CREDIT
from qredit.sandbox.gate.tables import FORBIDDEN_ATTRIBUTES, FORBIDDEN_CALLS, FORBIDDEN_NAMES
from qredit.sandbox.gate.text import MAX_BYTES, MAX_CHAIN
from qredit.sandbox.verdict import QUOTE_LIMIT, Rejected
from tests.credit.corpus import CORPUS
from tests.sandbox.describe_programs import GOOD, HOSTILE, LINE, Hostile, Program
from tests.sandbox.test_gate_properties import TEXTS

HEAD = "import math\nROWS = [1, 2]\nTABLE = {'a': [1]}\ndef describe(observation, ego):\n"
INSIDE = 5
"""Line of the first line after `HEAD`."""


def refused(source: str) -> Rejected:
    """The gate refuses it."""
    verdict = check_gate(source, DESCRIBE)
    assert verdict is not None, "it was let through"
    assert verdict.stage == "gate"
    return verdict


def inside(code: str) -> str:
    """A describe function with this code in its body."""
    lines = "".join(f"    {line}\n" for line in code.split("\n"))
    return f"{HEAD}{lines}    return str(ego)\n"


@pytest.mark.parametrize("program", GOOD, ids=lambda p: p.name)
def test_a_good_function_passes(program: Program) -> None:
    assert check_gate(program.source, DESCRIBE) is None


@pytest.mark.parametrize("case", HOSTILE, ids=lambda c: c.name)
def test_a_hostile_function_is_told_apart(case: Hostile) -> None:
    """What only arithmetic makes huge passes: the gate computes nothing, and the jail's limits hold."""
    if not case.gate:
        assert check_gate(case.source, DESCRIBE) is None
        return
    verdict = refused(case.source)
    assert (verdict.kind, verdict.line) == (case.kind, LINE + case.objection)
    assert case.gate in verdict.message


RULES = {
    "import torch": ("import torch", "unsupported", "importing `torch` is not supported. Only `import math`"),
    "import random": ("import random", "unsupported", "importing `random` is not supported. Only `import math`"),
    "from math": ("from math import sqrt", "unsupported", "importing `math.sqrt` is not supported. Only `import math`"),
    "star import": ("from math import *", "unsupported", "importing `math.*` is not supported"),
    "another name for math": ("import math as m", "unsupported", "importing `math` is not supported"),
    "socket": ("import socket", "forbidden", "importing `socket` is forbidden. It reaches beyond numbers and strings"),
    "while": ("while ego:\n    ego -= 1", "unsupported", "`while` is not supported. Use `for ... in range(...)`."),
    "class": ("class A:\n    pass", "unsupported", "a class is not supported. Write a plain function `def describe("),
    "lambda": ("f = lambda x: x", "unsupported", "`lambda` is not supported. Write a function with `def`."),
    "try": ("try:\n    pass\nfinally:\n    pass", "unsupported", "`try` is not supported. Test the value instead"),
    "with": ("with ego:\n    pass", "unsupported", "`with` is not supported. Remove it."),
    "global": ("global ROWS", "unsupported", "`global` is not supported. Pass the value as an argument."),
    "raise": ("raise ego", "unsupported", "`raise` is not supported. Remove it; return a text in every case."),
    "assert": ("assert ego", "unsupported", "`assert` is not supported. Remove it; return a text in every case."),
    "yield": ("yield ego", "unsupported", "`yield` is not supported. Collect the values in a list."),
    "walrus": ("x = (y := ego)", "unsupported", "`:=` is not supported. Assign in a statement of its own."),
    "match": ("match ego:\n    case 1:\n        pass", "unsupported", "`match` is not supported. Use `if` and `elif`"),
    "del": ("del ego", "unsupported", "`del` is not supported. Remove it."),
    "async": ("async def f():\n    pass", "unsupported", "`async` is not supported. Write a plain function."),
    "decorator": ("@abs\ndef f():\n    pass", "unsupported", "a decorator is not supported. Remove it."),
    "set in braces": ("x = {1, 2}", "unsupported", "a set in braces is not supported. Use a tuple or a list"),
    "set comprehension": ("x = {i for i in ROWS}", "unsupported", "a set comprehension is not supported"),
    "bytes": ("x = b'a'", "unsupported", "a bytes literal is not supported"),
    "large integer": ("x = 9007199254740993", "unsupported", "an integer literal is too large"),
    "format method": ("x = '{}'.format(ego)", "unsupported", "`format` is not available. Use an f-string"),
    "percent on a string": ("x = '%d' % ego", "unsupported", "`%` on a string is not supported. Use an f-string"),
    "percent on a sum": ("x = ('a' + '%d') % ego", "unsupported", "`%` on a string is not supported"),
    "percent on an f-string": ("x = f'{ego}%d' % ego", "unsupported", "`%` on a string is not supported"),
    "percent with a tuple": ("x = observation['t'] % (1, 2)", "unsupported", "`%` on a string is not supported"),
    "wide format": ("x = f'{ego:100d}'", "unsupported", "this format in an f-string is not supported. Use a short"),
    "precise format": ("x = f'{ego:.100f}'", "unsupported", "this format in an f-string is not supported"),
    "nested format": ("x = f'{ego:{ego}}'", "unsupported", "this format in an f-string is not supported"),
    "nested precision": ("x = f'{ego:.{ego}f}'", "unsupported", "this format in an f-string is not supported"),
    "format with fill": ("x = f'{ego:*>9}'", "unsupported", "this format in an f-string is not supported"),
    "private attribute": ("x = ego._x", "forbidden", "`ego._x` is forbidden. It reaches beyond numbers and strings"),
    "dunder in an f-string": ("x = f'{ego.__class__}'", "forbidden", "`ego.__class__` is forbidden"),
    "setting an attribute": ("describe.count = 1", "unsupported", "setting the attribute `describe.count` is not"),
    "sort": ("x = [1].sort()", "unsupported", "`sort` is not available. Use `sorted(values)`."),
    "rjust": ("x = 'a'.rjust(9)", "unsupported", "`rjust` is not available. Use a width in an f-string"),
    "numpy method": ("x = observation['a'].tolist()", "unsupported", "`tolist` is not available. Use plain Python"),
    "attribute of the observation": ("x = observation.agent_position", "unsupported", "`observation.agent_position`"),
    "misspelt method": ("x = 'a'.captalize()", "unsupported", "Did you mean `capitalize`?"),
    "misspelt function of math": ("x = math.sqr(2)", "unsupported", "Did you mean `sqrt`?"),
    "misspelt name": ("x = soted(ROWS)", "unsupported", "`soted` is not defined. Did you mean `sorted`?"),
    "print": ("print(ego)", "unsupported", "`print` is not available. Remove it; return the text."),
    "isinstance": ("x = isinstance(ego, int)", "unsupported", "`isinstance` is not available. Remove the test."),
    "torch": ("x = torch.ones(2)", "unsupported", "`torch` is not defined. Use plain Python"),
    "hash": ("x = hash('a')", "unsupported", "`hash` is not available. A describe function must be deterministic"),
    "map": ("x = map(str, ROWS)", "unsupported", "`map` is not available. Use a comprehension or a `for` loop."),
    "shadowed builtin": ("list = [1]", "unsupported", "`list` is given a new value"),
    "shadowed math": ("math = 1", "unsupported", "`math` is given a new value"),
    "module as a value": ("x = [math]", "unsupported", "the module `math` is used as a value"),
    "entry of a constant": ("ROWS[0] = 3", "unsupported", "a value outside of the function is changed. Copy it first"),
    "entry of an entry": ("TABLE['a'][0] = 3", "unsupported", "a value outside of the function is changed"),
    "sum into a constant": ("TABLE['b'] += 3", "unsupported", "a value outside of the function is changed"),
    "append to a constant": ("ROWS.append(3)", "unsupported", "a value outside of the function is changed"),
    "append to an entry": ("TABLE['a'].append(3)", "unsupported", "a value outside of the function is changed"),
    "append to a got entry": (
        "TABLE.get('a').extend([3])",
        "unsupported",
        "a value outside of the function is changed",
    ),
    "loop into a constant": ("for ROWS[0] in [1]:\n    pass", "unsupported", "a value outside of the function is"),
    "list as a default": ("def f(x=[]):\n    return x", "unsupported", "a default value is a list or a dictionary"),
    "computed default": ("def f(x=ego):\n    return x", "unsupported", "a default value must be a literal"),
    "import inside": ("import math", "unsupported", "an import stands inside a block. Move it to the top."),
    "annotation": ("x: f() = 1", "unsupported", "this annotation is not supported. Use `dict`, `int`, `str`, or none."),
}


@pytest.mark.parametrize(("code", "kind", "words"), RULES.values(), ids=RULES)
def test_a_rule_says_what_and_what_to_write_instead(code: str, kind: str, words: str) -> None:
    verdict = refused(inside(code))
    assert (verdict.kind, verdict.line) == (kind, INSIDE)
    assert words in verdict.message
    for noun in ("tensor", "credit", "weights", "torch.T"):
        assert noun not in verdict.message


FINE = {
    "remainder": "x = ego % 2 + len('abc') % 2 + observation['a'] % 7",
    "local list of a constant's name": "ROWS = [3]\nROWS[0] = 4\nROWS.append(5)",
    "copy of a constant": "rows = list(ROWS)\nrows[0] = 4\nrows.append(TABLE['a'][0])",
    "writing into the observation": "observation['a'][0] = 1",
    "short formats": "x = f'{ego} {ego:d} {ego:>3} {ego:^12d} {ego:+.2f} {ego:,.0f} {ego:05.1f} {ego:.1%} {ego!r}'",
    "docstring of internals": "'''Reads __nothing__.'''",
    "words outside ASCII": "x = 'Fl\N{LATIN SMALL LETTER A WITH DIAERESIS}che \N{RIGHTWARDS ARROW}'",
    "set of values": "x = sorted(set(ROWS) | set([3]))",
    "nested function": "def near(a, b=2.0):\n    return abs(a - b)\nx = near(1)",
    "conditional chain": "x = 'a' if ego == 0 else 'b' if ego == 1 else 'c'",
    "star": "x = max(*ROWS, 3)",
}


@pytest.mark.parametrize("code", FINE.values(), ids=FINE)
def test_what_stands_next_to_a_rule_passes(code: str) -> None:
    assert check_gate(inside(code), DESCRIBE) is None


ENTRIES = {
    "none": ("def credit(state):\n    return state\n", 1, "there is no function `describe`. Write `def describe(obser"),
    "nothing": ("", 1, "there is no function `describe`"),
    "only nested": ("def f():\n    def describe(o, e):\n        return ''\n", 1, "there is no function `describe`"),
    "one argument": ("\ndef describe(observation):\n    return ''\n", 2, "cannot be called with 2 arguments"),
    "three arguments": ("def describe(a, b, c):\n    return ''\n", 1, "cannot be called with 2 arguments"),
    "keywords": ("def describe(*, observation, ego):\n    return ''\n", 1, "cannot be called with 2 arguments"),
    "any keywords": ("def describe(**given):\n    return ''\n", 1, "cannot be called with 2 arguments"),
    "computed at the top": (
        "X = str(3)\ndef describe(o, e):\n    return X\n",
        1,
        "only numbers, strings and tables of",
    ),
    "called at the top": ("def describe(o, e):\n    return ''\ndescribe({}, 0)\n", 3, "code runs at module level"),
}


@pytest.mark.parametrize(("source", "line", "words"), ENTRIES.values(), ids=ENTRIES)
def test_the_function_must_be_there(source: str, line: int, words: str) -> None:
    verdict = refused(source)
    assert (verdict.kind, verdict.line) == ("unsupported", line)
    assert words in verdict.message


@pytest.mark.parametrize("signature", ["o, e", "o, e, f=1", "*given", "o, *rest", "o, e, /", "o: dict, e: int = 0"])
def test_other_names_and_further_arguments_with_defaults_are_free(signature: str) -> None:
    assert check_gate(f"def describe({signature}):\n    return 'x'\n", DESCRIBE) is None


def test_the_limits_of_the_text_speak_of_describing() -> None:
    elifs = HEAD + "    if ego:\n        pass\n" + "    elif ego:\n        pass\n" * (MAX_CHAIN + 1)
    assert "Compute with dictionaries." in refused(elifs).message
    assert "or dictionaries." in refused(HEAD + f"    x = [{'1,' * 20_000}]\n").message
    assert "bytes long" in refused("#" * (MAX_BYTES + 1)).message


DEEP = {
    "brackets": "(" * 2000 + "e" + ")" * 2000,
    "signs": "-" * 5900 + "e",
    "many signs": "-" * 60_000 + "e",
    "not": "not " * 15_000 + "e",
    "else": "e if e else " * 5000 + "e",
    "powers": "e" + "**e" * 20_000,
    "attributes": "e" + ".a" * 30_000,
    "calls": "e" + "()" * 30_000,
}


@pytest.mark.parametrize("code", DEEP.values(), ids=DEEP)
def test_what_is_deep_within_an_f_string_is_refused(code: str) -> None:
    """The scan of the text sees a string there; the parser's own limits hold."""
    assert refused(f"def describe(o, e):\n    return f'{{{code}}}'\n").kind == "unsupported"


def test_what_is_forbidden_comes_first() -> None:
    verdict = refused(inside("print(1)\nx = open('f')"))
    assert (verdict.kind, verdict.line) == ("forbidden", INSIDE + 1)


def test_no_allowed_name_is_a_forbidden_one() -> None:
    assert not (BUILTINS | METHODS) & (FORBIDDEN_ATTRIBUTES | FORBIDDEN_NAMES | FORBIDDEN_CALLS)


def test_each_profile_refuses_the_programs_of_the_other() -> None:
    assert all(check_gate(function.source, DESCRIBE) is not None for function in CORPUS)
    strings = [program for program in GOOD if 'f"' in program.source]
    assert len(strings) >= 8
    assert all(check_gate(program.source, CREDIT) is not None for program in strings)


@given(TEXTS)
def test_no_text_breaks_it(text: str) -> None:
    verdict = check_gate(text, DESCRIBE)
    if verdict is not None:
        assert verdict.line is not None
        assert 1 <= verdict.line <= text.count("\n") + 1
        assert verdict.message.isprintable()
        assert len(verdict.message) <= QUOTE_LIMIT


NAMES = st.sampled_from(["x", "y", "words"])
EXPRESSIONS = st.recursive(
    st.one_of(NAMES, st.integers(0, 9).map(str), st.just("ego"), st.just("'far'"), st.just("math.pi")),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda t: f"({t[0]} + {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        inner.map(lambda e: f"str({e}).upper()"),
        inner.map(lambda e: f"', '.join([str(i) for i in {e}])"),
        inner.map(lambda e: f"{{'k': {e}}}"),
        NAMES.map(lambda n: f"f'{{{n}:>3}} and {{{n}!r}}'"),
    ),
    max_leaves=10,
)
BODIES = st.lists(st.tuples(NAMES, EXPRESSIONS).map(" = ".join), min_size=1, max_size=8)
FORBIDDEN = st.sampled_from([case.body for case in HOSTILE if case.kind == "forbidden" and "\n" not in case.body])


def _module(body: list[str]) -> str:
    lines = "".join(f"    {line}\n" for line in body)
    return f"import math\ndef describe(observation, ego):\n    x = y = words = ego\n{lines}    return str(x)\n"


@given(BODIES)
def test_programs_of_allowed_pieces_pass(body: list[str]) -> None:
    assert check_gate(_module(body), DESCRIBE) is None


@given(BODIES, FORBIDDEN, st.integers(0, 8))
def test_one_forbidden_thing_anywhere_wins(body: list[str], forbidden: str, place: int) -> None:
    lines = ["print(1)", *body]
    lines.insert(min(place, len(lines)), forbidden)
    assert refused(_module(lines)).kind == "forbidden"


@given(st.from_regex(FORMAT, fullmatch=True), st.sampled_from([3, 2.5, -1.0]))
def test_an_allowed_format_is_never_long(spec: str, value: float) -> None:
    assume(spec.isascii())
    try:
        text = format(value, spec)
    except ValueError:  # such as `d` for a float: the jail reports it
        return
    assert len(text) <= 200
    assert check_gate(f"def describe(o, e):\n    return f'{{e:{spec}}}'\n", DESCRIBE) is None


@given(st.integers(100, 10**12), st.sampled_from(["{}", "{}d", ".{}f", ">{}", "0{}.1f", "+{}"]))
def test_a_long_format_never_passes(width: int, spec: str) -> None:
    source = f"def describe(o, e):\n    return f'{{e:{spec.format(width)}}}'\n"
    assert "this format in an f-string" in refused(source).message
