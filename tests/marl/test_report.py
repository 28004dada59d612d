"""Reading finished comparisons, scores, and what several of them show together, on numbers worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import ArtifactError, ConfigurationError, RunFolderError
from qredit.marl.finished import FinishedComparison, read_comparison
from qredit.marl.plots import COLOURS
from qredit.marl.profile_plot import profiles_figure
from qredit.marl.report import Report, make_report
from qredit.marl.report_tables import aggregate_table, report_markdown, report_tables, verdict_table
from qredit.marl.scales import Reference, scale_of, stored_references
from qredit.marl.statistics import Interval
from tests.marl.finished_folders import write_comparison

LBF = {"vdn": [0.4, 0.6, 0.5], "qllm": [0.8, 1.0, 0.9], "ippo": [0.5, 0.5, 0.5]}
SPREAD = {"vdn": [-60.0, -70.0, -65.0], "qllm": [-75.0, -90.0, -81.0], "qmix": [-50.0, -50.0, -50.0]}


@pytest.fixture
def lbf(tmp_path: Path) -> FinishedComparison:
    return read_comparison(write_comparison(tmp_path / "lbf", LBF, task="lbf", random_return=0.2, optimum=1.0))


@pytest.fixture
def spread(tmp_path: Path) -> FinishedComparison:
    return read_comparison(write_comparison(tmp_path / "spread", SPREAD, task="spread", random_return=-80.0))


@pytest.fixture
def report(lbf: FinishedComparison, spread: FinishedComparison) -> Report:
    return make_report([lbf, spread], stored={})


def test_a_comparison_is_made_anew_from_its_trainings(lbf: FinishedComparison) -> None:
    assert (lbf.task, lbf.algorithms, lbf.comparison.seeds) == ("lbf", ("vdn", "qllm", "ippo"), (0, 1, 2))
    assert (lbf.random_return, lbf.optimum) == (0.2, 1.0)
    row = lbf.comparison.row("qllm")
    assert row.return_by_seed == {0: 0.8, 1: 1.0, 2: 0.9}
    assert row.return_against_vdn is not None
    assert row.return_against_vdn.verdict == "better"
    assert row.improvement_over_vdn is not None
    assert row.improvement_over_vdn.value == 1.0
    assert lbf.settings["qllm"]["algorithm"] == "qllm"
    assert lbf.environment == {"adapter": "lbf", "id": "Foraging-8x8-2p-2f-v3"}
    assert lbf.command is None


def test_a_comparison_without_records_can_still_be_read(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "x", {"vdn": [1.0]})
    for record in folder.rglob("run.json"):
        record.unlink()
    found = read_comparison(folder)
    assert (found.settings, found.environment, found.mixers, found.command) == ({"vdn": {}}, {}, {}, None)


def test_a_comparison_that_is_not_finished_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"comparison\.json"):
        read_comparison(tmp_path)
    folder = write_comparison(tmp_path / "x", {"vdn": [1.0, 2.0]})
    (folder / "vdn-seed1" / "result.json").unlink()
    with pytest.raises(ArtifactError, match="vdn-seed1"):
        read_comparison(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": []},
        {"seeds": ["x"]},
        {"task": "../../elsewhere"},
        {"task": None},
        {"rows": []},
        {"rows": [{"name": "random policy", "mean_return": 0}]},
        {"rows": [{"name": "vdn", "mean_return": 0}]},
        {"rows": [{"name": "random policy", "mean_return": 0}, {"name": "../vdn", "mean_return": 0}]},
        {"rows": [5]},
        {"picture": "/etc/passwd"},
        {"environment_steps": "many"},
    ],
)
def test_a_damaged_comparison_is_one_clear_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write_comparison(tmp_path / "x", {"vdn": [1.0]}) / "comparison.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(RunFolderError, match=r"damaged or of another version.*--resume"):
        read_comparison(path.parent)


def test_scores_run_from_the_random_policy_to_the_optimum(lbf: FinishedComparison) -> None:
    scale = scale_of(lbf, given={}, stored={"lbf": Reference(7.0, "never looked at")})
    assert (scale.score(0.2), scale.score(0.6), scale.score(1.0), scale.score(0.0)) == pytest.approx((0, 0.5, 1, -0.25))
    assert scale.source == "the task's optimum"


def test_without_an_optimum_the_stored_reference_counts_and_a_given_one_comes_first(spread: FinishedComparison) -> None:
    stored = {"spread": Reference(-40.0, "MAPPO, 5M steps")}
    assert scale_of(spread, given={}, stored=stored).source == "MAPPO, 5M steps"
    given = scale_of(spread, given={"spread": -30.0}, stored=stored)
    assert (given.reference, given.source) == (-30.0, "as given")


def test_where_nothing_is_known_the_best_algorithm_counts_and_the_report_says_so(report: Report) -> None:
    scale = report.scales[1]
    assert (scale.reference, scale.random_return) == (-50.0, -80.0)
    assert scale.source == "no reference is known: best mean final return in this comparison, qmix"
    assert any("no reference is known" in note for note in aggregate_table(report).notes)


@pytest.mark.parametrize("reference", [-80.0, -100.0, float("nan"), float("inf")])
def test_a_reference_must_lie_above_the_random_policy(spread: FinishedComparison, reference: float) -> None:
    with pytest.raises(ConfigurationError, match=r"not above the random policy's return, -80.0.*--reference spread="):
        scale_of(spread, given={"spread": reference}, stored={})


def test_stored_references_have_value_and_source(tmp_path: Path) -> None:
    assert all(one.source for one in stored_references().values())
    path = tmp_path / "references.yaml"
    path.write_text("spread:\n  value: -40\n  source: somewhere\n")
    assert stored_references(path) == {"spread": Reference(-40.0, "somewhere")}


def test_only_common_algorithms_are_put_together_and_the_others_are_named(report: Report) -> None:
    assert [row.name for row in report.rows] == ["vdn", "qllm"]
    assert report.left_out == {"ippo": ("spread",), "qmix": ("lbf",)}
    notes = aggregate_table(report).notes
    assert "Left out: ippo, which is not there on spread." in notes


def test_scores_aggregates_and_verdicts(report: Report) -> None:
    vdn, qllm = report.rows
    # Spread, 0 at -80 and 1 at -50: -60, -70, -65 become 2/3, 1/3, 1/2.
    assert vdn.final_return.scores["spread"] == pytest.approx({0: 2 / 3, 1: 1 / 3, 2: 0.5})
    # LBF, 0 at 0.2 and 1 at 1: 0.25, 0.5, 0.375. Of six scores one goes at either end.
    assert vdn.final_return.interquartile_mean.value == pytest.approx((1 / 3 + 0.375 + 0.5 + 0.5) / 4)
    assert vdn.final_return.improvement_over_vdn is None
    assert qllm.final_return.improvement_over_vdn is not None
    # Always better on LBF, never on spread.
    assert qllm.final_return.improvement_over_vdn.value == 0.5
    assert qllm.final_return.improvement_over_vdn.interval == Interval(0.5, 0.5)
    verdicts = {task: found.verdict for task, found in qllm.final_return.against_vdn.items()}
    assert verdicts == {"lbf": "better", "spread": "worse"}
    # Curves are straight lines from the random policy: half the score.
    assert qllm.area.scores["lbf"][0] == pytest.approx(qllm.final_return.scores["lbf"][0] / 2)


def test_profiles_cover_scores_below_0_and_above_1(report: Report) -> None:
    qllm = report.rows[1].profile
    # Spread -90 becomes -1/3; the best on LBF is 1.
    assert (qllm.thresholds[0], qllm.thresholds[-1]) == pytest.approx((-1 / 3, 1))
    assert qllm.share[-1] == 0
    assert qllm.low is not None


def test_tables_hold_every_task_and_what_they_show_together(report: Report) -> None:
    titles = [table.title for table in report_tables(report)]
    assert [title.split(":")[0] for title in titles[:2]] == ["lbf", "spread"]
    assert len(titles) == 4
    assert verdict_table(report).rows == (
        ("qllm", "final return", "better (+0.40)", "worse (-17.0)"),
        ("qllm", "area", "better (+0.20)", "worse (-8.50)"),
    )
    rows = aggregate_table(report).rows
    assert rows[0][0] == "vdn"
    assert rows[0][2] == "-"
    assert rows[1][2] == "0.50 [0.50, 0.50]"
    assert rows[0][-2:] == ("0.38", "0.50")


def test_two_seeds_give_no_interval_and_the_notes_say_why(tmp_path: Path) -> None:
    found = [
        read_comparison(write_comparison(tmp_path / task, {"vdn": [0.1, 0.2], "qmix": [0.3, 0.4]}, task=task))
        for task in ("a", "b")
    ]
    report = make_report(found)
    assert all(row.final_return.interquartile_mean.interval is None for row in report.rows)
    table = aggregate_table(report)
    assert "No intervals: that takes three seeds on every task." in table.notes
    assert not any("bootstrap" in note for note in table.notes)


def test_without_vdn_there_is_no_verdict_and_the_table_says_so(tmp_path: Path) -> None:
    found = [read_comparison(write_comparison(tmp_path / t, {"ippo": [0.1, 0.2]}, task=t)) for t in ("a", "b")]
    table = verdict_table(make_report(found))
    assert table.rows == ()
    assert "vdn is not in all" in table.notes[0]


def test_one_comparison_has_its_own_table_only(lbf: FinishedComparison) -> None:
    assert len(report_tables(make_report([lbf]))) == 1


def test_the_time_to_a_return_is_shown_where_it_was_asked_for(lbf: FinishedComparison) -> None:
    (table,) = report_tables(make_report([lbf], thresholds={"lbf": 0.85}))
    assert [column.title for column in table.columns[-3:]] == ["reach 0.85", "steps until then", "seconds until then"]
    cells = {row[0]: row[-3:] for row in table.rows}
    assert cells["vdn"] == ("0 of 3", "-", "-")
    # Evaluations at 0, 250, ..., 1000 steps. Seed 1 (to 1.0): 0.8 at 750, so 1000; seed 2 (to 0.9): 1000; seed 0 never.
    assert cells["qllm"] == ("2 of 3", "1,000", "10")
    assert cells["random policy"] == ("-", "-", "-")
    assert any("median over all seeds" in note for note in table.notes)


def test_json_and_csv_are_complete_and_name_no_path(report: Report, tmp_path: Path) -> None:
    text = json.dumps(report.to_json(), allow_nan=False)
    data = json.loads(text)
    assert str(tmp_path) not in text
    assert data["comparisons"] == ["lbf", "spread"]
    assert [scale["task"] for scale in data["scales"]] == ["lbf", "spread"]
    assert data["left_out"] == {"ippo": ["spread"], "qmix": ["lbf"]}
    assert data["rows"][1]["final_return"]["against_vdn"]["spread"]["verdict"] == "worse"
    assert len(data["rows"][0]["profile"]["share"]) == len(data["rows"][0]["profile"]["thresholds"])
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(lines) == 2 * 2 * 3
    assert (lines[3]["algorithm"], lines[3]["task"], lines[3]["seed"]) == ("vdn", "spread", "0")
    assert float(lines[3]["final_score"]) == pytest.approx(2 / 3)


def test_markdown_holds_tables_and_pictures(report: Report) -> None:
    text = report_markdown(report, pictures=["profiles.png"])
    assert text.count("\n| --- |") == 4
    assert "![profiles](profiles.png)" in text


def test_the_picture_of_the_profiles_draws_every_algorithm(report: Report) -> None:
    figure = profiles_figure(report, names=["ippo", "vdn", "qllm"])
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["vdn", "qllm"]
    # The looks are those of the whole list, so that pictures agree.
    assert [line.get_color() for line in lines.values()] == list(COLOURS[1:3])
    assert len(axes.collections) == 2
    assert "95 % bootstrap interval" in figure.get_suptitle()
    assert "0: random policy" in axes.get_xlabel()


@pytest.mark.parametrize(("tasks", "message"), [([], "there are none"), (["a", "a"], "two of them are of task `a`")])
def test_comparisons_must_be_of_different_tasks(tmp_path: Path, tasks: Sequence[str], message: str) -> None:
    found = [
        read_comparison(write_comparison(tmp_path / str(number), {"vdn": [1.0]}, task=task))
        for number, task in enumerate(tasks)
    ]
    with pytest.raises(ConfigurationError, match=message):
        make_report(found)


def test_comparisons_must_have_an_algorithm_in_common(tmp_path: Path) -> None:
    found = [read_comparison(write_comparison(tmp_path / name, {name: [1.0]}, task=name)) for name in ("vdn", "qmix")]
    with pytest.raises(ConfigurationError, match="no algorithm in common"):
        make_report(found)


def test_a_task_that_nobody_compared_is_refused(lbf: FinishedComparison) -> None:
    with pytest.raises(ConfigurationError, match="task `lbff`: the comparisons are of lbf"):
        make_report([lbf], thresholds={"lbff": 0.4})
