"""The public names of the room."""

from __future__ import annotations

import subprocess
import sys

import pytest

import qredit.api

NAMES = {
    "check",
    "compare",
    "doctor",
    "generate",
    "inspect_run",
    "load_subject",
    "measure_fidelity",
    "quickstart",
    "report",
    "submit",
    "train",
    "write_paper",
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_stays_a_function(name: str) -> None:
    """Also after its module was imported, or the name was used before: a module of the same name would hide it."""
    code = f"""
import inspect, qredit.api
module = sys.modules[qredit.api.{name}.__module__]
assert inspect.isfunction(qredit.api.{name}), qredit.api.{name}
"""
    done = subprocess.run([sys.executable, "-c", f"import sys{code}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_these() -> None:
    assert set(dir(qredit.api)) == NAMES


def test_the_room_is_imported_without_anything_heavy() -> None:
    code = "import sys, qredit.api; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'langchain_core')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
