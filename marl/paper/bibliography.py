"""`references.bib`: of the entries that ship, those of the algorithms and environments that were used.

An entry says in its `keywords` what it belongs to: names of algorithms, `adapter:NAME` for environments, and `always`.
A new algorithm adds its entry to `references.bib` beside this file.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from qredit.files import read_untrusted

SHIPPED = Path(__file__).parent / "references.bib"
ALWAYS = "always"
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n.*?^\}\n", re.MULTILINE | re.DOTALL)
_KEYWORDS = re.compile(r"^ *keywords *= *\{([^}]*)\},?\n", re.MULTILINE)
_SIZE_LIMIT = 1_000_000


@dataclass(frozen=True)
class Entry:
    """One entry of the bibliography."""

    key: str
    """What `\\cite` takes."""
    text: str
    """The entry as it stands in the file, without its keywords."""
    keywords: frozenset[str]
    """What it belongs to."""


def shipped_entries() -> tuple[Entry, ...]:
    """All entries that ship, in the order of the file."""
    text = read_untrusted(SHIPPED, limit=_SIZE_LIMIT).decode()
    return tuple(_entry(found.group(1), found.group(0)) for found in _ENTRY.finditer(text))


def entries_for(algorithms: Collection[str], adapters: Collection[str]) -> tuple[Entry, ...]:
    """The entries of these algorithms and environments' adapters, and those that always belong."""
    wanted = {ALWAYS, *algorithms, *(f"adapter:{name}" for name in adapters)}
    return tuple(entry for entry in shipped_entries() if entry.keywords & wanted)


def _entry(key: str, text: str) -> Entry:
    found = _KEYWORDS.search(text)
    words = found.group(1).split(",") if found else []
    return Entry(key, _KEYWORDS.sub("", text), frozenset(word.strip() for word in words))
