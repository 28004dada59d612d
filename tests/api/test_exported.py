"""The public names of the room."""

from __future__ import annotations

import subprocess
import sys

import qredit.api

NAMES = {"check", "compare", "doctor", "generate", "inspect_run", "load_subject", "quickstart", "train"}


def test_the_public_names_are_these() -> None:
    assert set(dir(qredit.api)) >= NAMES
    assert all(callable(getattr(qredit.api, name)) for name in NAMES)


def test_the_room_is_imported_without_anything_heavy() -> None:
    code = "import sys, qredit.api; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'langchain_core')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
