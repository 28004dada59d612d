"""Rows, JSON, CSV and tables of a comparison, from trainings with numbers worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qredit.errors import ArtifactError, RunFolderError
from qredit.marl.aggregate import Estimate
from qredit.marl.comparison import Comparison, Training, algorithm_row, read_training, reference_row, rows_of
from qredit.marl.curves import LearningCurve
from qredit.marl.placebos import placebo_verdicts
from qredit.marl.statistics import RANGES, Interval
from qredit.marl.tables import Table, comparison_table


def training(final: float, *, area: float = 0.5, seconds: float = 10.0, share: float | None = None) -> Training:
    curve = LearningCurve(np.array([0.0, 1000.0]), np.array([0.0, seconds]), np.array([0.0, final]))
    return Training(final, area, 1000, seconds, share, curve)


VDN = {0: training(0.8, area=0.5), 1: training(0.6, area=0.4)}
QLLM = {0: training(0.9, area=0.7, share=0.9), 1: training(0.7, area=0.6, seconds=20.0, share=0.8)}


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    rows = (
        reference_row("random policy", 0.45),
        algorithm_row("vdn", VDN, None),
        algorithm_row("qllm", QLLM, VDN),
        reference_row("optimum", 1.0),
    )
    return Comparison("lbf-toy", (0, 1), 250_000, 2, 100, rows, tmp_path, tmp_path / "learning_curves.png")


def test_a_row_holds_means_and_every_seed() -> None:
    row = algorithm_row("qllm", QLLM, VDN)
    assert row.return_by_seed == {0: 0.9, 1: 0.7}
    assert row.mean_return == pytest.approx(0.8)
    assert row.area_by_seed == {0: 0.7, 1: 0.6}
    assert row.mean_area == pytest.approx(0.65)
    assert row.seconds == 15.0
    assert row.vdn_difference == pytest.approx(0.85)
    assert row.return_interval is None


def test_a_row_stands_beside_vdn_seed_by_seed() -> None:
    row = algorithm_row("qllm", QLLM, VDN)
    assert row.return_against_vdn is not None
    assert row.area_against_vdn is not None
    # Returns 0.9, 0.7 overlap with 0.8, 0.6; areas 0.7, 0.6 lie above 0.5, 0.4.
    assert row.return_against_vdn.verdict == "no difference shown"
    assert row.return_against_vdn.by_seed == pytest.approx({0: 0.1, 1: 0.1})
    assert row.area_against_vdn.verdict == "better"
    assert row.area_against_vdn.mean == pytest.approx(0.2)


def test_a_row_says_how_probable_it_is_to_be_higher_than_vdn() -> None:
    row = algorithm_row("qllm", QLLM, VDN)
    # Returns 0.9, 0.7 against 0.8, 0.6: only 0.7 against 0.8 is lower. Areas 0.7, 0.6 lie above 0.5, 0.4.
    assert row.improvement_over_vdn == Estimate(0.75, None)
    assert row.area_improvement_over_vdn == Estimate(1.0, None)


def test_three_seeds_of_both_give_that_probability_an_interval() -> None:
    vdn = {**VDN, 2: training(0.7)}
    row = algorithm_row("qllm", {**QLLM, 2: training(0.6)}, vdn)
    assert row.improvement_over_vdn is not None
    # 0.9 is above all three; 0.7 above 0.6 and level with 0.7; 0.6 level with 0.6: 3 + 1.5 + 0.5 of 9.
    assert row.improvement_over_vdn.value == pytest.approx(5 / 9)
    assert row.improvement_over_vdn.interval is not None
    assert row.improvement_over_vdn.interval.low < 5 / 9 < row.improvement_over_vdn.interval.high


def stochastic(final: float, sampled: float) -> Training:
    found = training(final)
    return replace(found, curve=replace(found.curve, sampled_return=np.array([0.0, sampled])))


def test_sampled_returns_stand_beside_greedy_ones_and_change_none_of_them() -> None:
    greedy = algorithm_row("ippo", VDN, VDN)
    both = algorithm_row("ippo", {0: stochastic(0.8, 0.5), 1: stochastic(0.6, 0.4)}, VDN)
    assert both.sampled_by_seed == {0: 0.5, 1: 0.4}
    assert both.mean_sampled == pytest.approx(0.45)
    assert both.sampled_interval is None
    assert both.return_by_seed == greedy.return_by_seed
    assert both.return_against_vdn == greedy.return_against_vdn
    assert greedy.sampled_by_seed == {}
    assert greedy.mean_sampled is None


def test_table_and_csv_show_sampled_returns_where_there_are_some(comparison: Comparison) -> None:
    assert "sampled_return" not in comparison.to_csv()
    ippo = algorithm_row("ippo", {0: stochastic(0.8, 0.5), 1: stochastic(0.6, 0.4)}, VDN)
    with_ippo = replace(comparison, rows=(*comparison.rows, ippo))
    table = comparison_table(with_ippo)
    place = [column.title for column in table.columns].index("sampled return")
    assert [row[place] for row in table.rows] == ["-", "-", "-", "-", "0.45"]
    assert any("actions drawn from the policy" in note for note in table.notes)
    rows = list(csv.DictReader(io.StringIO(with_ippo.to_csv())))
    assert [row["sampled_return"] for row in rows] == ["", "", "", "", "", "", "0.5", "0.4"]


def test_rows_hold_the_references_around_the_algorithms() -> None:
    trainings = {"qllm": QLLM, "vdn": VDN}
    found = rows_of(trainings, random_return=0.1, optimum=1.0)
    assert [row.name for row in found] == ["random policy", "qllm", "vdn", "optimum"]
    assert found[1].return_against_vdn is not None
    assert found[2].return_against_vdn is None
    assert [row.name for row in rows_of({"qllm": QLLM}, random_return=0.1, optimum=None)] == ["random policy", "qllm"]


def test_vdn_itself_stands_beside_nothing() -> None:
    row = algorithm_row("vdn", VDN, None)
    assert row.return_against_vdn is None
    assert row.area_against_vdn is None
    assert row.vdn_difference is None


def test_three_seeds_have_an_interval() -> None:
    row = algorithm_row("vdn", {**VDN, 2: training(0.7)}, None)
    assert row.return_interval == Interval(0.6, 0.8)


def test_rows_are_found_by_name(comparison: Comparison) -> None:
    assert comparison.row("optimum").mean_return == 1.0


def test_json_is_complete_and_names_no_path(comparison: Comparison, tmp_path: Path) -> None:
    text = json.dumps(comparison.to_json())
    data = json.loads(text)
    assert data["schema"] == 1
    assert data["seeds"] == [0, 1]
    assert data["environment_steps"] == 250_000
    assert data["picture"] == "learning_curves.png"
    assert [row["name"] for row in data["rows"]] == ["random policy", "vdn", "qllm", "optimum"]
    assert data["rows"][2]["return_by_seed"] == {"0": 0.9, "1": 0.7}
    assert data["rows"][2]["return_against_vdn"]["verdict"] == "no difference shown"
    assert str(tmp_path) not in text


def test_csv_has_a_line_per_training_and_per_reference(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    assert [(row["name"], row["seed"], float(row["final_return"])) for row in rows] == [
        ("random policy", "", 0.45),
        ("vdn", "0", 0.8),
        ("vdn", "1", 0.6),
        ("qllm", "0", 0.9),
        ("qllm", "1", 0.7),
        ("optimum", "", 1.0),
    ]
    assert float(rows[4]["area_under_curve"]) == 0.6


def test_the_table_shows_both_seeds_and_the_verdicts(comparison: Comparison) -> None:
    table = comparison_table(comparison)
    assert table.title == "lbf-toy: 250,000 environment steps per training, seeds 0, 1"
    assert table.rows == (
        ("random policy", "0.45", "-", "0.45", "-", "-", "-"),
        ("vdn", "0.70", "0.80, 0.60", "0.45", "0.50, 0.40", "-", "10"),
        ("qllm", "0.80", "0.90, 0.70", "0.65", "0.70, 0.60", "85%", "15"),
        ("optimum", "1.00", "-", "1.00", "-", "-", "-"),
    )
    assert table.verdicts == ("qllm beside vdn: final return +0.10, no difference shown; area +0.20, better",)
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_notes_say_what_two_seeds_can_show(comparison: Comparison) -> None:
    notes = " ".join(comparison_table(comparison).notes)
    assert RANGES in notes
    assert "bootstrap" not in notes
    assert "Random policy: 100 episodes." in notes
    assert "up to 2 trainings at the same time" in notes


def test_the_table_shows_intervals_from_three_seeds_on(comparison: Comparison) -> None:
    vdn = {**VDN, 2: training(0.7)}
    three = replace(comparison, seeds=(0, 1, 2), rows=(algorithm_row("vdn", vdn, None),))
    table = comparison_table(three)
    assert table.rows[0][1] == "0.70 [0.60, 0.80]"
    assert "[low, high]: 95 % bootstrap interval over 3 seeds." in table.notes


def test_two_seeds_show_no_share_of_pairs(comparison: Comparison) -> None:
    qllm = {seed: training(0.9 - 0.1 * seed, area=0.7 - 0.1 * seed) for seed in (0, 1, 2)}
    rows = (algorithm_row("vdn", {**VDN, 2: training(0.7)}, None), algorithm_row("qllm", qllm, VDN))
    for seeds, expected in (((0, 1), False), ((0, 1, 2), True)):
        table = comparison_table(replace(comparison, seeds=seeds, rows=rows))
        assert ("P(return > vdn)" in [column.title for column in table.columns]) == expected
        assert any(note.startswith("P(return > vdn)") for note in table.notes) == expected


def test_a_credit_function_stands_beside_its_placebos(comparison: Comparison) -> None:
    # Areas of QLLM are 0.7 and 0.6; returns 0.9 and 0.7.
    lower = {0: training(0.5, area=0.5), 1: training(0.6, area=0.4)}
    equal = {0: training(0.8, area=0.5), 1: training(0.8, area=0.3)}
    rows = (
        *comparison.rows,
        algorithm_row("qllm+placebo=uniform", lower, VDN),
        algorithm_row("qllm+placebo=random", equal, VDN),
        algorithm_row("vdn+placebo=of-another", equal, VDN),
    )
    verdicts = comparison_table(replace(comparison, rows=rows[:-1])).verdicts
    assert verdicts[-2:] == (
        "qllm beside its placebos, final return: better: uniform; no difference shown: random. "
        "That its credit helps is not shown.",
        "qllm beside its placebos, area: better: uniform, random. That its credit helps is shown.",
    )
    assert len(verdicts) == 5
    assert placebo_verdicts(comparison.rows) == ()
    assert [text.partition(" ")[0] for text in placebo_verdicts(rows)] == ["vdn", "vdn", "qllm", "qllm"]


def test_with_many_seeds_the_table_leaves_single_trainings_to_csv_and_picture(comparison: Comparison) -> None:
    many = {seed: training(0.7) for seed in range(4)}
    four = replace(comparison, seeds=(0, 1, 2, 3), rows=(algorithm_row("vdn", many, None),))
    table = comparison_table(four)
    assert [column.title for column in table.columns] == [
        "algorithm",
        "final return",
        "area under curve",
        "training [s]",
    ]
    assert any("`comparison.csv`" in note for note in table.notes)
    assert four.to_csv().count("\nvdn,") == 4


@pytest.mark.parametrize(
    ("value", "shown"), [(0.456, "0.46"), (-0.001, "0.00"), (-51.34, "-51.3"), (-169.7, "-170"), (9.999, "10.0")]
)
def test_numbers_have_as_many_digits_as_they_can_bear(comparison: Comparison, value: float, shown: str) -> None:
    table = comparison_table(replace(comparison, rows=(reference_row("random policy", value),)))
    assert table.rows[0][1] == shown


def test_markdown_is_a_table_with_notes_below(comparison: Comparison) -> None:
    lines = comparison_table(comparison).to_markdown().splitlines()
    assert lines[0].startswith("**lbf-toy")
    assert lines[2].startswith("| algorithm | final return | by seed |")
    assert lines[3] == "| --- |" + " ---: |" * 6
    assert lines[5].startswith("| vdn | 0.70 | 0.80, 0.60 |")
    assert lines[9].startswith("- ")


def test_markdown_of_an_empty_table_is_still_one() -> None:
    assert Table("t", (), (), (), ()).to_markdown().startswith("**t**")


def write_run(folder: Path, **changes: object) -> Path:
    result = {"final_return": 0.9, "area_under_curve": 0.5, "environment_steps": 1000, "seconds": 12.5, **changes}
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "metrics.csv").write_text("environment_steps,seconds,greedy_return\n0,0,0.1\n1000,12.5,0.9\n")
    return folder


def test_a_training_is_read_from_its_folder(tmp_path: Path) -> None:
    found = read_training(write_run(tmp_path / "run", vdn_difference=0.25))
    assert (found.final_return, found.area_under_curve, found.environment_steps) == (0.9, 0.5, 1000)
    assert (found.seconds, found.vdn_difference) == (12.5, 0.25)
    assert found.curve.greedy_return.tolist() == [0.1, 0.9]
    assert read_training(write_run(tmp_path / "other")).vdn_difference is None


@pytest.mark.parametrize("changes", [{"final_return": None}, {"seconds": "soon"}, {"area_under_curve": []}])
def test_a_damaged_result_is_one_clear_error(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(RunFolderError, match=r"damaged or of another version.*only this training is repeated"):
        read_training(write_run(tmp_path / "run", **changes))


def test_a_missing_result_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No such file"):
        read_training(tmp_path)
