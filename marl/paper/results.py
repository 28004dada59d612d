"""`table.tex`: final returns and areas of all algorithms on all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qredit.marl.comparison import RANDOM_POLICY, Row
from qredit.marl.finished import FinishedComparison
from qredit.marl.paper.latex import code, escape, floating, mean_and_interval, tabular
from qredit.marl.statistics import paired_difference
from qredit.marl.tables import NOT_APPLICABLE

_MEASURES = (("final return", "return"), ("area under the learning curve", "area"))


def best_by_verdict(values: Mapping[str, Mapping[int, float]]) -> str | None:
    """The algorithm with the highest mean, if it is shown to be better than every other, seed by seed; else `None`.

    Args:
        values: algorithm -> seed -> value.
    """
    if len(values) < 2:
        return None
    best = max(values, key=lambda name: sum(values[name].values()) / len(values[name]))
    others = (paired_difference(values[best], values[name]).verdict for name in values if name != best)
    return best if all(verdict == "better" for verdict in others) else None


def results_tex(comparisons: Sequence[FinishedComparison]) -> str:
    """One floating table per measure: algorithms in rows, tasks in columns."""
    return "\n".join(_table(comparisons, words, field) for words, field in _MEASURES)


def _table(comparisons: Sequence[FinishedComparison], words: str, field: str) -> str:
    names = list(dict.fromkeys(name for found in comparisons for name in found.algorithms))
    bold = [
        best_by_verdict({name: getattr(found.comparison.row(name), f"{field}_by_seed") for name in found.algorithms})
        for found in comparisons
    ]
    rows = [
        [
            escape(name),
            *(_cell(found, name, field, bold=best == name) for found, best in zip(comparisons, bold, strict=True)),
        ]
        for name in (RANDOM_POLICY, *names)
    ]
    head = ["algorithm", *(code(found.task) for found in comparisons)]
    body = tabular("l" + "r" * len(comparisons), head, rows)
    return floating(body, caption=_caption(comparisons, words), label=f"tab:{field}")


def _cell(found: FinishedComparison, name: str, field: str, *, bold: bool) -> str:
    row: Row | None = next((row for row in found.comparison.rows if row.name == name), None)
    if row is None:
        return NOT_APPLICABLE
    return mean_and_interval(getattr(row, f"mean_{field}"), getattr(row, f"{field}_interval"), bold=bold)


def _caption(comparisons: Sequence[FinishedComparison], words: str) -> str:
    counts = sorted({len(found.comparison.seeds) for found in comparisons})
    seeds = " or ".join(map(str, counts))
    interval = ", with 95\\,\\% bootstrap intervals over seeds" if counts[-1] >= 3 else ""
    steps = " or ".join(f"{step:,}" for step in sorted({found.comparison.environment_steps for found in comparisons}))
    return (
        f"Greedy undiscounted team return per episode, {words}: mean over {seeds} "
        f"{'seed' if seeds == '1' else 'seeds'}{interval}, {steps} environment steps per training. Bold: shown to "
        "be better than every other algorithm, seed by seed; without bold no algorithm is shown to be the best."
    )
