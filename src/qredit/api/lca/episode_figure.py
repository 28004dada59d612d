"""The figure of one episode: pictures of its worlds, and below them the rewards of each agent, step by step."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from qredit.api.lca.episode import Episode
from qredit.files import write_atomic, write_json
from qredit.marl.environments.rooms.drawing import AGENTS, rgb_array
from qredit.marl.plots import COLOURS, DOTS_PER_INCH, WIDTH_INCHES, add_legend, save_learning_curves

INDIVIDUAL, TEAM = COLOURS[0], COLOURS[-1]
"""Blue and grey, as in the paper."""
PICTURES_PER_ROW = 5
PIXELS_PER_CELL = 32
TITLE_INCHES = 0.35
"""Height of a picture's title."""
PANEL_INCHES = 1.9
"""Height of one agent's panel."""
REST_INCHES = 1.3
"""Height of the figure's title, the label of the steps and the legend."""


def episode_figure(episode: Episode) -> Figure:
    """Draw the pictured worlds above one panel per agent; thin vertical lines lead from one to the other."""
    rows, columns = episode.plan.shape
    lines = math.ceil(len(episode.pictured) / PICTURES_PER_ROW)
    strip = lines * (WIDTH_INCHES / PICTURES_PER_ROW * rows / columns + TITLE_INCHES)
    panels = PANEL_INCHES * len(episode.plan.agents)
    size = (WIDTH_INCHES, strip + panels + REST_INCHES)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06))
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(strip, panels + REST_INCHES)).flat
    _draw_pictures(list(above.subplots(lines, PICTURES_PER_ROW, squeeze=False).flat), episode)
    axes = list(below.subplots(len(episode.plan.agents), 1, sharex=True, sharey=True, squeeze=False).flat)
    for agent, one in enumerate(axes):
        _draw_rewards(one, episode, agent)
    axes[-1].set_xlabel("step t of the episode", fontsize=12)
    chosen = "sampled" if episode.sampled else "greedy"
    how = f"{episode.algorithm}, {chosen} actions, {'completed' if episode.completed else 'not completed'}"
    figure.suptitle(f"{episode.task}: individual rewards over one episode ({how})", fontsize=13)
    add_legend(figure, axes[:1])
    return figure


def save_episode(episode: Episode, folder: Path) -> tuple[Path, ...]:
    """Write the figure as PNG and SVG, and the numbers as JSON, each whole or not at all; returns the three paths.

    Raises:
        StorageError: disk full or no permission.
    """
    stem = f"{episode.task}-{'sampled' if episode.sampled else 'greedy'}-{episode.seed}"
    png, svg, numbers = (folder / f"{stem}.{ending}" for ending in ("png", "svg", "json"))
    figure = episode_figure(episode)
    save_learning_curves(png, figure)
    buffer = io.BytesIO()
    # The same figure gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": stem}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_atomic(svg, buffer.getvalue())
    write_json(numbers, episode.to_json())
    return png, svg, numbers


def _draw_pictures(places: Sequence[Axes], episode: Episode) -> None:
    for axes in places:
        axes.set_axis_off()
    for axes, t in zip(places, episode.pictured, strict=False):  # the last row may have places to spare
        axes.imshow(rgb_array(episode.plan, episode.worlds[t], pixels_per_cell=PIXELS_PER_CELL))
        axes.set_title(f"t={t}", fontsize=11, pad=3)


def _draw_rewards(axes: Axes, episode: Episode, agent: int) -> None:
    steps = np.arange(1, episode.steps + 1)
    for t in episode.pictured:
        axes.axvline(t, color="#555555", linewidth=0.7, alpha=0.6)
    own = episode.individual_rewards[:, agent]
    blue: dict[str, Any] = {"color": INDIVIDUAL, "linewidth": 1.8, "marker": "o", "markersize": 3.0, "zorder": 3}
    axes.plot(steps, own, label="individual reward", **blue)
    axes.plot(steps, episode.team_rewards, color=TEAM, linewidth=1.6, label="team reward (sum over agents)")
    axes.set_title(episode.plan.agents[agent], fontsize=12, loc="left", color=AGENTS[agent], fontweight="bold")
    axes.set_ylabel("reward", fontsize=12)
    axes.set_xlim(-0.3, episode.steps + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
