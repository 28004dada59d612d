"""The picture of a comparison: greedy return over environment steps and over wall-clock seconds.

matplotlib's objects are used directly, without `pyplot`: no display, no global state, safe in threads.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from qredit.files import write_atomic
from qredit.marl.curves import LearningCurve
from qredit.marl.statistics import Band, Floats, band_over_seeds, common_grid, on_grid

# Okabe and Ito's palette: told apart with every common form of colour blindness. Line styles say the same once more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
STYLES = ("solid", "dashed", "dashdot", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)))
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 12.0, 5.6, 100
STEPS_LABEL = "environment steps"
SECONDS_LABEL = "wall-clock time of training [s]"
RETURN_LABEL = "undiscounted team return per episode (greedy)"
_POINTS_OVER_SECONDS = 200

Curves = Mapping[str, Sequence[LearningCurve]]
"""Algorithm -> one curve per seed."""


def learning_curves_figure(
    curves: Curves, *, task: str, random_return: float | None = None, optimum: float | None = None
) -> Figure:
    """Draw every seed as a thin line, the mean as a thick one, and what there is to say about the spread as a band.

    Args:
        random_return: mean return of a random policy, drawn as a horizontal line.
        optimum: highest possible return, drawn as a horizontal line; `None` where it is unknown.
    """
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    over_steps, over_seconds = figure.subplots(1, 2, sharey=True)
    bands = _draw(over_steps, curves, axis=lambda curve: curve.environment_steps, points=None)
    _draw(over_seconds, curves, axis=lambda curve: curve.seconds, points=_POINTS_OVER_SECONDS)
    for axes, label in ((over_steps, STEPS_LABEL), (over_seconds, SECONDS_LABEL)):
        _draw_references(axes, random_return, optimum)
        axes.set_xlabel(label, fontsize=12)
        axes.set_xlim(left=0)
        axes.margins(x=0.01)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.tick_params(labelsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    over_steps.xaxis.set_major_formatter(EngFormatter(sep=""))
    over_steps.set_ylabel(RETURN_LABEL, fontsize=12)
    figure.suptitle(f"{task}: learning curves, {_describe_seeds(curves, bands)}", fontsize=13)
    handles, labels = over_steps.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), fontsize=12, frameon=False)
    return figure


def save_learning_curves(path: Path, figure: Figure) -> None:
    """Write the figure as PNG, whole or not at all.

    Raises:
        StorageError: disk full or no permission.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    write_atomic(path, buffer.getvalue())


def _draw(
    axes: Axes, curves: Curves, *, axis: Callable[[LearningCurve], Floats], points: int | None
) -> dict[str, Band | None]:
    """Draw all algorithms over one abscissa; returns their bands.

    Means and bands end where the shortest of an algorithm's curves ends; the single lines go on.
    """
    bands: dict[str, Band | None] = {}
    for number, (name, seeds) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        grid = common_grid([axis(curve) for curve in seeds], points=points)
        values = np.stack([on_grid(grid, axis(curve), curve.greedy_return) for curve in seeds])
        if len(seeds) > 1:
            for curve in seeds:
                axes.plot(axis(curve), curve.greedy_return, color=colour, linewidth=0.8, alpha=0.55)
        style = STYLES[number % len(STYLES)]
        axes.plot(grid, values.mean(axis=0), color=colour, linewidth=2.4, linestyle=style, label=name)
        band = bands[name] = band_over_seeds(values)
        if band is not None:
            axes.fill_between(grid, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
    return bands


def _draw_references(axes: Axes, random_return: float | None, optimum: float | None) -> None:
    if random_return is not None:
        axes.axhline(random_return, color="#555555", linewidth=1.3, linestyle=(0, (2, 2)), label="random policy")
    if optimum is not None:
        axes.axhline(optimum, color="black", linewidth=1.3, linestyle=(0, (7, 3)), label="optimum")


def _describe_seeds(curves: Curves, bands: Mapping[str, Band | None]) -> str:
    """What lines and bands are, in words; algorithms may differ in their number of seeds."""
    labels = list(dict.fromkeys(band.label for band in bands.values() if band is not None))
    if not labels:
        return "one seed"
    return f"mean and single seeds; band = {' / '.join(labels)}"
