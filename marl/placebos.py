"""A credit function beside its placebos: weights that know nothing, or have forgotten what they knew.

A function that does not beat them may still beat VDN: by weights that differ from one at all, or by its bias. Only a
function that beats every one of them has shown that its credit helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qredit.marl.statistics import paired_difference

if TYPE_CHECKING:
    from qredit.marl.comparison import Row

MARK = "+placebo="
"""What the name of a placebo has behind the name of its function."""


def placebo_verdicts(rows: Sequence[Row]) -> tuple[str, ...]:
    """For each function with placebos among the rows, one sentence for final returns and one for areas."""
    found = []
    for row in rows:
        placebos = [other for other in rows if other.name.startswith(row.name + MARK)]
        if placebos:
            returns = {p.name.removeprefix(row.name + MARK): p.return_by_seed for p in placebos}
            areas = {p.name.removeprefix(row.name + MARK): p.area_by_seed for p in placebos}
            found.append(_sentence(row.name, "final return", row.return_by_seed, returns))
            found.append(_sentence(row.name, "area", row.area_by_seed, areas))
    return tuple(found)


def _sentence(name: str, what: str, ours: Mapping[int, float], placebos: Mapping[str, Mapping[int, float]]) -> str:
    by_verdict: dict[str, list[str]] = {}
    for placebo, theirs in placebos.items():
        by_verdict.setdefault(paired_difference(ours, theirs).verdict, []).append(placebo)
    told = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in sorted(by_verdict.items()))
    shown = "shown" if set(by_verdict) == {"better"} else "not shown"
    return f"{name} beside its placebos, {what}: {told}. That its credit helps is {shown}."
