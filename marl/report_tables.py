"""A report as tables of words: for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from qredit.marl.comparison import BASELINE
from qredit.marl.report import Measured, Report, ReportRow
from qredit.marl.tables import (
    NOT_APPLICABLE,
    Column,
    Table,
    comparison_table,
    mean_and_interval,
    number,
    probability,
)

_MEASURES = (("final return", "final_return"), ("area", "area"))


def report_tables(report: Report) -> tuple[Table, ...]:
    """The table of every comparison and, where there are several, what they show together."""
    single = tuple(
        comparison_table(found.comparison, threshold=report.thresholds.get(found.task)) for found in report.comparisons
    )
    return single if len(single) < 2 else (*single, verdict_table(report), aggregate_table(report))


def verdict_table(report: Report) -> Table:
    """Better, worse or no difference shown: a verdict per task and algorithm, of final returns and of areas."""
    rows = [row for row in report.rows if row.final_return.against_vdn]
    tasks = [scale.task for scale in report.scales]
    cells = [
        (row.name, what, *(_verdict(getattr(row, field), task) for task in tasks))
        for row in rows
        for what, field in _MEASURES
    ]
    bases = {found.basis for row in rows for found in row.final_return.against_vdn.values()}
    missing = f"{BASELINE} is not in all of these comparisons, so nothing stands beside it and there is no verdict."
    return Table(
        title=f"Verdicts: beside {BASELINE} on the same task and seeds",
        columns=(*_columns("algorithm", "of", numeric=False), *_columns(*tasks, numeric=False)),
        rows=tuple(cells),
        verdicts=(),
        notes=tuple(f"A verdict rests on: {basis}." for basis in sorted(bases)) or (missing,),
    )


def aggregate_table(report: Report) -> Table:
    """Interquartile means and probabilities of improvement over all tasks, with the scores per task."""
    tasks = [scale.task for scale in report.scales]
    titles = ["IQM", f"P(> {BASELINE})", "IQM of area", f"P(area > {BASELINE})", *(f"score: {task}" for task in tasks)]
    return Table(
        title=f"{len(tasks)} tasks together, in normalised scores",
        columns=(*_columns("algorithm", numeric=False), *_columns(*titles, numeric=True)),
        rows=tuple(_cells(row, tasks) for row in report.rows),
        verdicts=(),
        notes=_notes(report),
    )


def report_markdown(report: Report, *, pictures: Sequence[str] = ()) -> str:
    """The report as one Markdown document."""
    parts = ["# Comparison\n", *(table.to_markdown() for table in report_tables(report))]
    parts += [f"![{picture.partition('.')[0].replace('_', ' ')}]({picture})\n" for picture in pictures]
    return "\n".join(parts)


def _columns(*titles: str, numeric: bool) -> tuple[Column, ...]:
    return tuple(Column(title, numeric=numeric) for title in titles)


def _verdict(measured: Measured, task: str) -> str:
    found = measured.against_vdn.get(task)
    return NOT_APPLICABLE if found is None else f"{found.verdict} ({number(found.mean, sign='+')})"


def _cells(row: ReportRow, tasks: Sequence[str]) -> tuple[str, ...]:
    found = []
    for _, field in _MEASURES:
        measured: Measured = getattr(row, field)
        mean = measured.interquartile_mean
        found += [mean_and_interval(mean.value, mean.interval), probability(measured.improvement_over_vdn)]
    scores = [row.final_return.scores[task].values() for task in tasks]
    return (row.name, *found, *(number(sum(values) / len(values)) for values in scores))


def _notes(report: Report) -> tuple[str, ...]:
    notes = [
        f"{scale.task}: 0 is the random policy ({number(scale.random_return)}), 1 is {number(scale.reference)} "
        f"({scale.source})."
        for scale in report.scales
    ]
    notes += [
        "IQM: interquartile mean, the mean of the middle half of all final scores of all tasks.",
        f"P(> {BASELINE}): probability that a training scores higher than one of {BASELINE} on the same task, mean "
        "over tasks; 0.5 is no difference. Few seeds that lie apart give an interval without width and are no proof.",
    ]
    if any(row.final_return.interquartile_mean.interval for row in report.rows):
        notes.append("[low, high]: 95 % bootstrap interval over seeds, drawn again within each task; tasks stay.")
    else:
        notes.append("No intervals: that takes three seeds on every task.")
    if len({len(found.comparison.seeds) for found in report.comparisons}) > 1:
        notes.append("Tasks differ in their number of seeds: one with more of them weighs more in the IQM.")
    notes += [f"Left out: {name}, which is not there on {', '.join(tasks)}." for name, tasks in report.left_out.items()]
    return tuple(notes)
