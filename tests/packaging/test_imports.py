"""What an import loads and does, each seen from a fresh interpreter."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import House

HEAVY = ("torch", "numpy", "langchain_core", "langchain_openai", "langgraph", "openai", "gymnasium", "matplotlib")
LANGCHAIN = ("langchain", "langchain_core", "langchain_openai", "langgraph", "langsmith", "openai")
ENVIRONMENTS = ("gymnasium", "pettingzoo", "mpe2", "rware", "pygame", "numba", "lbforaging")

BLOCKER = """
class Blocker:
    def __init__(self, refuse):
        self.refuse = refuse
    def find_spec(self, name, path=None, target=None):
        if self.refuse(name):
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
        return None
"""


def fresh(code: str, cwd: Path) -> dict[str, Any]:
    """Run code in a fresh interpreter; it sets `result`. Fails if it prints anything by itself."""
    script = textwrap.dedent(code) + "\nimport json, sys\nsys.stderr.write('RESULT' + json.dumps(result))\n"
    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    printed, _, result = done.stderr.rpartition("RESULT")
    assert done.returncode == 0, done.stderr
    assert (done.stdout, printed) == ("", "")
    answer = json.loads(result)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize(
    "package",
    ["qredit", "qredit.agents", "qredit.graphs", "qredit.sandbox", "qredit.marl", "qredit.prompts", "qredit.credit"],
)
def test_importing_a_package_does_nothing(package: str, tmp_path: Path) -> None:
    """No file made, no socket, no process, nothing printed, nothing heavy loaded."""
    done = fresh(
        f"""
        import os, sys
        seen = []
        WATCHED = ("socket.", "subprocess.", "os.mkdir", "os.rename", "os.remove", "os.fork", "os.exec", "os.posix")
        WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        def audit(event, arguments):
            if event.startswith(WATCHED):
                seen.append(event)
            elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
                seen.append(f"open {{arguments[0]}}")
        sys.addaudithook(audit)
        import {package}
        result = {{"seen": seen, "heavy": [n for n in {HEAVY!r} if n in sys.modules]}}
        """,
        tmp_path,
    )
    assert done == {"seen": [], "heavy": []}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    done = fresh(
        f"""
        import contextlib, io, sys
        from qredit.cli import main
        sys.argv = ["qredit", *{arguments!r}]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main()
        result = {{"printed": printed.getvalue(), "heavy": [n for n in {HEAVY!r} if n in sys.modules]}}
        """,
        tmp_path,
    )
    assert "qredit" in done["printed"]
    assert done["heavy"] == []


def modules_of(house: House, room: str) -> list[str]:
    return [name for name in house.modules() if name == room or name.startswith(room + ".")]


@pytest.mark.parametrize(
    ("room", "blocked"),
    [
        ("qredit.marl", LANGCHAIN),
        ("qredit.agents", (*ENVIRONMENTS, "torch")),
        ("qredit.graphs", (*ENVIRONMENTS, "torch")),
        ("qredit.prompts", (*ENVIRONMENTS, *LANGCHAIN, "torch")),
        ("qredit.sandbox", (*ENVIRONMENTS, *LANGCHAIN)),
        ("qredit.credit", (*ENVIRONMENTS, *LANGCHAIN, "pydantic", "yaml", "typer", "rich")),
    ],
)
def test_a_room_loads_without_what_it_must_not_need(
    room: str, blocked: tuple[str, ...], house: House, tmp_path: Path
) -> None:
    modules = modules_of(house, room)
    assert len(modules) > 1
    done = fresh(
        BLOCKER
        + f"""
import importlib, sys
sys.meta_path.insert(0, Blocker(lambda name: name.partition(".")[0] in {blocked!r}))
try:
    import {blocked[0]}
    raise SystemExit("the blocker does not block")
except ImportError:
    pass
for name in {modules!r}:
    importlib.import_module(name)
result = {{}}
""",
        tmp_path,
    )
    assert done == {}


def torch_and_what_it_needs() -> set[str]:
    """Import names of torch and, transitively, of the packages it requires."""
    todo, packages = ["torch"], set[str]()
    while todo:
        name = todo.pop()
        if name in packages:
            continue
        packages.add(name)
        for line in importlib.metadata.requires(name) or []:
            if ";" not in line:
                todo.append(re.split(r"[^A-Za-z0-9_.-]", line)[0])
    provided = importlib.metadata.packages_distributions()
    canonical = {re.sub(r"[-_.]+", "-", name).lower() for name in packages}
    return {top for top, owners in provided.items() if {re.sub(r"[-_.]+", "-", o).lower() for o in owners} & canonical}


def test_the_jails_child_needs_only_torch_and_the_credit_graph(house: House, tmp_path: Path) -> None:
    """What runs inside the jail: the standard library, torch and `qredit.credit` (with what these need)."""
    foreign = sorted(torch_and_what_it_needs())
    assert "torch" in foreign
    assert "pydantic" not in foreign
    ours = ["qredit", "qredit._lazy", "qredit.errors", "qredit.layout"]
    done = fresh(
        f"""
import importlib, sys
before = set(sys.modules)
INSIDE = "qredit.sandbox.inside."
for name in (INSIDE + "server", INSIDE + "child", INSIDE + "jobs", "qredit.sandbox.tracing.trace"):
    importlib.import_module(name)
from qredit.sandbox.inside.jobs import warm_up
warm_up()
foreign, ours = set({foreign!r}), set({ours!r})
def unwanted(name):
    top = name.partition(".")[0]
    if top == "qredit":
        return name not in ours and not name.startswith(("qredit.credit", "qredit.sandbox"))
    # `numpy`: torch loads it where it is installed. `_sysconfigdata...`: the standard library's, named by platform.
    known = top in sys.stdlib_module_names or top in foreign or top == "numpy" or top.startswith("_sysconfigdata")
    return not known
# Modules without a file were made at run time by packages that are loaded anyway.
loaded = {{name for name in set(sys.modules) - before if getattr(sys.modules[name], "__file__", None)}}
result = {{"unwanted": sorted(filter(unwanted, loaded))}}
""",
        tmp_path,
    )
    assert done == {"unwanted": []}
