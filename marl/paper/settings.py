"""`settings.tex`: what all trainings share stands once, what differs stands with its algorithm or task."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qredit.marl.finished import FinishedComparison
from qredit.marl.paper.latex import code, escape, floating, tabular

_NOT_SETTINGS = frozenset({"algorithm", "seed", "own"})
_ALL = "all"
_OTHERS = "others"
_FEWEST_OTHERS = 3


@dataclass(frozen=True)
class Setting:
    """One setting with where it holds."""

    holds_for: str
    """`all`, an algorithm, a task, `algorithm, task`, or `others`: all that are not named for this setting."""
    name: str
    value: str
    """As JSON."""


def settings_of(comparisons: Sequence[FinishedComparison]) -> tuple[Setting, ...]:
    """The settings of all trainings: the shared ones first, then those that differ, then the algorithms' own."""
    by_place = {(n, found.task): s for found in comparisons for n, s in found.settings.items() if s}
    names = dict.fromkeys(name for settings in by_place.values() for name in settings if name not in _NOT_SETTINGS)
    shared: list[Setting] = []
    differing: list[Setting] = []
    for name in names:
        values = {place: _text(settings.get(name)) for place, settings in by_place.items()}
        found = _where(name, values)
        (shared if found[0].holds_for == _ALL else differing).extend(found)
    own = [
        Setting(algorithm, name, _text(value))
        for algorithm, options in _own_options(comparisons).items()
        for name, value in options.items()
    ]
    return (*shared, *differing, *own)


def settings_tex(comparisons: Sequence[FinishedComparison]) -> str:
    """The settings as two floating tables."""
    found = settings_of(comparisons)
    shared = [[code(one.name), code(one.value)] for one in found if one.holds_for == _ALL]
    rest = [[escape(one.holds_for), code(one.name), code(one.value)] for one in found if one.holds_for != _ALL]
    tables = [
        floating(
            tabular("ll", ["setting", "value"], shared),
            caption="Settings that all trainings share.",
            label="tab:settings",
        )
    ]
    if rest:
        tables.append(
            floating(
                tabular("lll", ["of", "setting", "value"], rest),
                caption="Settings of single algorithms or tasks; others: all that are not named for the setting.",
                label="tab:own-settings",
            )
        )
    return "\n".join(tables)


def _where(name: str, values: Mapping[tuple[str, str], str]) -> list[Setting]:
    """A setting in as few entries as tell it: for all, by algorithm, by task, or by both."""
    if len(set(values.values())) == 1:
        return [Setting(_ALL, name, next(iter(values.values())))]
    for part in (0, 1):
        by_part: dict[str, set[str]] = {}
        for place, value in values.items():
            by_part.setdefault(place[part], set()).add(value)
        if all(len(found) == 1 for found in by_part.values()):
            return _grouped(name, {where: found.pop() for where, found in by_part.items()})
    return _grouped(name, {", ".join(place): value for place, value in values.items()})


def _grouped(name: str, values: Mapping[str, str]) -> list[Setting]:
    """One entry per place; the places that share the commonest value are `others`, where there are several."""
    (common, count), *rest = Counter(values.values()).most_common()
    if count < _FEWEST_OTHERS or (rest and rest[0][1] == count):
        return [Setting(where, name, value) for where, value in values.items()]
    exceptions = [Setting(where, name, value) for where, value in values.items() if value != common]
    return [*exceptions, Setting(_OTHERS, name, common)]


def _own_options(comparisons: Sequence[FinishedComparison]) -> dict[str, dict[str, Any]]:
    """Algorithm -> its own options, defaults included where the algorithm is known here."""
    found: dict[str, dict[str, Any]] = {}
    for comparison in comparisons:
        for name, settings in comparison.settings.items():
            own = settings.get("own")
            given = own if isinstance(own, dict) else {}
            entry = found.setdefault(name, _defaults(str(settings.get("algorithm", name))))
            entry.update(given)
    return found


def _defaults(algorithm: str) -> dict[str, Any]:
    # Late: the algorithms load torch.
    from qredit.errors import UnknownNameError
    from qredit.marl.algorithms import algorithm_named

    try:
        return dataclasses.asdict(algorithm_named(algorithm).Options())
    except UnknownNameError:  # of a package that is not installed here
        return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
