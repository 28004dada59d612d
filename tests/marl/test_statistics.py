"""Areas, intervals, paired differences and verdicts, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.statistics import (
    RANGES,
    Interval,
    area_under_curve,
    band_over_seeds,
    bootstrap_interval,
    common_grid,
    on_grid,
    paired_difference,
)

numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)
increasing = st.lists(st.integers(0, 10_000_000), min_size=2, max_size=40, unique=True).map(sorted)


def test_area_is_the_time_average_by_trapezoids() -> None:
    # Trapezoids: (0+1)/2 * 100 + (1+1)/2 * 300 = 50 + 300 = 350, over 400 steps.
    assert area_under_curve([0, 100, 400], [0.0, 1.0, 1.0]) == pytest.approx(350 / 400)


def test_area_does_not_depend_on_where_the_steps_start() -> None:
    assert area_under_curve([1000, 1100, 1400], [0, 1, 1]) == area_under_curve([0, 100, 400], [0, 1, 1])


@given(steps=increasing, value=numbers)
def test_area_of_a_constant_is_the_constant(steps: list[int], value: float) -> None:
    assert area_under_curve(steps, [value] * len(steps)) == pytest.approx(value, rel=1e-12)


@given(steps=increasing, data=st.data())
def test_area_lies_between_the_lowest_and_the_highest_value(steps: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(numbers, min_size=len(steps), max_size=len(steps)))
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= area_under_curve(steps, values) <= max(values) + slack


@given(steps=increasing, data=st.data())
def test_area_is_linear_in_the_values(steps: list[int], data: st.DataObject) -> None:
    rows = st.lists(numbers, min_size=len(steps), max_size=len(steps))
    a, b = np.array(data.draw(rows)), np.array(data.draw(rows))
    together = area_under_curve(steps, 2 * a + b)
    assert together == pytest.approx(2 * area_under_curve(steps, a) + area_under_curve(steps, b), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([0], [1.0]),
        ([0, 10], [1.0]),
        ([0, 0], [1.0, 2.0]),
        ([10, 0], [1.0, 2.0]),
        ([0, 10], [1.0, float("nan")]),
        ([], []),
    ],
)
def test_area_refuses_what_is_no_curve(steps: list[int], values: list[float]) -> None:
    with pytest.raises(ValueError, match="curve"):
        area_under_curve(steps, values)


def test_fewer_than_three_seeds_have_no_interval() -> None:
    assert bootstrap_interval([0.1]) is None
    assert bootstrap_interval([0.1, 0.9]) is None


def test_interval_of_three_seeds_reaches_from_the_lowest_to_the_highest() -> None:
    # All three resampled alike has probability 1/27 = 3.7 %, more than the 2.5 % of each tail.
    assert bootstrap_interval([3.0, 1.0, 2.0]) == Interval(1.0, 3.0)


def test_interval_of_equal_seeds_has_no_width() -> None:
    assert bootstrap_interval([0.7, 0.7, 0.7, 0.7]) == Interval(0.7, 0.7)


def test_interval_narrows_as_the_root_of_the_number_of_seeds() -> None:
    values = np.tile([-1.0, 1.0], 200)
    interval = bootstrap_interval(values)
    assert interval is not None
    # The mean of 400 values of standard deviation 1 has standard error 1/20.
    assert interval.high == pytest.approx(1.96 / 20, rel=0.1)
    assert interval.low == pytest.approx(-1.96 / 20, rel=0.1)


@given(values=st.lists(numbers, min_size=3, max_size=6), data=st.data())
def test_interval_does_not_depend_on_the_order_of_the_seeds(values: list[float], data: st.DataObject) -> None:
    interval = bootstrap_interval(values)
    assert interval == bootstrap_interval(data.draw(st.permutations(values)))
    assert interval is not None
    assert min(values) <= interval.low <= interval.high <= max(values)


def test_band_of_one_seed_is_none_and_of_two_is_called_a_range() -> None:
    assert band_over_seeds([[1.0, 2.0]]) is None
    band = band_over_seeds([[1.0, 5.0], [3.0, 4.0]])
    assert band is not None
    assert band.low.tolist() == [1.0, 4.0]
    assert band.high.tolist() == [3.0, 5.0]
    assert band.label == "range over 2 seeds"


def test_band_of_three_seeds_is_an_interval_at_every_point() -> None:
    band = band_over_seeds([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    assert band is not None
    assert band.low.tolist() == [1.0, 5.0]
    assert band.high.tolist() == [3.0, 5.0]
    assert band.label == "95 % bootstrap interval over 3 seeds"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ((0.9, 0.8), "better"),
        ((0.2, 0.1), "worse"),
        ((0.9, 0.6), "no difference shown"),
        ((0.9, 0.7), "no difference shown"),  # ranges that touch overlap
        ((0.7, 0.5), "no difference shown"),
    ],
)
def test_two_seeds_are_judged_by_the_overlap_of_their_ranges(ours: tuple[float, float], verdict: str) -> None:
    difference = paired_difference(dict(enumerate(ours)), {0: 0.7, 1: 0.5})
    assert difference.verdict == verdict
    assert difference.interval is None
    assert difference.basis == RANGES
    assert difference.mean == pytest.approx((ours[0] - 0.7 + ours[1] - 0.5) / 2)


def test_one_seed_shows_nothing_however_large_the_difference() -> None:
    difference = paired_difference({0: 100.0}, {0: 0.0})
    assert difference.verdict == "no difference shown"
    assert difference.basis == "one seed shows nothing"


def test_pairing_by_seed_shows_what_unpaired_ranges_hide() -> None:
    baseline = {0: 0.1, 1: 0.5, 2: 0.9}
    difference = paired_difference({2: 0.95, 0: 0.15, 1: 0.55}, baseline)
    assert difference.verdict == "better"
    assert difference.by_seed == pytest.approx({0: 0.05, 1: 0.05, 2: 0.05})
    assert difference.mean == pytest.approx(0.05)


def test_three_seeds_with_differences_of_both_signs_show_nothing() -> None:
    difference = paired_difference({0: 1.0, 1: 2.0, 2: 3.0}, {0: 2.0, 1: 2.0, 2: 2.0})
    assert difference.verdict == "no difference shown"
    assert difference.interval == Interval(-1.0, 1.0)


def test_equal_algorithms_are_not_different() -> None:
    values = {0: 0.5, 1: 0.7, 2: 0.9}
    assert paired_difference(values, values).verdict == "no difference shown"


def test_only_common_seeds_are_compared() -> None:
    assert paired_difference({0: 1.0, 1: 2.0, 7: 99.0}, {0: 0.0, 1: 0.0, 8: -99.0}).by_seed == {0: 1.0, 1: 2.0}
    with pytest.raises(ValueError, match="share no seed"):
        paired_difference({0: 1.0}, {1: 1.0})


@given(data=st.data(), n=st.integers(1, 4))
def test_swapping_the_two_algorithms_swaps_the_verdict(data: st.DataObject, n: int) -> None:
    rows = st.lists(numbers, min_size=n, max_size=n)
    a, b = dict(enumerate(data.draw(rows))), dict(enumerate(data.draw(rows)))
    opposite = {"better": "worse", "worse": "better", "no difference shown": "no difference shown"}
    assert paired_difference(a, b).verdict == opposite[paired_difference(b, a).verdict]


def test_common_grid_keeps_every_point_within_the_part_that_all_cover() -> None:
    assert common_grid([[0, 10, 20], [5, 10, 30]]).tolist() == [5, 10, 20]
    assert common_grid([[0, 10], [2, 8]], points=3).tolist() == [2, 5, 8]


def test_curves_without_a_common_part_have_no_common_grid() -> None:
    assert common_grid([[0, 1], [5, 6]]).tolist() == []
    assert common_grid([[0, 1], [5, 6]], points=9).tolist() == []


@pytest.mark.parametrize("axes", [[], [[]]])
def test_common_grid_refuses_no_curves(axes: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="curve"):
        common_grid(axes)


def test_on_grid_interpolates_linearly_and_never_extrapolates() -> None:
    assert on_grid(np.array([0.0, 2.5, 10.0]), [0, 5, 10], [0.0, 1.0, 3.0]).tolist() == [0.0, 0.5, 3.0]
    with pytest.raises(ValueError, match="extrapolated"):
        on_grid(np.array([0.0, 11.0]), [0, 5, 10], [0.0, 1.0, 3.0])


@given(steps=increasing, data=st.data())
def test_on_its_own_abscissae_a_curve_stays_as_it_is(steps: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(numbers, min_size=len(steps), max_size=len(steps)))
    assert on_grid(common_grid([steps]), steps, values).tolist() == values
