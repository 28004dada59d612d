"""The picture: what it says is read from the figure's own objects, and the file is a PNG of the stated size."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qredit.errors import RunFolderError, StorageError
from qredit.marl.curves import LearningCurve, Milestone, Reached, milestone, read_curve, time_to
from qredit.marl.plots import (
    COLOURS,
    Panel,
    learning_curves_figure,
    looks_of,
    panels_figure,
    save_learning_curves,
    save_vector,
)


def curve(*values: float, seconds_per_point: float = 2.0) -> LearningCurve:
    points = np.arange(len(values), dtype=np.float64)
    return LearningCurve(points * 1000, points * seconds_per_point, np.array(values))


TWO_SEEDS = {
    "vdn": [curve(0.1, 0.5, 0.9), curve(0.3, 0.5, 0.7)],
    "qmix": [curve(0.0, 0.1, 0.2), curve(0.0, 0.3, 0.4, seconds_per_point=3.0)],
}


def panels(figure: Figure) -> tuple[Axes, Axes]:
    left, right = figure.axes
    return left, right


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [line for line in axes.get_lines() if line.get_label() == label]
    return found


def points(line: Line2D) -> tuple[list[float], list[float]]:
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_axes_are_labelled_with_units() -> None:
    left, right = panels(learning_curves_figure(TWO_SEEDS, task="toy"))
    assert left.get_xlabel() == "environment steps"
    assert right.get_xlabel() == "wall-clock time of training [s]"
    assert left.get_ylabel() == "undiscounted team return per episode (greedy)"


def test_the_title_names_the_task_and_calls_two_seeds_a_range() -> None:
    figure = learning_curves_figure(TWO_SEEDS, task="lbf-toy")
    title = figure.get_suptitle()
    assert "lbf-toy" in title
    assert "band = range over 2 seeds" in title
    assert "interval" not in title


def test_the_title_names_an_interval_from_three_seeds_on_and_no_band_for_one() -> None:
    three = learning_curves_figure({"vdn": [curve(0, 1), curve(0, 2), curve(0, 3)]}, task="toy")
    assert "band = 95 % bootstrap interval over 3 seeds" in three.get_suptitle()
    one = learning_curves_figure({"vdn": [curve(0, 1)]}, task="toy")
    assert one.get_suptitle().endswith("one seed")
    assert len(panels(one)[0].collections) == 0


def test_mean_single_seeds_and_range_are_drawn_over_steps() -> None:
    left, _ = panels(learning_curves_figure({"vdn": TWO_SEEDS["vdn"]}, task="toy"))
    steps, means = points(line(left, "vdn"))
    assert steps == [0, 1000, 2000]
    assert means == pytest.approx([0.2, 0.5, 0.8])
    thin = [drawn for drawn in left.get_lines() if drawn.get_label() != "vdn"]
    assert [points(drawn)[1] for drawn in thin] == [[0.1, 0.5, 0.9], [0.3, 0.5, 0.7]]
    assert all(drawn.get_linewidth() < line(left, "vdn").get_linewidth() for drawn in thin)
    (band,) = left.collections
    corners = {(x, y) for x, y in np.asarray(band.get_paths()[0].vertices).tolist()}
    assert corners == {(0, 0.1), (0, 0.3), (1000, 0.5), (2000, 0.7), (2000, 0.9)}


def test_the_mean_over_seconds_ends_with_the_fastest_seed_and_the_single_lines_go_on() -> None:
    _, right = panels(learning_curves_figure({"qmix": TWO_SEEDS["qmix"]}, task="toy"))
    seconds, values = points(line(right, "qmix"))
    assert (seconds[0], seconds[-1]) == (0, 4)
    # At 4 s the first seed ends at 0.2; the second is a third of the way from 0.3 (3 s) to 0.4 (6 s).
    assert values[-1] == pytest.approx((0.2 + 0.3 + 0.1 / 3) / 2)
    assert max(points(drawn)[0][-1] for drawn in right.get_lines()) == 6


def test_seeds_that_have_no_second_in_common_are_single_lines() -> None:
    """Trainings of a second: where one has ended before the other's first evaluation there is nothing to average."""
    late = replace(curve(1, 2), seconds=np.array([9.0, 9.5]))
    _, over_seconds = panels(learning_curves_figure({"vdn": [curve(0, 1), late]}, task="toy"))
    assert points(line(over_seconds, "vdn")) == ([], [])
    assert len(over_seconds.lines) == 3


