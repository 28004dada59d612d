"""A comparison as a table of words: for the terminal, which draws it, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qredit.marl.aggregate import Estimate
from qredit.marl.comparison import BASELINE, Comparison, Row
from qredit.marl.curves import Milestone
from qredit.marl.placebos import placebo_verdicts
from qredit.marl.statistics import Difference, Interval

NOT_APPLICABLE = "-"
MOST_SEEDS_SHOWN = 2
"""With more seeds than this there are intervals, and the table leaves single trainings to CSV and picture."""


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


@dataclass(frozen=True)
class Threshold:
    """A return whose first reaching is shown, and when each algorithm reaches it."""

    value: float
    """Undiscounted team return per episode, greedy."""
    milestones: Mapping[str, Milestone]
    """Algorithm -> when."""


def comparison_table(comparison: Comparison, *, threshold: Threshold | None = None) -> Table:
    """The table that `qredit compare` ends with; columns in which nothing would stand are left out."""
    # Every seed, or what can be said about many: shares of the pairs of two seeds would look like more than they are.
    few = len(comparison.seeds) <= MOST_SEEDS_SHOWN
    left_out = {_P_RETURN, _P_AREA} if few else {_BY_SEED}
    shown = [
        (column, cell)
        for column, cell in _columns(threshold)
        if _applies(column, cell, comparison.rows) and column.title not in left_out
    ]
    seeds = ", ".join(map(str, comparison.seeds))
    return Table(
        title=f"{comparison.task}: {comparison.environment_steps:,} environment steps per training, seeds {seeds}",
        columns=tuple(column for column, _ in shown),
        rows=tuple(tuple(cell(row) for _, cell in shown) for row in comparison.rows),
        verdicts=(
            *(_verdict(row) for row in comparison.rows if row.return_against_vdn),
            *placebo_verdicts(comparison.rows),
        ),
        notes=_notes(comparison, threshold),
    )


Cell = Callable[[Row], str]
_BY_SEED = "by seed"
_P_RETURN, _P_AREA = f"P(return > {BASELINE})", f"P(area > {BASELINE})"
_ALWAYS = frozenset({"algorithm", "final return", _BY_SEED, "area under curve", "training [s]"})


def _columns(threshold: Threshold | None) -> list[tuple[Column, Cell]]:
    found: list[tuple[str, Cell]] = [
        ("final return", lambda row: mean_and_interval(row.mean_return, row.return_interval)),
        (_BY_SEED, lambda row: _each(list(row.return_by_seed.values()))),
        ("area under curve", lambda row: mean_and_interval(row.mean_area, row.area_interval)),
        (_BY_SEED, lambda row: _each(list(row.area_by_seed.values()))),
        (_P_RETURN, lambda row: probability(row.improvement_over_vdn)),
        (_P_AREA, lambda row: probability(row.area_improvement_over_vdn)),
        ("sampled return", _sampled),
        ("unlike VDN", lambda row: NOT_APPLICABLE if row.vdn_difference is None else f"{row.vdn_difference:.0%}"),
        ("training [s]", lambda row: NOT_APPLICABLE if row.seconds is None else f"{row.seconds:.0f}"),
    ]
    if threshold is not None:
        reached = threshold.milestones
        found += [
            (f"reach {number(threshold.value)}", lambda row: _reached(reached.get(row.name))),
            ("steps until then", lambda row: _steps(reached.get(row.name))),
            ("seconds until then", lambda row: _seconds(reached.get(row.name))),
        ]
    return [
        (Column("algorithm", numeric=False), lambda row: row.name),
        *((Column(title, numeric=True), cell) for title, cell in found),
    ]


def _applies(column: Column, cell: Cell, rows: Sequence[Row]) -> bool:
    return column.title in _ALWAYS or any(cell(row) != NOT_APPLICABLE for row in rows)


def _notes(comparison: Comparison, threshold: Threshold | None) -> tuple[str, ...]:
    count = len(comparison.seeds)
    notes = [
        "Return: undiscounted team return per episode, greedy, the mean over the evaluation episodes. "
        f"Random policy: {comparison.random_episodes} episodes.",
        "Area under curve: time average of the greedy return over environment steps.",
    ]
    basis = next((row.return_against_vdn.basis for row in comparison.rows if row.return_against_vdn), None)
    if basis is not None:
        notes.append(f"Numbers beside {BASELINE} are mean differences, seed by seed; the verdicts rest on: {basis}.")
    if basis is not None and count > MOST_SEEDS_SHOWN:
        notes.append(
            f"{_P_RETURN}: share of the pairs of trainings, one of each algorithm, in which it ends higher, "
            "ties counted half; 0.5 is no difference. Few seeds that lie apart give 1 without being proof."
        )
    if count >= 3:
        notes.append(f"[low, high]: 95 % bootstrap interval over {count} seeds.")
    if count > MOST_SEEDS_SHOWN:
        notes.append("Every single training is a line of `comparison.csv` and a thin line in the picture.")
    if any(row.sampled_by_seed for row in comparison.rows):
        notes.append("Sampled return: the same with actions drawn from the policy; all else here is greedy.")
    if any(row.vdn_difference is not None for row in comparison.rows):
        notes.append("Unlike VDN: share of the visited states in which the credit function differs from VDN.")
    notes.append(f"Training time: wall clock, with up to {comparison.jobs} trainings at the same time.")
    if threshold is not None:
        notes.append(
            f"Reach {number(threshold.value)}: seeds with an evaluation of at least this return; steps and seconds: "
            "median over all seeds, a seed that never got there counting as the latest."
        )
    return tuple(notes)


def mean_and_interval(value: float, interval: Interval | None) -> str:
    """`0.80 [0.70, 0.90]`, or the number alone."""
    if interval is None:
        return number(value)
    return f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"


def probability(found: Estimate | None) -> str:
    """`0.80 [0.70, 0.90]`, the number alone, or that there is none."""
    return NOT_APPLICABLE if found is None else mean_and_interval(found.value, found.interval)


def number(value: float, *, sign: str = "") -> str:
    """Two decimals below 10, one below 100, none above: returns differ by orders of magnitude between tasks."""
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:{sign}z.{decimals}f}"


def _sampled(row: Row) -> str:
    return NOT_APPLICABLE if row.mean_sampled is None else mean_and_interval(row.mean_sampled, row.sampled_interval)


def _reached(found: Milestone | None) -> str:
    return NOT_APPLICABLE if found is None else f"{found.reached} of {found.seeds}"


def _steps(found: Milestone | None) -> str:
    return NOT_APPLICABLE if found is None or found.environment_steps is None else f"{found.environment_steps:,.0f}"


def _seconds(found: Milestone | None) -> str:
    return NOT_APPLICABLE if found is None or found.seconds is None else f"{found.seconds:,.0f}"


def _each(values: Sequence[float]) -> str:
    return ", ".join(map(number, values)) or NOT_APPLICABLE


def _verdict(row: Row) -> str:
    """A row beside the baseline, in one sentence."""
    parts = {"final return": row.return_against_vdn, "area": row.area_against_vdn}
    told = [f"{name} {_difference(part)}" for name, part in parts.items() if part is not None]
    return f"{row.name} beside {BASELINE}: {'; '.join(told)}"


def _difference(difference: Difference) -> str:
    return f"{number(difference.mean, sign='+')}, {difference.verdict}"
