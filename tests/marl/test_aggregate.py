"""Probability of improvement, interquartile mean and profiles, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.aggregate import (
    Estimate,
    interquartile_mean,
    probability_of_improvement,
    run_score_distribution,
)
from qredit.marl.statistics import Interval

two = st.lists(st.integers(-9, 9), min_size=1, max_size=2)
few = st.lists(st.integers(-9, 9), min_size=3, max_size=5)


def test_improvement_counts_pairs_and_halves_ties() -> None:
    # 1 against (1, 0): a tie and a win; 2 against them: two wins. (0.5 + 1 + 1 + 1) / 4.
    assert probability_of_improvement([[1, 2]], [[1, 0]]) == Estimate(3.5 / 4, None)


def test_improvement_is_the_mean_over_tasks_however_many_seeds_each_has() -> None:
    # First task: 1 of 1 pair. Second: 1 > 0 only, of (0, 1) against (0, 2): 0.5 + 0 + 1 + 0 = 1.5 of 4.
    assert probability_of_improvement([[5], [0, 1]], [[4], [0, 2]]).value == pytest.approx((1 + 1.5 / 4) / 2)


def test_seeds_that_lie_apart_give_a_certain_looking_interval() -> None:
    assert probability_of_improvement([[4, 5, 6]], [[1, 2, 3]]) == Estimate(1.0, Interval(1.0, 1.0))


def test_the_interval_of_an_improvement_resamples_both_algorithms() -> None:
    # Ours has one seed of three above all of theirs: how often it is drawn, 0 to 3 times of 3, gives 0, 1/3, 2/3, 1,
    # with probabilities 8/27, 12/27, 6/27 and 1/27: both tails are heavier than 2.5 %.
    found = probability_of_improvement([[0, 0, 2]], [[1, 1, 1]])
    assert found.value == pytest.approx(1 / 3)
    assert found.interval == Interval(0.0, 1.0)


@given(ours=few, theirs=few)
def test_swapping_the_algorithms_turns_the_probability_round(ours: list[int], theirs: list[int]) -> None:
    there, back = probability_of_improvement([ours], [theirs]), probability_of_improvement([theirs], [ours])
    assert there.value + back.value == pytest.approx(1)
    assert there.interval is not None
    assert 0 <= there.interval.low <= there.interval.high <= 1


@given(ours=few, theirs=few, data=st.data())
def test_no_interval_depends_on_the_order_of_the_seeds(ours: list[int], theirs: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(ours))
    assert probability_of_improvement([ours], [theirs]) == probability_of_improvement([shuffled], [theirs])
    assert interquartile_mean([ours]) == interquartile_mean([shuffled])


@given(ours=two, theirs=few)
def test_two_seeds_on_one_of_the_tasks_are_no_interval(ours: list[int], theirs: list[int]) -> None:
    assert probability_of_improvement([ours], [theirs]).interval is None
    assert interquartile_mean([ours, theirs]).interval is None
    profile = run_score_distribution([ours, theirs], [0.0])
    assert profile.low is None
    assert profile.high is None


def test_the_interquartile_mean_leaves_a_quarter_off_either_end() -> None:
    # Of eight scores two go at either end: 2, 3, 4, 5 stay.
    found = interquartile_mean([[0, 1, 2, 3], [4, 5, 6, 100]])
    assert found.value == pytest.approx(3.5)
    assert found.interval is not None
    assert found.interval.low < 3.5 < found.interval.high
    # Of five, one (a quarter rounded down) goes at either end.
    assert interquartile_mean([[0, 1, 2, 3, 99]]).value == pytest.approx(2)


def test_values_of_the_reference_implementation() -> None:
    """`rliable` 1.2.0 on these scores, 5 seeds by 3 tasks: 0.82444, and 0.56 with the interval 0.33 to 0.79."""
    ours = np.random.default_rng(0).normal(1, 1, (5, 3)).T
    theirs = np.random.default_rng(1).normal(0.5, 1, (5, 3)).T
    assert interquartile_mean(list(ours)).value == pytest.approx(0.8244417526)
    found = probability_of_improvement(list(ours), list(theirs))
    assert found.value == pytest.approx(0.56)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.33, 0.78), abs=0.02)


def test_a_profile_is_the_share_above_each_threshold() -> None:
    profile = run_score_distribution([[0.0, 0.5, 1.0], [0.2, 0.4, 0.6]], [-1.0, 0.45, 0.5, 1.0])
    # Above 0.45: 2 of 3 and 1 of 3; above 0.5 (itself not): 1 of 3 and 1 of 3.
    assert profile.share.tolist() == pytest.approx([1, 0.5, 1 / 3, 0])
    assert profile.low is not None
    assert profile.high is not None
    assert (profile.low[0], profile.high[0]) == (1, 1)
    assert profile.low[1] < 0.5 < profile.high[1]


def test_a_profile_weighs_tasks_alike() -> None:
    assert run_score_distribution([[1.0, 1.0, 1.0, 1.0], [0.0]], [0.5]).share.tolist() == [0.5]


@given(scores=few)
def test_a_profile_falls(scores: list[int]) -> None:
    profile = run_score_distribution([scores], np.linspace(-10, 10, 9))
    assert profile.share[0] == 1
    assert profile.share[-1] == 0
    assert (np.diff(profile.share) <= 0).all()


@pytest.mark.parametrize("scores", [[], [[]], [[1.0], []], [[float("nan")]], [[float("inf"), 1.0]], [[[1.0]]]])
def test_what_is_no_scores_is_refused(scores: Sequence[Sequence[float]]) -> None:
    with pytest.raises(ValueError, match="scores"):
        interquartile_mean(scores)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([[1.0]], []), ([[1.0]], [[1.0], [2.0]])])
def test_tasks_must_agree(ours: list[list[float]], theirs: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="tasks cannot be compared"):
        probability_of_improvement(ours, theirs)