def test_references_are_horizontal_lines_in_the_legend() -> None:
    figure = learning_curves_figure(TWO_SEEDS, task="toy", random_return=0.45, optimum=1.0)
    assert legend_labels(figure) == ["vdn", "qmix", "random policy", "optimum"]
    for axes in panels(figure):
        assert set(points(line(axes, "random policy"))[1]) == {0.45}
        assert set(points(line(axes, "optimum"))[1]) == {1.0}


def test_an_unknown_optimum_is_not_drawn() -> None:
    assert legend_labels(learning_curves_figure(TWO_SEEDS, task="toy", random_return=0.45)) == [
        "vdn",
        "qmix",
        "random policy",
    ]


def test_algorithms_differ_in_colour_and_in_line_style() -> None:
    left, _ = panels(learning_curves_figure(TWO_SEEDS, task="toy"))
    vdn, qmix = line(left, "vdn"), line(left, "qmix")
    assert (vdn.get_color(), qmix.get_color()) == COLOURS[:2]
    assert vdn.get_linestyle() != qmix.get_linestyle()


def with_sampled(found: LearningCurve) -> LearningCurve:
    return replace(found, sampled_return=found.greedy_return / 2)


def test_sampled_returns_have_a_row_of_their_own() -> None:
    curves = {**TWO_SEEDS, "ippo": [with_sampled(found) for found in TWO_SEEDS["vdn"]]}
    figure = learning_curves_figure(curves, task="toy", random_return=0.1)
    greedy, _, sampled, _ = figure.axes
    assert greedy.get_ylabel().endswith("(greedy)")
    assert sampled.get_ylabel().endswith("(sampled)")
    assert points(line(greedy, "ippo"))[1] == pytest.approx([0.2, 0.5, 0.8])
    assert points(line(sampled, "ippo"))[1] == pytest.approx([0.1, 0.25, 0.4])
    assert {str(drawn.get_label()) for drawn in sampled.get_lines() if not str(drawn.get_label()).startswith("_")} == {
        "ippo",
        "random policy",
    }
    assert line(greedy, "ippo").get_color() == line(sampled, "ippo").get_color()
    assert legend_labels(figure) == ["vdn", "qmix", "ippo", "random policy"]


FOURTEEN = [
    *("iql", "vdn", "qmix", "qatten", "qplex", "qllm", "vmix"),
    *("riit", "vmix-qllm", "riit-qllm", "ippo", "mappo", "coma", "maddpg"),
]


def test_fourteen_algorithms_all_look_different() -> None:
    looks = looks_of(FOURTEEN)
    assert len({(look.colour, look.marker) for look in looks.values()}) == 14
    neighbours = list(looks.values())
    assert all(a.colour != b.colour and a.style != b.style for a, b in pairwise(neighbours))


@pytest.mark.parametrize("names", [FOURTEEN, [f"qllm-with-agents-permuted-{number}" for number in range(9)], ["x"]])
def test_the_legend_fits_however_many_and_long_the_names_are(names: list[str]) -> None:
    figure = learning_curves_figure(dict.fromkeys(names, TWO_SEEDS["vdn"]), task="toy", random_return=0.4, optimum=1.0)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.get_size_inches()[0] * figure.dpi


def test_in_a_crowd_no_bands_are_drawn_and_the_title_claims_none() -> None:
    figure = learning_curves_figure(dict.fromkeys(FOURTEEN, TWO_SEEDS["vdn"]), task="toy")
    assert len(panels(figure)[0].collections) == 0
    assert figure.get_suptitle().endswith("mean and single seeds")
    # Every seed is there all the same: two thin lines and a thick one for each.
    assert len(panels(figure)[0].get_lines()) == 3 * 14


def test_several_tasks_stand_below_each_other_with_the_same_looks() -> None:
    figure = panels_figure([Panel("a", TWO_SEEDS), Panel("b", {"qmix": TWO_SEEDS["qmix"]})])
    first, _, second, _ = figure.axes
    assert first.get_title(loc="left") == "a, greedy"
    assert second.get_title(loc="left") == "b, greedy"
    assert line(first, "qmix").get_color() == line(second, "qmix").get_color() == COLOURS[1]
    assert figure.get_suptitle().startswith("2 tasks: ")


def test_a_vector_picture_is_a_pdf_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        save_vector(tmp_path / name, learning_curves_figure(TWO_SEEDS, task="toy"))
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/CIDFontType2" in content  # TrueType, not the Type 3 fonts that publishers refuse
    assert b"/Type3" not in content
    assert content == (tmp_path / "b.pdf").read_bytes()


