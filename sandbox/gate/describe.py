"""The gate's profile of a `describe` function: plain Python that turns numbers into a text, and nothing else."""

from __future__ import annotations

import ast

from qredit.sandbox.gate import tables
from qredit.sandbox.gate.describe_rules import entry, formats, kept_state
from qredit.sandbox.gate.profile import PLAIN, Profile

BUILTINS = frozenset(
    {"abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range",
     "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip"}
)  # fmt: skip
"""Builtins that may be read; in the jail there are no others."""

METHODS = frozenset(
    {"join", "strip", "lower", "upper", "capitalize", "replace", "split", "startswith", "endswith", "append", "extend",
     "index", "count", "items", "keys", "values", "get"}
)  # fmt: skip
"""Methods of strings, lists and dictionaries."""

_NUMBERS = "Use plain Python: each field of the observation is a number or a nested list of numbers."
_F_STRING = 'Use an f-string, such as `f"{x:.1f}"`.'
_WIDTH = "Use a width in an f-string, such as `{x:>3}`."
_RANDOM = "A describe function must be deterministic; remove the randomness."
_MEMBERS = "Use a tuple or a list, or `sorted(set(values))`: a set has no fixed order."

_STATEMENTS = {
    **{name: entry for name, entry in tables.STATEMENTS.items() if name != "JoinedStr"},
    "ClassDef": ("a class", "Write a plain function `def describe(observation, ego):`; keep helpers as functions."),
    "With": ("`with`", "Remove it."),
    "Try": ("`try`", "Test the value instead, such as `x / y if y else 0.0`."),
    "TryStar": ("`try`", "Test the value instead, such as `x / y if y else 0.0`."),
    "While": ("`while`", "Use `for ... in range(...)`."),
    "TemplateStr": ("a template string", _F_STRING),
    "Raise": ("`raise`", "Remove it; return a text in every case."),
    "Assert": ("`assert`", "Remove it; return a text in every case."),
    "Yield": ("`yield`", "Collect the values in a list."),
    "YieldFrom": ("`yield from`", "Collect the values in a list."),
    "Match": ("`match`", "Use `if` and `elif`, or a dictionary."),
    "Lambda": ("`lambda`", "Write a function with `def`."),
    "Set": ("a set in braces", _MEMBERS),
    "SetComp": ("a set comprehension", _MEMBERS),
}

_ATTRIBUTE_REMEDIES = {
    **dict.fromkeys(("item", "tolist", "shape", "size", "ndim", "astype", "numpy"), _NUMBERS),
    **dict.fromkeys(("rjust", "ljust", "center", "zfill", "expandtabs"), _WIDTH),
    **dict.fromkeys(("lstrip", "rstrip"), "Use `strip`."),
    **dict.fromkeys(("add", "union", "intersection", "difference", "discard"), "Use `|`, `&` and `-` between sets."),
    **dict.fromkeys(("pop", "remove", "clear", "insert"), "Build a new list with a comprehension."),
    **dict.fromkeys(("update", "setdefault", "popitem"), "Assign the entry: `table[key] = value`."),
    **dict.fromkeys(tables.RANDOM, _RANDOM),
    "format": _F_STRING,
    "sort": "Use `sorted(values)`.",
    "title": "Use `capitalize`.",
}

_NAME_REMEDIES = {
    **dict.fromkeys(("torch", "np", "numpy", "F", "nn", "Tensor"), _NUMBERS),
    **dict.fromkeys(("type", "isinstance", "hasattr", "callable"), "Remove the test. " + _NUMBERS),
    **dict.fromkeys(("map", "filter", "iter", "next"), "Use a comprehension or a `for` loop."),
    **dict.fromkeys(("repr", "ascii"), "Use `str(x)` or an f-string."),
    **dict.fromkeys(("random", "id", "hash"), _RANDOM),
    **dict.fromkeys(tables.TYPING_NAMES, "Use `dict`, `list` or `tuple`, or no annotation."),
    "format": _F_STRING,
    "frozenset": "Use `set`.",
    "math": "Add `import math` at the top.",
    "pow": "Use `**`.",
    "divmod": "Use `//` and `%`.",
    "print": "Remove it; return the text.",
    "self": "Write a plain function `def describe(observation, ego):` without a class.",
}

DESCRIBE = Profile(
    syntax=PLAIN | {ast.JoinedStr, ast.FormattedValue},
    statements=_STATEMENTS,
    imports={"math": frozenset({"math"})},
    imports_from={},
    import_remedy="Only `import math` is available.",
    modules=frozenset({"math"}),
    module_tables={"math": tables.MATH},
    methods=METHODS,
    builtins=BUILTINS,
    attribute_remedies=_ATTRIBUTE_REMEDIES,
    method_remedy="Use other methods of strings, lists and dictionaries.",
    name_remedies=_NAME_REMEDIES,
    name_remedy="Define it, or use the builtins of plain Python.",
    keyword_remedies={},
    constants="numbers, strings and tables of them",
    instead="dictionaries",
    annotation_remedy="Use `dict`, `int`, `str`, or none.",
    forbidden_remedy="It reaches beyond numbers and strings; remove it: the function may only write a text about its "
    "input.",
    checks=(entry, formats, kept_state),
)
"""Describe functions: `math`, numbers, strings, lists and dictionaries."""
