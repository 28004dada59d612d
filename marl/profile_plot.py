"""The picture of a report: run-score distributions (performance profiles) of all algorithms, over all tasks."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from qredit.marl.plots import DOTS_PER_INCH, add_legend, line_look, looks_of
from qredit.marl.report import Report

SIZE_INCHES = (9.0, 5.6)
SCORE_LABEL = "normalised score (0: random policy, 1: reference of the task)"
SHARE_LABEL = "trainings that score more"
_CROWDED = 7


def profiles_figure(report: Report, *, names: Sequence[str] | None = None) -> Figure:
    """Share of the trainings whose final score exceeds a threshold, over the threshold; higher is better.

    Args:
        report: what is drawn.
        names: all algorithms of the report's other pictures, in their order, so that looks agree.
    """
    looks = looks_of(names if names is not None else [row.name for row in report.rows])
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    banded = len(report.rows) <= _CROWDED and all(row.profile.low is not None for row in report.rows)
    for row in report.rows:
        look, found = looks[row.name], row.profile
        # A step function: the share changes at the scores themselves.
        axes.step(found.thresholds, found.share, where="post", label=row.name, **line_look(look, linewidth=2.2))
        if banded and found.low is not None and found.high is not None:
            axes.fill_between(
                found.thresholds, found.low, found.high, step="post", color=look.colour, alpha=0.13, linewidth=0
            )
    axes.set_xlabel(SCORE_LABEL, fontsize=12)
    axes.set_ylabel(SHARE_LABEL, fontsize=12)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(-0.02, 1.02)
    axes.margins(x=0)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    band = "; band = pointwise 95 % bootstrap interval over seeds" if banded else ""
    figure.suptitle(f"Performance profiles over {len(report.scales)} tasks{band}", fontsize=13)
    add_legend(figure, [axes])
    return figure
