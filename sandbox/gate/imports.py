"""Which imports a credit function may contain."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from qredit.sandbox.gate import tables
from qredit.sandbox.gate.finding import Finding

_ALLOWED = {"torch": {"torch"}, "math": {"math"}, "torch.nn.functional": {"F"}}
"""`import MODULE as NAME`."""
_ALLOWED_FROM: dict[str, frozenset[str]] = {
    "__future__": frozenset({"annotations"}),
    "typing": tables.TYPING_NAMES,
    "torch": frozenset({"Tensor"}),
    "torch.nn": frozenset({"functional"}),
}
_REMEDY = (
    "Only `import torch`, `import torch.nn.functional as F`, `import math` and `from typing import ...` are available."
)


def check_import(node: ast.Import | ast.ImportFrom, *, at_top: bool) -> Iterator[Finding]:
    """Judge one import statement.

    Args:
        at_top: whether it stands at module level.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            allowed = (alias.asname or alias.name) in _ALLOWED.get(alias.name, ())
            yield from _judge(node, alias.name, alias.name.split("."), allowed=allowed)
    else:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            kept = "F" if alias.name == "functional" else alias.name
            allowed = alias.name in _ALLOWED_FROM.get(module, ()) and (alias.asname or alias.name) == kept
            yield from _judge(node, f"{module}.{alias.name}", [*module.split("."), alias.name], allowed=allowed)
    if not at_top:
        yield Finding(node.lineno, "an import stands inside a block", "Move it to the top.", column=node.col_offset)


def _judge(node: ast.stmt, dotted: str, parts: list[str], *, allowed: bool) -> Iterator[Finding]:
    if allowed:
        return
    shown = dotted if len(dotted) <= 60 else dotted[:57] + "..."
    internal = any(p.startswith("_") and p not in ("__future__", *tables.BENIGN_DUNDERS) for p in parts)
    if internal or set(parts) & tables.FORBIDDEN_ATTRIBUTES:
        remedy = "It reaches beyond tensors; remove it: the function may only compute weights from its input."
        yield Finding(node.lineno, f"importing `{shown}` is forbidden", remedy, "forbidden", node.col_offset)
    else:
        yield Finding(node.lineno, f"importing `{shown}` is not supported", _REMEDY, column=node.col_offset)
