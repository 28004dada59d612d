"""What the packaging tests share: where the rooms are and what `pyproject.toml` says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOMS = ("agents", "graphs", "marl", "prompts", "sandbox")
WRITTEN_BY_MODELS = tuple(f"qredit/prompts/{room}/" for room in ("rankings", "recordings", "transferred"))
"""Shipped as data: the Python in them is what models wrote, and nothing imports it."""
LEFTOVERS = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


@dataclass(frozen=True)
class House:
    """The checkout as its folders show it."""

    root: Path
    """Root of the checkout."""
    pyproject: dict[str, Any]
    """Content of `pyproject.toml`."""
    rooms: tuple[str, ...] = ROOMS
    """Top-level folders that are subpackages."""

    @property
    def folders(self) -> dict[str, Path]:
        """`qredit` and the rooms: import name -> folder."""
        return {"qredit": self.root / "src" / "qredit"} | {f"qredit.{room}": self.root / room for room in self.rooms}

    def files(self) -> dict[str, Path]:
        """Every file of the package: its path below `site-packages` -> where it stands in the checkout."""
        found = {}
        for name, folder in self.folders.items():
            for path in sorted(folder.rglob("*")):
                inside = path.relative_to(folder)
                # The symlinks in src/qredit lead to the rooms, which are walked as themselves.
                through_link = (folder / inside.parts[0]).is_symlink()
                if path.is_file() and not through_link and not LEFTOVERS & set(inside.parts):
                    found[f"{name.replace('.', '/')}/{inside.as_posix()}"] = path
        return found

    def modules(self) -> dict[str, Path]:
        """Every module: dotted name -> file."""
        named = {}
        for inside, path in self.files().items():
            if inside.endswith(".py") and not inside.startswith(WRITTEN_BY_MODELS):
                named[inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = path
        return named


@pytest.fixture(scope="session")
def house(repository: Path) -> House:
    """The checkout."""
    return House(repository, tomllib.loads((repository / "pyproject.toml").read_text()))
