"""Which imports a program may contain."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from qredit.sandbox.gate import tables
from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.profile import Profile


def check_import(node: ast.Import | ast.ImportFrom, profile: Profile, *, at_top: bool) -> Iterator[Finding]:
    """Judge one import statement.

    Args:
        node: the statement.
        profile: what may be imported.
        at_top: whether it stands at module level.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            if (alias.asname or alias.name) not in profile.imports.get(alias.name, ()):
                yield _refused(node, profile, alias.name, alias.name.split("."))
    else:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            kept = "F" if alias.name == "functional" else alias.name
            allowed = alias.name in profile.imports_from.get(module, ()) and (alias.asname or alias.name) == kept
            if not allowed:
                yield _refused(node, profile, f"{module}.{alias.name}", [*module.split("."), alias.name])
    if not at_top:
        yield Finding(node.lineno, "an import stands inside a block", "Move it to the top.", column=node.col_offset)


def _refused(node: ast.stmt, profile: Profile, dotted: str, parts: list[str]) -> Finding:
    shown = dotted if len(dotted) <= 60 else dotted[:57] + "..."
    internal = any(p.startswith("_") and p not in ("__future__", *tables.BENIGN_DUNDERS) for p in parts)
    if internal or set(parts) & tables.FORBIDDEN_ATTRIBUTES:
        what = f"importing `{shown}` is forbidden"
        return Finding(node.lineno, what, profile.forbidden_remedy, "forbidden", node.col_offset)
    what = f"importing `{shown}` is not supported"
    return Finding(node.lineno, what, profile.import_remedy, column=node.col_offset)
