"""The gate's second half: an allowlist over the syntax tree, node by node.

The tree is walked with a list, never by recursion: a deep tree must not become a RecursionError of ours.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from qredit.sandbox.gate import tables
from qredit.sandbox.gate.finding import Finding, GateKind
from qredit.sandbox.gate.hints import Hints, remedy_within
from qredit.sandbox.gate.imports import check_import
from qredit.sandbox.gate.profile import IN_ANNOTATION, Profile

MAX_INTEGER = 2**53

_BUILTINS = frozenset(dir(builtins)) - {"_", "credits"}
"""Without what only an interactive session adds: `_` is any script's throw-away name, `credits` a fair one here."""
_PARTS_OF_REFUSED = (ast.ExceptHandler, ast.withitem, ast.match_case, ast.pattern, ast.FormattedValue)
"""Reported with the statement that they belong to."""


class Rules:
    """The allowlist of one profile, applied to every node of one tree."""

    def __init__(self, tree: ast.Module, profile: Profile) -> None:
        self.tree = tree
        self.profile = profile
        self.nodes = list(ast.walk(tree))
        attributes = [n for n in self.nodes if isinstance(n, ast.Attribute)]
        self.inner = {id(n.value) for n in attributes}
        """What an attribute is read from: a module's name may stand there only; a chain is judged at its end."""
        self.text = {id(n.value) for n in self.nodes if isinstance(n, ast.Expr)}
        """Strings that stand alone: docstrings."""
        annotations = [part for root in _annotations(self.nodes) for part in ast.walk(root)]
        self.annotations = {id(part) for part in annotations if isinstance(part, ast.expr)}
        """Expressions only: operators have no place, and the parser shares one object among all their uses."""
        self.bound = {n.id for n in self.nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        self.bound |= {n.arg for n in self.nodes if isinstance(n, ast.arg)}
        self.bound |= {n.name for n in self.nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        self.bound |= {(n.asname or n.name).split(".")[0] for n in self.nodes if isinstance(n, ast.alias)}
        self.readable = profile.builtins | self.bound
        self.hints = Hints()

    def findings(self) -> Iterator[Finding]:
        """Every objection, in no particular order."""
        for statement in self.tree.body:
            yield from self._module_level(statement)
        for check in self.profile.checks:
            yield from check(self.tree)
        top = {id(statement) for statement in self.tree.body}
        for node in self.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from check_import(node, self.profile, at_top=id(node) in top)
            elif isinstance(node, ast.Name):
                yield from self._name(node)
            elif isinstance(node, ast.Attribute) and id(node) not in self.inner:
                yield from self._attribute(node)
            elif isinstance(node, ast.Constant):
                yield from self._constant(node)
            elif isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
                yield from self._function(node)
            elif isinstance(node, ast.arg):
                yield from self._binding(node, node.arg)
            yield from self._syntax(node)

    def _is_defined(self, node: ast.expr, name: str) -> bool:
        return name in self.readable or (id(node) in self.annotations and name in tables.ANNOTATION_BUILTINS)

    def _syntax(self, node: ast.AST) -> Iterator[Finding]:
        name = type(node).__name__
        if name in self.profile.statements:
            what, remedy = self.profile.statements[name]
            yield _at(node, f"{what} is not supported", remedy)
        elif isinstance(node, ast.comprehension) and node.is_async:
            yield _at(node.target, "`async` is not supported", "Use a plain `for`.")
        elif id(node) in self.annotations:
            if type(node) not in IN_ANNOTATION or (isinstance(node, ast.BinOp) and not isinstance(node.op, ast.BitOr)):
                yield _at(node, "this annotation is not supported", self.profile.annotation_remedy)
        elif type(node) not in self.profile.syntax and not isinstance(node, _PARTS_OF_REFUSED):
            remedy = f"Use plain assignments, `for`, `if` and {self.profile.instead}."
            yield _at(node, f"`{name}` is not supported", remedy)

    def _name(self, node: ast.Name) -> Iterator[Finding]:
        name = node.id
        if not isinstance(node.ctx, ast.Load):
            yield from self._binding(node, name)
        elif _is_dunder(name):
            yield self._dunder(node, name)
        elif name in tables.FORBIDDEN_NAMES:
            yield self._forbidden(node, name)
        elif name in self.profile.modules and name in self.bound:
            if id(node) not in self.inner:
                yield _at(node, f"the module `{name}` is used as a value", f"Call its functions: `{name}.name(...)`.")
        elif not self._is_defined(node, name):
            what = f"`{_short(name)}` {'is not available' if name in _BUILTINS else 'is not defined'}"
            if name in self.profile.name_remedies:
                yield _at(node, what, self.profile.name_remedies[name])
            else:
                finding = _at(node, what, self.profile.name_remedy)
                yield self.hints.remember(finding, name, self.readable)

    def _attribute(self, node: ast.Attribute) -> Iterator[Finding]:
        """Judge a whole chain, such as `torch.nn.functional.relu`, once."""
        chain: list[ast.Attribute] = [node]
        while isinstance(chain[-1].value, ast.Attribute):
            chain.append(chain[-1].value)
        root = chain[-1].value
        path = [a.attr for a in reversed(chain)]
        base = root.id if isinstance(root, ast.Name) else ""
        dotted = ".".join([base, *path])
        internal = {a for a in path if _is_dunder(a) or (a.startswith("_") and base != "self")}
        reaches = set(path) & tables.FORBIDDEN_ATTRIBUTES or dotted.startswith(tables.FORBIDDEN_PREFIXES)
        if reaches or internal - tables.BENIGN_DUNDERS:
            yield self._forbidden(node, dotted)
        elif internal:
            yield self._dunder(node, dotted)
        elif base and not self._is_defined(node, base):
            return  # the name itself is reported
        elif not isinstance(node.ctx, ast.Load):
            yield _at(node, f"setting the attribute `{_short(dotted)}` is not supported", "Use a local variable.")
        else:
            yield from self._known(node, base if base in self.profile.modules else "", path, dotted)

    def _known(self, node: ast.Attribute, module: str, path: list[str], dotted: str) -> Iterator[Finding]:
        """Each attribute of a chain must stand in the table of what it is read from."""
        module = "torch.nn.functional" if module == "F" else module
        rest = list(path)
        while module and f"{module}.{rest[0]}" in (*tables.SUBMODULES, "torch.nn") and len(rest) > 1:
            module = f"{module}.{rest.pop(0)}"
        for attribute in rest:
            table = self.profile.module_tables.get(module, self.profile.methods if not module else frozenset())
            if attribute not in table:
                what = f"`{_short(dotted)}` is not available"
                if attribute in self.profile.attribute_remedies:
                    yield _at(node, what, self.profile.attribute_remedies[attribute])
                else:
                    remedy = remedy_within(module, self.profile)
                    yield self.hints.remember(_at(node, what, remedy), attribute, table)
                return
            module = ""

    def _constant(self, node: ast.Constant) -> Iterator[Finding]:
        value = node.value
        if isinstance(value, str):
            if id(node) not in self.text and "__" in value and value not in tables.BENIGN_DUNDERS:
                yield _at(node, "a string names an internal attribute (`__`)", "Remove it.", "forbidden")
        elif isinstance(value, bytes | complex):
            yield _at(node, f"a {type(value).__name__} literal is not supported", "Use float numbers.")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            yield _at(node, "an integer literal is too large", "Use numbers below 2**53.")

    def _call(self, node: ast.Call) -> Iterator[Finding]:
        function = node.func
        if isinstance(function, ast.Name) and function.id in tables.FORBIDDEN_CALLS:
            yield self._forbidden(node, function.id)
        for keyword in node.keywords:
            if keyword.arg and _is_dunder(keyword.arg):
                yield self._dunder(node, keyword.arg)
            elif keyword.arg and keyword.arg in self.profile.keyword_remedies:
                remedy = self.profile.keyword_remedies[keyword.arg]
                yield _at(keyword, f"the argument `{keyword.arg}=` is not supported", remedy)

    def _module_level(self, statement: ast.stmt) -> Iterator[Finding]:
        """At module level stand imports, functions, constants and docstrings only."""
        if isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom | ast.Pass):
            return
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if all(isinstance(t, ast.Name) for t in targets) and statement.value and is_literal(statement.value):
                return
            kinds = f"{self.profile.constants}, `NAME = 2.0` or `NAME = math.sqrt(2)`,"
            remedy = f"Move it into the function; only {kinds} may stand there."
            yield _at(statement, "a value is computed at module level", remedy)
        elif type(statement).__name__ not in self.profile.statements:
            remedy = "Keep only imports, functions and constants there; tests and examples do not belong in the file."
            yield _at(statement, "code runs at module level", remedy)

    def _function(self, node: ast.FunctionDef | ast.Lambda | ast.ClassDef) -> Iterator[Finding]:
        """Name, decorators and defaults of a function; of a class only its decorators (the class itself is refused)."""
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                yield _at(decorator, "a decorator is not supported", "Remove it.")
            if getattr(node, "type_params", []):
                yield _at(node, "type parameters are not supported", "Remove them.")
        if isinstance(node, ast.FunctionDef):
            yield from self._binding(node, node.name)
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
                if isinstance(node, ast.Lambda):
                    yield _at(default, "a default value in a `lambda` is not supported", "Use a `def`.")
                elif not is_literal(default):
                    yield _at(default, "a default value must be a literal", "Compute it inside the function.")

    def _binding(self, node: ast.AST, name: str) -> Iterator[Finding]:
        """A name is given a value: it must not be a module, a builtin or an internal name."""
        if _is_dunder(name):
            yield self._dunder(node, name)
        elif name in self.profile.modules:
            yield _at(node, f"`{name}` is given a new value", f"`{name}` is the module; use another name.")
        elif name in _BUILTINS:
            yield _at(
                node, f"`{name}` is given a new value", f"It is a builtin; use another name, such as `{name}_value`."
            )
        elif not name.isascii():
            yield _at(node, "a name holds characters outside ASCII", "Use ASCII letters.")

    def _dunder(self, node: ast.AST, dotted: str) -> Finding:
        """An internal name: an attack, except for the few that ordinary scripts contain."""
        if dotted.rpartition(".")[2] in tables.BENIGN_DUNDERS:
            remedy = "Remove it; write plain functions without a class or a main block."
            return _at(node, f"`{_short(dotted)}` is not supported", remedy)
        return self._forbidden(node, dotted)

    def _forbidden(self, node: ast.AST, dotted: str) -> Finding:
        return _at(node, f"`{_short(dotted)}` is forbidden", self.profile.forbidden_remedy, "forbidden")


def _annotations(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef) and node.returns:
            yield node.returns


def is_literal(node: ast.expr) -> bool:
    """Whether an expression is made of literals, constants above it (upper case), `math` and arithmetic alone."""
    parts = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.BinOp, ast.Load)
    operators = (ast.USub, ast.UAdd, ast.Not, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Pow)
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Name):
            if not part.id.isupper():
                return False
        elif _is_of_math(part):
            continue
        elif isinstance(part, ast.Call):
            if not _is_of_math(part.func) or part.keywords:
                return False
            todo += part.args
        elif isinstance(part, parts + operators):
            todo += ast.iter_child_nodes(part)
        else:
            return False
    return True


def _is_of_math(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math"


def _is_dunder(name: str) -> bool:
    return name.startswith("__") or name.endswith("__")


def _short(name: str) -> str:
    """A name of the candidate's, fit for a message."""
    flat = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "._")).lstrip(".")
    return flat if len(flat) <= 60 else flat[:57] + "..."


def _at(node: ast.AST, what: str, remedy: str, kind: GateKind = "unsupported") -> Finding:
    return Finding(getattr(node, "lineno", 1), what, remedy, kind, getattr(node, "col_offset", 0))
