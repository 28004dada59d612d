"""A comparison as a table of words: for the terminal, which draws it, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qredit.marl.comparison import BASELINE, Comparison, Row
from qredit.marl.statistics import Difference, Interval

NOT_APPLICABLE = "-"


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    """Heading, with the unit."""
    numeric: bool
    """Whether it is set flush right."""


@dataclass(frozen=True)
class Table:
    """A table ready to be drawn."""

    title: str
    """What is compared."""
    columns: tuple[Column, ...]
    """The columns from left to right."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, row by row."""
    verdicts: tuple[str, ...]
    """How each algorithm stands to the baseline."""
    notes: tuple[str, ...]
    """What one has to know to read it."""

    def to_markdown(self) -> str:
        """The table in GitHub's Markdown, notes below it."""
        head = [column.title for column in self.columns]
        rule = ["---:" if column.numeric else "---" for column in self.columns]
        lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *self.rows)]
        remarks = [f"- {remark}" for remark in (*self.verdicts, *self.notes)]
        return "\n".join([f"**{self.title}**", "", *lines, "", *remarks]) + "\n"


def comparison_table(comparison: Comparison) -> Table:
    """The table that `qredit compare` ends with."""
    columns = (
        Column("algorithm", numeric=False),
        Column("final return", numeric=True),
        Column("by seed", numeric=True),
        Column("area under curve", numeric=True),
        Column("by seed", numeric=True),
        Column("unlike VDN", numeric=True),
        Column("training [s]", numeric=True),
    )
    seeds = ", ".join(map(str, comparison.seeds))
    return Table(
        title=f"{comparison.task}: {comparison.environment_steps:,} environment steps per training, seeds {seeds}",
        columns=columns,
        rows=tuple(_cells(row) for row in comparison.rows),
        verdicts=tuple(_verdict(row) for row in comparison.rows if row.return_against_vdn),
        notes=_notes(comparison),
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _mean(row.mean_return, row.return_interval),
        _each(list(row.return_by_seed.values())),
        _mean(row.mean_area, row.area_interval),
        _each(list(row.area_by_seed.values())),
        NOT_APPLICABLE if row.vdn_difference is None else f"{row.vdn_difference:.0%}",
        NOT_APPLICABLE if row.seconds is None else f"{row.seconds:.0f}",
    )


def _notes(comparison: Comparison) -> tuple[str, ...]:
    count = len(comparison.seeds)
    notes = [
        "Return: undiscounted team return per episode, greedy, the mean over the evaluation episodes. "
        f"Random policy: {comparison.random_episodes} episodes.",
        "Area under curve: time average of the greedy return over environment steps.",
    ]
    basis = next((row.return_against_vdn.basis for row in comparison.rows if row.return_against_vdn), None)
    if basis is not None:
        notes.append(f"Numbers beside {BASELINE} are mean differences, seed by seed; the verdicts rest on: {basis}.")
    if count >= 3:
        notes.append(f"[low, high]: 95 % bootstrap interval over {count} seeds.")
    if any(row.vdn_difference is not None for row in comparison.rows):
        notes.append("Unlike VDN: share of the visited states in which the credit function differs from VDN.")
    notes.append(f"Training time: wall clock, with up to {comparison.jobs} trainings at the same time.")
    return tuple(notes)


def _mean(value: float, interval: Interval | None) -> str:
    return (
        _number(value) if interval is None else f"{_number(value)} [{_number(interval.low)}, {_number(interval.high)}]"
    )


def _each(values: Sequence[float]) -> str:
    return ", ".join(map(_number, values)) or NOT_APPLICABLE


def _verdict(row: Row) -> str:
    """A row beside the baseline, in one sentence."""
    parts = {"final return": row.return_against_vdn, "area": row.area_against_vdn}
    told = [f"{name} {_difference(part)}" for name, part in parts.items() if part is not None]
    return f"{row.name} beside {BASELINE}: {'; '.join(told)}"


def _difference(difference: Difference) -> str:
    return f"{_number(difference.mean, sign='+')}, {difference.verdict}"


def _number(value: float, *, sign: str = "") -> str:
    """Two decimals below 10, one below 100, none above: returns differ by orders of magnitude between tasks."""
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:{sign}z.{decimals}f}"
