"""The pictures of comparisons: learning curves over environment steps and over wall-clock seconds.

matplotlib's objects are used directly, without `pyplot`: no display, no global state, safe in threads.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from qredit.files import write_atomic
from qredit.marl.curves import LearningCurve
from qredit.marl.statistics import Band, Floats, band_over_seeds, common_grid, on_grid

# Okabe and Ito's palette: told apart with every common form of colour blindness; without its yellow, which is too pale
# for a line. Line styles say the same once more, and markers tell where the colours begin again.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
STYLES = ("solid", "dashed", "dashdot", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)))
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 12.0, 5.6, 100
ROW_INCHES = 4.0
"""Height of each row where there are several, so that a picture of several tasks fits on a page."""
MARKERS = ("", "o", "s")
STEPS_LABEL = "environment steps"
SECONDS_LABEL = "wall-clock time of training [s]"
RETURN_LABEL = "undiscounted team return per episode"
_POINTS_OVER_SECONDS = 200
_CROWDED = 7
"""From more algorithms than this on, bands would hide each other, and single seeds are drawn fainter."""

Curves = Mapping[str, Sequence[LearningCurve]]
"""Algorithm -> one curve per seed."""
Policy = Literal["greedy", "sampled"]


@dataclass(frozen=True)
class Panel:
    """One row of a picture: the same curves over steps and over seconds."""

    task: str
    """Name of the task."""
    curves: Curves
    """What is drawn."""
    random_return: float | None = None
    """Mean return of a random policy, drawn as a horizontal line."""
    optimum: float | None = None
    """Highest possible return, drawn as a horizontal line; `None` where it is unknown."""
    policy: Policy = "greedy"
    """Which of a curve's returns is drawn; the two are never mixed."""


@dataclass(frozen=True)
class Look:
    """How an algorithm is drawn, the same in every picture of one report."""

    colour: str
    style: str | tuple[int, tuple[float, ...]]
    marker: str


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """A look for each algorithm, by its place among all algorithms of a report."""
    looks = {}
    for number, name in enumerate(names):
        again, place = divmod(number, len(COLOURS))
        looks[name] = Look(COLOURS[place], STYLES[number % len(STYLES)], MARKERS[again % len(MARKERS)])
    return looks


def learning_curves_figure(
    curves: Curves, *, task: str, random_return: float | None = None, optimum: float | None = None
) -> Figure:
    """The picture of one comparison; a second row shows the sampled returns, where there are stochastic policies.

    Args:
        random_return: mean return of a random policy.
        optimum: highest possible return; `None` where it is unknown.
    """
    return panels_figure(panels_of(task, curves, random_return=random_return, optimum=optimum))


def panels_of(task: str, curves: Curves, *, random_return: float | None, optimum: float | None) -> tuple[Panel, ...]:
    """The rows that one comparison takes."""
    greedy = Panel(task, curves, random_return, optimum)
    sampled = {name: seeds for name, seeds in curves.items() if all(c.sampled_return is not None for c in seeds)}
    return (greedy, Panel(task, sampled, random_return, optimum, "sampled")) if sampled else (greedy,)


def panels_figure(panels: Sequence[Panel], *, names: Sequence[str] | None = None) -> Figure:
    """Draw every seed as a thin line, the mean as a thick one, and what there is to say about the spread as a band.

    Args:
        panels: the rows.
        names: all algorithms of the report's other pictures, in their order, so that looks agree.
    """
    drawn = dict.fromkeys(name for panel in panels for name in panel.curves)
    looks = looks_of(list(drawn) if names is None else names)
    height = HEIGHT_INCHES if len(panels) == 1 else ROW_INCHES * len(panels) + 1
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 2, sharey="row", squeeze=False)
    described = []
    for panel, (over_steps, over_seconds) in zip(panels, grid, strict=True):
        bands = _draw(over_steps, panel, looks, axis=lambda curve: curve.environment_steps, points=None)
        _draw(over_seconds, panel, looks, axis=lambda curve: curve.seconds, points=_POINTS_OVER_SECONDS)
        for axes, label in ((over_steps, STEPS_LABEL), (over_seconds, SECONDS_LABEL)):
            _draw_references(axes, panel.random_return, panel.optimum)
            _dress(axes, label)
        over_steps.xaxis.set_major_formatter(EngFormatter(sep=""))
        over_steps.set_ylabel(f"{RETURN_LABEL if len(panels) == 1 else 'return'} ({panel.policy})", fontsize=12)
        described.append(_describe_seeds(panel.curves, bands))
        if len(panels) > 1:
            over_steps.set_title(f"{panel.task}, {panel.policy}", fontsize=12, loc="left")
    tasks = list(dict.fromkeys(panel.task for panel in panels))
    title = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    figure.suptitle(f"{title}: learning curves, {' / '.join(dict.fromkeys(described))}", fontsize=13)
    add_legend(figure, [axes for row in grid for axes in row[:1]])
    return figure


