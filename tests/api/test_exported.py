"""The public names of the room."""

from __future__ import annotations

import json
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


FORKS = """
import inspect, json, os, sys
import torch  # what takes long to load is there before each name is tried; nothing of ours is
assert not [name for name in sys.modules if name.startswith("qredit")]
answers = {}
for name in sys.argv[1:]:
    reader, writer = os.pipe()
    if os.fork() == 0:
        import qredit.api
        module = sys.modules[getattr(qredit.api, name).__module__]
        found = getattr(qredit.api, name)
        os.write(writer, repr(found if not inspect.isfunction(found) else "a function").encode())
        os._exit(0)
    os.close(writer)
    answers[name] = os.read(reader, 4096).decode()
print(json.dumps(answers))
"""
"""What each name is where it is the first that is used of the package, in a process of its own."""


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """Name -> what it is."""
    done = subprocess.run([sys.executable, "-c", FORKS, *sorted(NAMES)], capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_stays_a_function(name: str, found: dict[str, str]) -> None:
    """Also after its module was imported, or the name was used before: a module of the same name would hide it."""
    assert found[name] == repr("a function")


def test_the_public_names_are_these() -> None:
    assert set(dir(qredit.api)) == NAMES


def test_the_room_is_imported_without_anything_heavy() -> None:
    code = "import sys, qredit.api; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'langchain_core')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
