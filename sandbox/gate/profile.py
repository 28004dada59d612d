"""What one kind of program may say: the gate's rules read everything that differs between kinds from here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from qredit.sandbox.gate import tables
from qredit.sandbox.gate.finding import Finding

Nodes = frozenset[type[ast.AST]]

OPERATORS: Nodes = frozenset(
    c for kind in (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context) for c in kind.__subclasses__()
)
IN_ANNOTATION: Nodes = frozenset({ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Constant, ast.BinOp})
PLAIN: Nodes = IN_ANNOTATION | OPERATORS | {
    ast.BoolOp, ast.UnaryOp, ast.IfExp, ast.Dict, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.comprehension,
    ast.Compare, ast.Call, ast.keyword, ast.Starred, ast.Slice, ast.Module, ast.FunctionDef, ast.arguments, ast.arg,
    ast.Return, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.If, ast.Expr, ast.Pass, ast.Break, ast.Continue,
    ast.Import, ast.ImportFrom, ast.alias,
}  # fmt: skip
"""Syntax that every kind of program may use."""


@dataclass(frozen=True)
class Profile:
    """Allowlists of one kind of program, and the words of its messages."""

    syntax: Nodes
    """Node types that may stand in the tree."""
    statements: Mapping[str, tuple[str, str]]
    """Node type that is refused by name: what to call it, and what to write in its place."""

    imports: Mapping[str, frozenset[str]]
    """`import MODULE as NAME`: module -> the names it may get."""
    imports_from: Mapping[str, frozenset[str]]
    """`from MODULE import NAME`."""
    import_remedy: str
    """Which imports there are."""

    modules: frozenset[str]
    """Names of modules: read from, never rebound or passed on."""
    module_tables: Mapping[str, frozenset[str]]
    """Dotted module -> what may be read from it."""
    methods: frozenset[str]
    """Attributes of everything that is no module."""
    builtins: frozenset[str]
    """Builtin names that may be read."""

    attribute_remedies: Mapping[str, str]
    """Attribute that ordinary code uses -> what to write in its place."""
    method_remedy: str
    """What to write in place of an unknown method."""
    name_remedies: Mapping[str, str]
    """Name that ordinary code uses -> what to write in its place."""
    name_remedy: str
    """What to do about any other unknown name."""
    keyword_remedies: Mapping[str, str]
    """Keyword argument that is refused wherever it stands -> what to do instead."""

    constants: str
    """What may stand at module level, in the plural."""
    instead: str
    """What replaces long code, in the plural: `tensor operations`."""
    annotation_remedy: str
    """What an annotation may be."""
    forbidden_remedy: str
    """What to say about an attack."""

    checks: tuple[Callable[[ast.Module], Iterator[Finding]], ...] = ()
    """Rules of this kind alone."""


_TENSOR_REMEDIES = {
    **tables.REMEDIES,
    **dict.fromkeys(tables.RANDOM, "The function must be deterministic; remove the randomness."),
}

CREDIT = Profile(
    syntax=PLAIN | {ast.Lambda, ast.Set, ast.SetComp, ast.Assert},
    statements=tables.STATEMENTS,
    imports={
        "torch": frozenset({"torch"}),
        "math": frozenset({"math"}),
        "torch.nn.functional": frozenset({"F"}),
    },
    imports_from={
        "__future__": frozenset({"annotations"}),
        "typing": tables.TYPING_NAMES,
        "torch": frozenset({"Tensor"}),
        "torch.nn": frozenset({"functional"}),
    },
    import_remedy="Only `import torch`, `import torch.nn.functional as F`, `import math` and `from typing import ...` "
    "are available.",
    modules=frozenset({"torch", "F", "math"}),
    module_tables=tables.MODULE_TABLES,
    methods=tables.METHODS,
    builtins=tables.BUILTINS,
    attribute_remedies=_TENSOR_REMEDIES,
    method_remedy="Use other tensor methods.",
    name_remedies=tables.NAME_REMEDIES,
    name_remedy="Define it, or use the functions of `torch`.",
    keyword_remedies=tables.KEYWORD_REMEDIES,
    constants="numbers",
    instead="tensor operations",
    annotation_remedy="Use `torch.Tensor`, `dict`, `tuple`, or none.",
    forbidden_remedy="It reaches beyond tensors; remove it: the function may only compute with its input.",
)
"""Credit functions: torch and `math` on the named tensors of a state."""
