"""A fingerprint of what a source does, blind to how it is written: two candidates with the same one are duplicates."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator

from qredit.sandbox.gate.check import parse
from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.text import check_text

_NAMING = {ast.Name: "id", ast.arg: "arg", ast.FunctionDef: "name"}
"""The fields that name a local. A method or a keyword may bear the name of a local without being it."""
_IGNORED = frozenset({"type_comment", "kind", "annotation", "returns", "type_ignores", "ctx"})
"""Fields of nodes that do not change what a function computes."""


@functools.lru_cache(maxsize=256)  # a run asks for the same candidates in every round
def normalised_sha256(source: str) -> str:
    """SHA-256, in hex, of the normalised syntax tree.

    That is without comments, spacing, docstrings, annotations and the names of locals.

    Two sources with the same hash compute the same; the reverse need not hold. A text that has no syntax tree within
    the gate's limits is hashed as it is.
    """
    tree = None if check_text(source) else parse(source)
    digest = hashlib.sha256()
    if tree is None or isinstance(tree, Finding):
        digest.update(b"text\0" + source.encode("utf-8", "surrogatepass"))
    else:
        names = _local_names(tree)
        for part in _parts(tree, names):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _local_names(tree: ast.Module) -> dict[tuple[int, str], str]:
    """`(top-level function, local name)` -> its number by first appearance.

    Names that also exist at module level keep themselves, so that a local never hides which global is meant.
    """
    shared = {
        n.id for s in tree.body if not isinstance(s, ast.FunctionDef) for n in ast.walk(s) if isinstance(n, ast.Name)
    }
    shared |= {s.name for s in tree.body if isinstance(s, ast.FunctionDef)}
    shared |= {(a.asname or a.name).split(".")[0] for a in ast.walk(tree) if isinstance(a, ast.alias)}
    numbers: dict[tuple[int, str], str] = {}
    for function in (s for s in tree.body if isinstance(s, ast.FunctionDef)):
        bound = [name for node in ast.walk(function) for name in _binds(node) if name not in shared]
        for name in bound:
            numbers.setdefault((id(function), name), f"local {len(numbers)}")
    return numbers


def _binds(node: ast.AST) -> Iterator[str]:
    if type(node) in _NAMING and not (isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)):
        yield getattr(node, _NAMING[type(node)])


def _parts(tree: ast.Module, names: dict[tuple[int, str], str]) -> Iterator[str]:
    """The tree in order, as text: node types, lengths of lists, values. No recursion: trees can be deep."""
    stack: list[tuple[object, int]] = [(tree, 0)]
    while stack:
        value, function = stack.pop()
        if isinstance(value, ast.Constant):
            yield f"Constant {value.value!r}"  # never taken for a local: a field may have the name of one
        elif isinstance(value, ast.AST):
            if function == 0 and isinstance(value, ast.FunctionDef):
                function = id(value)
            yield type(value).__name__
            fields = {f: getattr(value, f, None) for f in value._fields if f not in _IGNORED}
            naming = _NAMING.get(type(value))
            if naming is not None:
                fields[naming] = names.get((function, str(fields[naming])), fields[naming])
            stack.extend((_without_docstring(f), function) for f in reversed(fields.values()))
        elif isinstance(value, list):
            yield f"[{len(value)}"
            stack.extend((item, function) for item in reversed(value))
        else:
            yield repr(value)


def _without_docstring(field: object) -> object:
    """A list of statements without the strings that stand alone in it."""
    if not isinstance(field, list):
        return field
    return [
        s
        for s in field
        if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))
    ]
