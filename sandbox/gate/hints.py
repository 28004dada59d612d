"""Remedies for names that nothing knows: what to use instead, or the known name that was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.profile import Profile

MAX_NAME = 60
"""Longest name that is compared with others."""


class Hints:
    """Unknown names by their findings.

    Only the finding that is shown with its remedy is looked up: a look-up reads every known name, and a source can hold
    thousands of known and of unknown names.
    """

    def __init__(self) -> None:
        self._unknown: dict[Finding, tuple[str, Iterable[str]]] = {}

    def remember(self, finding: Finding, name: str, known: Iterable[str]) -> Finding:
        """Note that a finding is about a name which may be a misspelt one; its remedy is for when it is none."""
        self._unknown[finding] = (name, known)
        return finding

    def complete(self, finding: Finding) -> Finding:
        """The finding, with a similar known name as its remedy if there is one."""
        name, known = self._unknown.get(finding, ("", ()))
        if not name or len(name) > MAX_NAME:
            return finding
        close = difflib.get_close_matches(name, [k for k in known if len(k) <= MAX_NAME], n=1, cutoff=0.75)
        return replace(finding, remedy=f"Did you mean `{close[0]}`?") if close else finding


def remedy_within(module: str, profile: Profile) -> str:
    """What to write in place of an unknown attribute of a module, or of anything else if the module is empty."""
    if module == "torch.nn":
        return profile.attribute_remedies["nn"]
    return f"Use other functions of `{module}`." if module else profile.method_remedy