def test_legend_and_labels_lie_within_the_picture_and_cover_no_curve() -> None:
    figure = learning_curves_figure(TWO_SEEDS, task="toy", random_return=0.45, optimum=1.0)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    width, height = figure.get_size_inches() * figure.dpi
    assert legend.x0 >= 0
    assert legend.x1 <= width
    assert legend.y0 >= 0
    for axes in panels(figure):
        assert legend.y1 <= axes.xaxis.label.get_window_extent().y0 + 1
        assert float(axes.xaxis.label.get_fontsize()) >= 11
    assert figure.get_tightbbox().ymax * figure.dpi <= height + 1


def test_the_file_is_a_png_of_the_stated_size(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "learning_curves.png"
    save_learning_curves(path, learning_curves_figure(TWO_SEEDS, task="toy", random_return=0.4, optimum=1.0))
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1200, 560)


def test_a_picture_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        save_learning_curves(tmp_path / "file" / "x.png", learning_curves_figure(TWO_SEEDS, task="toy"))


def test_drawing_needs_neither_pyplot_nor_a_display() -> None:
    program = "import sys, qredit.marl.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], env={"DISPLAY": ""}, check=False).returncode == 0


def test_a_curve_is_read_from_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "environment_steps,seconds,episodes,updates,epsilon,loss,greedy_return,greedy_return_std\n"
        "0,0.0,0,0,1.0,,0.25,0.1\n"
        "1000,1.5,20,10,0.5,0.02,0.75,0.1\n"
    )
    found = read_curve(tmp_path)
    assert found.environment_steps.tolist() == [0, 1000]
    assert found.seconds.tolist() == [0.0, 1.5]
    assert found.greedy_return.tolist() == [0.25, 0.75]
    assert found.area == 0.5


def test_sampled_returns_are_read_where_the_policy_is_stochastic(tmp_path: Path) -> None:
    head = "environment_steps,seconds,greedy_return,sampled_return\n"
    (tmp_path / "metrics.csv").write_text(head + "0,0,0.5,0.25\n10,1,1.0,0.75\n")
    found = read_curve(tmp_path)
    assert found.sampled_return is not None
    assert found.sampled_return.tolist() == [0.25, 0.75]
    assert found.greedy_return.tolist() == [0.5, 1.0]
    (tmp_path / "metrics.csv").write_text(head + "0,0,0.5,\n10,1,1.0,\n")
    assert read_curve(tmp_path).sampled_return is None


def test_a_return_is_reached_at_the_first_evaluation_that_has_it() -> None:
    # Points at 0, 1000, 2000 steps and 0, 2, 4 s; nothing is interpolated.
    assert time_to(curve(0.1, 0.5, 0.9), 0.5) == Reached(1000, 2)
    assert time_to(curve(0.1, 0.5, 0.9), 0.6) == Reached(2000, 4)
    assert time_to(curve(0.1, 0.9, 0.2), 0.9) == Reached(1000, 2)
    assert time_to(curve(0.7, 0.5, 0.9), 0.6) == Reached(0, 0)
    assert time_to(curve(0.1, 0.5, 0.9), 0.95) is None


def test_a_seed_that_never_gets_there_counts_as_the_latest() -> None:
    there, late, never = curve(0.1, 0.5, 0.9), curve(0.1, 0.2, 0.9), curve(0.1, 0.2, 0.3)
    assert milestone([never, there, late], 0.5) == Milestone(2, 3, 2000, 4)
    assert milestone([never, never, there], 0.5) == Milestone(1, 3, None, None)
    # Of an even number the median lies between the middle two.
    assert milestone([there, late], 0.5) == Milestone(2, 2, 1500, 3)
    assert milestone([there, never], 0.5) == Milestone(1, 2, None, None)


@pytest.mark.parametrize(
    "content",
    [
        "environment_steps,seconds,greedy_return,sampled_return\n0,0,0.5,0.5\n10,1,0.5,\n",
        "environment_steps,seconds,greedy_return,sampled_return\n0,0,0.5,nan\n10,1,0.5,0.5\n",
        "",
        "environment_steps,seconds,greedy_return\n",
        "environment_steps,seconds\n0,0\n1,1\n",
        "environment_steps,seconds,greedy_return\n0,0,0.5\n",
        "environment_steps,seconds,greedy_return\n0,0,0.5\n10,1\n",
        "environment_steps,seconds,greedy_return\n0,0,0.5\n0,1,0.5\n",
        "environment_steps,seconds,greedy_return\n0,0,nan\n10,1,0.5\n",
        "environment_steps,seconds,greedy_return\n0,0,x\n10,1,0.5\n",
    ],
)
def test_a_damaged_curve_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(RunFolderError, match=r"damaged or of another version.*--resume"):
        read_curve(tmp_path)
