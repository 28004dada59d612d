"""Layer 0: is this source in the small language of its kind at all?

Limits on the text (`text`), then an allowlist of syntax and names (`profile`) over the syntax tree. Nothing is
executed. What it covers: ordinary mistakes get a message within a millisecond, and common escapes are recorded as
attacks. What it does not cover: it is a filter, not the jail; the layers below hold without it.

The tree is walked with a list, never by recursion: a deep tree must not become a RecursionError of ours.
"""

from __future__ import annotations

import ast
import threading
import time
import warnings

from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.profile import CREDIT, Profile
from qredit.sandbox.gate.rules import Rules
from qredit.sandbox.gate.text import check_text, decode
from qredit.sandbox.verdict import Rejected, quoted

MAX_NODES = 20_000
MAX_DEPTH = 150

_WARNING_FILTERS = threading.Lock()
"""`warnings.catch_warnings` changes a global list: our own threads must not do it at the same time."""


def check_gate(source: str | bytes, profile: Profile = CREDIT) -> Rejected | None:
    """Check a candidate's source without running it.

    Args:
        source: the text; bytes must be UTF-8.
        profile: the kind of program that it must be: `CREDIT`, or `DESCRIBE` from `gate.describe`.

    Returns:
        `None` when it passes. Otherwise `kind` is `unsupported` (worth a retry) or `forbidden` (recorded as an attack;
        a forbidden thing anywhere wins over unsupported things before it). Never raises.
    """
    started = time.perf_counter()
    findings = _findings(source, profile)
    if not findings:
        return None
    first = findings[0]
    message = f"Line {first.line}: {first.what}. {first.remedy}"
    further = {f.line: f for f in reversed(findings) if f.line != first.line}
    for line in sorted(further)[:2]:
        message += f" Also line {line}: {further[line].what}."
    return Rejected("gate", first.kind, message, first.line, time.perf_counter() - started)


def _findings(source: str | bytes, profile: Profile) -> list[Finding]:
    """Everything the gate objects to: the forbidden first, then by place."""
    text = decode(source)
    finding = text if isinstance(text, Finding) else check_text(text, instead=profile.instead)
    if finding or isinstance(text, Finding):
        return [finding] if finding else []
    tree = parse(text)
    if isinstance(tree, Finding):
        return [tree]
    if too_large := _measure(tree, profile.instead):
        return too_large
    rules = Rules(tree, profile)
    found = sorted(rules.findings(), key=lambda f: (f.kind != "forbidden", f.line, f.column))
    return [rules.hints.complete(f) for f in found[:1]] + found[1:]


def parse(text: str) -> ast.Module | Finding:
    """The syntax tree, or the syntax error; Python's warnings about the text (such as `\\d`) are dropped."""
    try:
        with _WARNING_FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        line = min(max(error.lineno or 1, 1), text.count("\n") + 1)
        return Finding(line, f"syntax error {quoted(error.msg, 120)}", "Write valid Python; send the whole file.")
    except (ValueError, RecursionError, MemoryError) as error:
        what = f"Python's parser refuses the text ({type(error).__name__})"
        return Finding(1, what, "Write a shorter function with simpler expressions.")


def _measure(tree: ast.Module, instead: str) -> list[Finding]:
    """Size and depth of the tree."""
    count, level, depth = 0, [tree], 0
    nodes: list[ast.AST] = list(level)
    while nodes:
        depth, count = depth + 1, count + len(nodes)
        if depth > MAX_DEPTH or count > MAX_NODES:
            line = next((n.lineno for n in nodes if isinstance(n, ast.expr | ast.stmt)), 1)
            what = "the code is nested too deeply" if depth > MAX_DEPTH else "the code is too long"
            return [Finding(line, what, f"Use helper variables and loops or {instead}.")]
        nodes = [child for node in nodes for child in ast.iter_child_nodes(node)]
    return []
