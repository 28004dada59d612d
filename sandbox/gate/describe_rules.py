"""What only a describe function must keep: its name and arguments, bounded formats, nothing kept between calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from qredit.sandbox.gate.finding import Finding

FUNCTION: Final = "describe"
ARGUMENTS: Final = ("observation", "ego")
"""Given by position; their names are free."""

FORMAT: Final = re.compile(r"[<>^]?[-+ ]?0?[0-9]{0,2},?(\.[0-9]{1,2})?[defgs%]?")
"""Format specifications: two digits of width and of precision, so that no short source writes a huge text."""

_CHANGES: Final = frozenset({"append", "extend"})
"""Methods that change a list."""


def entry(tree: ast.Module) -> Iterator[Finding]:
    """The function is there and can be called with two arguments by position."""
    found = [s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == FUNCTION]
    signature = f"def {FUNCTION}({', '.join(ARGUMENTS)}):"
    if not found:
        yield Finding(1, f"there is no function `{FUNCTION}`", f"Write `{signature}` at module level.")
        return
    given = found[-1].args
    positional = len(given.posonlyargs) + len(given.args)
    needed = positional - len(given.defaults)
    if (
        needed > len(ARGUMENTS)
        or (positional < len(ARGUMENTS) and not given.vararg)
        or any(default is None for default in given.kw_defaults)
    ):
        yield _at(found[-1], f"`{FUNCTION}` cannot be called with {len(ARGUMENTS)} arguments", f"Write `{signature}`.")


def formats(tree: ast.Module) -> Iterator[Finding]:
    """Only short numeric formats, and no `%` on strings."""
    remedy = "Use a short numeric format, such as `:.1f`, `:d` or `:>3`."
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec and not _is_bounded(node.format_spec):
            yield _at(node, "this format in an f-string is not supported", remedy)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _formats_text(node):
            yield _at(node, "`%` on a string is not supported", 'Use an f-string, such as `f"{x:.1f}"`.')


def kept_state(tree: ast.Module) -> Iterator[Finding]:
    """No call changes what the next one sees: constants of the module and default values stay as they are."""
    bound = [_binds(statement) for statement in tree.body if isinstance(statement, ast.Assign | ast.AnnAssign)]
    constants = frozenset().union(*bound)
    for function in (s for s in tree.body if isinstance(s, ast.FunctionDef)):
        outside = constants - _binds(function)
        for node in ast.walk(function):
            if _changed(node) in outside:
                yield _at(node, "a value outside of the function is changed", "Copy it first: `rows = list(ROWS)`.")
            elif isinstance(node, ast.FunctionDef) and any(_is_mutable(d) for d in _defaults(node)):
                remedy = "It is kept between calls; use a tuple, or make it inside the function."
                yield _at(node, "a default value is a list or a dictionary", remedy)


def _is_bounded(spec: ast.expr) -> bool:
    parts = spec.values if isinstance(spec, ast.JoinedStr) else [spec]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return len(texts) == len(parts) and FORMAT.fullmatch("".join(texts)) is not None


def _formats_text(node: ast.BinOp) -> bool:
    """Whether the left of a `%` is seen to be a string (literal, or put together), or its right fits nothing else."""
    if isinstance(node.right, ast.Tuple | ast.Dict):
        return True
    todo = [node.left]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            return True
        if isinstance(part, ast.BinOp):
            todo += [part.left, part.right]
    return False


def _binds(statement: ast.stmt) -> frozenset[str]:
    """The names that are given a value in a statement, a function's arguments included."""
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return frozenset(names | {n.arg for n in ast.walk(statement) if isinstance(n, ast.arg)})


def _changed(node: ast.AST) -> str:
    """The name of what a node writes into, such as `ROWS` in `ROWS[0][1] = x` and in `ROWS.get(0).append(x)`."""
    part: ast.AST
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        part = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        part = node.func.value
    else:
        return ""
    while isinstance(part, ast.Subscript | ast.Attribute | ast.Call):
        part = part.func if isinstance(part, ast.Call) else part.value
    return part.id if isinstance(part, ast.Name) else ""


def _defaults(function: ast.FunctionDef) -> list[ast.expr]:
    return [*function.args.defaults, *(d for d in function.args.kw_defaults if d)]


def _is_mutable(default: ast.expr) -> bool:
    return any(isinstance(part, ast.List | ast.Dict | ast.ListComp | ast.DictComp) for part in ast.walk(default))


def _at(node: ast.AST, what: str, remedy: str) -> Finding:
    return Finding(getattr(node, "lineno", 1), what, remedy, column=getattr(node, "col_offset", 0))
