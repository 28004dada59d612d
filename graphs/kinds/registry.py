"""The kinds by name: one line each, and those that other packages bring."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.graphs.kinds.describe import DESCRIBE
from qredit.graphs.kinds.general import GENERAL
from qredit.graphs.kinds.kind import Kind
from qredit.graphs.kinds.ranking import RANKING
from qredit.graphs.kinds.shares import SHARES
from qredit.graphs.kinds.weights import WEIGHTS

ENTRY_POINTS = "qredit.kinds"
"""Group under which an installed package registers a `Kind` of its own."""

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (WEIGHTS, GENERAL, SHARES, DESCRIBE, RANKING)}


def kind_named(name: str) -> Kind:
    """A built-in kind, or one of an installed package.

    Raises:
        UnknownNameError: no such kind.
        ConfigurationError: what the package registered is no kind of this name.
    """
    if name in KINDS:
        return KINDS[name]
    others = {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if name not in others:
        raise UnknownNameError("kind", name, [*KINDS, *others])
    kind = others[name].load()
    if not isinstance(kind, Kind) or kind.name != name:
        raise ConfigurationError(
            f"kind `{name}`",
            cause=f"`{others[name].value}` is no `Kind` of this name",
            remedy="Let the entry point name a `qredit.graphs.Kind` whose `name` is the entry point's.",
        )
    return kind
