"""The direction of imports between the rooms, read from the source: prompts <- agents <- graphs -> sandbox."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import House

ROOT = "root"
ALLOWED: dict[str, set[str]] = {
    "root": {"root", "credit"},
    "credit": {"credit"},
    "prompts": {"root"},
    "agents": {"root", "prompts"},
    "graphs": {"root", "credit", "agents", "prompts", "sandbox"},
    "sandbox": {"root", "credit"},
    "marl": {"root", "credit"},
    "api": {"root", "credit", "prompts", "agents", "graphs", "sandbox", "marl"},
    "cli": {"root", "credit", "prompts", "agents", "graphs", "sandbox", "marl", "api"},
}
"""Room -> the rooms it may import, itself apart. `graphs` and `marl` meet in the front door only."""

CREDIT_MAY_USE = {"errors", "layout", "_lazy", "probes"}
"""Root modules that the credit graph, and with it the jail's child, may load; of `probes` it names a type only."""


def room_of(module: str) -> str:
    """The room of a dotted name: `qredit.marl.mixers` -> `marl`, `qredit.errors` -> `root`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else ROOT


def imports_of(module: str, source: str, known: set[str]) -> set[str]:
    """Modules of ours that a module imports, at any depth of its code, types included."""
    found = set()
    package = module if f"{module}.__init__" in known else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            # `from qredit import api` imports a module, `from qredit import Task` does not.
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names}
    return {name for name in found if name == "qredit" or name.startswith("qredit.")}


def _known(house: House) -> set[str]:
    modules = house.modules()
    return set(modules) | {f"{name}.__init__" for name, path in modules.items() if path.name == "__init__.py"}


def test_imports_point_one_way(house: House) -> None:
    known = _known(house)
    wrong = []
    for module, path in house.modules().items():
        if module == "qredit":  # the front door names, lazily, what users import from it
            continue
        for target in imports_of(module, path.read_text(), known):
            here, there = room_of(module), room_of(target)
            if there != here and there not in ALLOWED[here]:
                # `credit` stands below all but three root modules.
                if here == "credit" and there == ROOT and target.rpartition(".")[2] in CREDIT_MAY_USE:
                    continue
                wrong.append(f"{module} ({here}) imports {target} ({there})")
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_rule(house: House) -> None:
    packages = house.pyproject["tool"]["setuptools"]["packages"]
    assert {name.split(".")[1] for name in packages if name != "qredit"} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("qredit.marl.a", "from qredit.graphs import generate", {"qredit.graphs"}),
        ("qredit.marl.a", "def f():\n    import qredit.graphs.run", {"qredit.graphs.run"}),
        ("qredit.marl.a", "from qredit import graphs, Task", {"qredit.graphs", "qredit"}),
        ("qredit.marl.a", "from ..graphs import generate", {"qredit.graphs"}),
        ("qredit.marl", "from .. import graphs", {"qredit.graphs"}),
        ("qredit.marl", "from . import mixers", {"qredit.marl"}),
        ("qredit.marl.a", "import numpy\nfrom torch import nn", set()),
    ],
)
def test_imports_are_seen(module: str, source: str, expected: set[str]) -> None:
    known = {"qredit", "qredit.__init__", "qredit.graphs", "qredit.graphs.__init__", "qredit.marl.__init__"}
    assert imports_of(module, source, known) == expected


def test_no_module_is_reached_by_its_bare_folder(house: House) -> None:
    """`import agents` would import another project's package; ruff bans it, and this holds without ruff."""
    for path in [*house.modules().values(), *Path(house.root / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {n.split(".")[0] for n in names} & set(house.rooms), path