def line_look(look: Look, *, linewidth: float) -> dict[str, Any]:
    """A look as matplotlib's keywords."""
    marked = {"marker": look.marker, "markersize": 5.5, "markevery": 0.11} if look.marker else {}
    return {"color": look.colour, "linestyle": look.style, "linewidth": linewidth, **marked}


def add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all axes, every label once."""
    found = {label: handle for one in axes for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    # About so wide is one entry at this size of letters; a legend that is too wide would be cut off on both sides.
    inches = 0.8 + 0.085 * max(map(len, found), default=0)
    columns = max(1, min(len(found), int(figure.get_size_inches()[0] / inches)))
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=columns,
        fontsize=11,
        frameon=False,
        handlelength=2.6,
        columnspacing=1.4,
    )


def save_learning_curves(path: Path, figure: Figure) -> None:
    """Write the figure as PNG, whole or not at all.

    Raises:
        StorageError: disk full or no permission.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    write_atomic(path, buffer.getvalue())


def save_vector(path: Path, figure: Figure) -> None:
    """Write the figure as PDF, whole or not at all: text stays text, and the same figure gives the same bytes.

    Raises:
        StorageError: disk full or no permission.
    """
    buffer = io.BytesIO()
    # Type 42: the fonts of matplotlib's default are refused by several publishers.
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    write_atomic(path, buffer.getvalue())


def _draw(
    axes: Axes,
    panel: Panel,
    looks: Mapping[str, Look],
    *,
    axis: Callable[[LearningCurve], Floats],
    points: int | None,
) -> dict[str, Band | None]:
    """Draw all algorithms over one abscissa; returns their bands.

    Means and bands end where the shortest of an algorithm's curves ends; the single lines go on.
    """
    bands: dict[str, Band | None] = {}
    crowded = len(panel.curves) > _CROWDED
    for name, seeds in panel.curves.items():
        look = looks[name]
        if len(seeds) > 1:
            for curve in seeds:
                ordinates = _returns(curve, panel.policy)
                alpha = 0.25 if crowded else 0.55
                axes.plot(axis(curve), ordinates, color=look.colour, linewidth=0.7 if crowded else 0.8, alpha=alpha)
        grid = common_grid([axis(curve) for curve in seeds], points=points)
        if not grid.size:  # trainings of a second, one over before the other began: single lines are all there is
            axes.plot([], [], label=name, **line_look(look, linewidth=2.4))
            bands[name] = None
            continue
        values = np.stack([on_grid(grid, axis(curve), _returns(curve, panel.policy)) for curve in seeds])
        axes.plot(grid, values.mean(axis=0), label=name, **line_look(look, linewidth=2.4))
        band = band_over_seeds(values)
        bands[name] = None if crowded else band
        if band is not None and not crowded:
            axes.fill_between(grid, band.low, band.high, color=look.colour, alpha=0.13, linewidth=0)
    return bands


def _returns(curve: LearningCurve, policy: Policy) -> Floats:
    values = curve.greedy_return if policy == "greedy" else curve.sampled_return
    assert values is not None  # `panels_of` has seen to it
    return values


def _draw_references(axes: Axes, random_return: float | None, optimum: float | None) -> None:
    if random_return is not None:
        axes.axhline(random_return, color="#555555", linewidth=1.3, linestyle=(0, (2, 2)), label="random policy")
    if optimum is not None:
        axes.axhline(optimum, color="black", linewidth=1.3, linestyle=(0, (7, 3)), label="optimum")


def _dress(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, fontsize=12)
    axes.set_xlim(left=0)
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _describe_seeds(curves: Curves, bands: Mapping[str, Band | None]) -> str:
    """What lines and bands are, in words; algorithms may differ in their number of seeds."""
    labels = list(dict.fromkeys(band.label for band in bands.values() if band is not None))
    if labels:
        return f"mean and single seeds; band = {' / '.join(labels)}"
    return "one seed" if all(len(seeds) == 1 for seeds in curves.values()) else "mean and single seeds"
