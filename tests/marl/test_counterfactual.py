"""True credit: shares by hand in a toy, no bias by noise, passengers get nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qredit.credit.fidelity import compare, known_rows
from qredit.errors import ConfigurationError
from qredit.marl.action_variance import action_variance, standard_error
from qredit.marl.counterfactual import MORE, credit_in, measure_probes, true_credit
from qredit.marl.environments.inert import InertAgents
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.probing import sample_probes, sample_situations
from qredit.marl.truth_settings import TruthSettings
from qredit.task import load_task
from tests.marl.toy_simulator import Joint, Payoff, ToySimulator

FEW = TruthSettings(continuations=3)
NOTHING = [np.nan, np.nan]


def measured(simulator: Any, actions: Sequence[int] = (1, 1), settings: TruthSettings = FEW, row: int = 0) -> Any:
    simulator.reset(0)
    return credit_in(simulator, simulator.save(), actions, settings, row)


def shares(payoff: Payoff, *, settings: TruthSettings = FEW, **toy: Any) -> list[float]:
    found: list[float] = measured(ToySimulator(payoff, **toy), settings=settings).shares.tolist()
    return found


# Shares, by hand. The variance of a uniform action in {0, 1, 2} is 2/3, times the square of its factor.


def weighted(*factors: float) -> Payoff:
    return lambda joint, before: sum(f * a for f, a in zip(factors, joint, strict=True))


@pytest.mark.parametrize(
    ("payoff", "expected"),
    [
        (weighted(1, 0), [1, 0]),
        (weighted(0, -5), [0, 1]),
        (weighted(2, 1), [0.8, 0.2]),
        (weighted(1, -1), [0.5, 0.5]),
        # The others' actions stay as they were: with a_1 = 1 the product varies as a_0, and the other way round.
        (lambda joint, before: joint[0] * joint[1], [0.5, 0.5]),
        # Agent 1 did 1: agent 0 alone cannot reach the prize for (2, 2), agent 1 cannot either.
        (lambda joint, before: float(joint == (2, 2)), NOTHING),
        (weighted(0, 0), NOTHING),
        (lambda joint, before: 7.0, NOTHING),
        # An effect of a hundredth of the return counts, one of a ten-thousandth does not.
        (lambda joint, before: 100.0 + joint[0], [1, 0]),
        (lambda joint, before: 10_000.0 + joint[0], NOTHING),
    ],
)
def test_shares_of_one_step(payoff: Payoff, expected: list[float]) -> None:
    assert shares(payoff) == pytest.approx(expected, nan_ok=True)


def test_the_alternatives_by_hand() -> None:
    found = measured(ToySimulator(weighted(2, 1)), actions=(1, 2)).alternatives
    assert found.state.tolist() == [-1, -1]
    assert found.egos.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.actions.tolist() == [[0, 2], [1, 2], [2, 2], [1, 0], [1, 1], [1, 2]]
    assert found.next_states.tolist() == found.actions.tolist()
    assert found.returns.tolist() == pytest.approx([2, 4, 6, 2, 3, 4])
    assert found.shares.tolist() == pytest.approx([0.8, 0.2])
    assert measured(ToySimulator(weighted(0, 0))).alternatives is None


def test_what_does_nothing_gets_exactly_nothing() -> None:
    found = shares(weighted(0.1, 0), noise=3.0)
    assert found == [1, 0]


def test_what_the_script_draws_is_common_to_all_alternatives() -> None:
    """Later rewards are what the script rolls; only agent 0's first action counts."""
    found = shares(lambda joint, before: joint[0] if not before else 5.0 * sum(joint), time_limit=9, erratic=True)
    assert found == [1, 0]


def test_only_available_actions_are_alternatives() -> None:
    """Agent 0 may do 0 or 2 (variance 1), agent 1 anything (2/3), agent 2 has no choice."""
    available = [[True, False, True], [True, True, True], [False, True, False]]
    simulator = ToySimulator(weighted(1, 1, 1), n_agents=3, available=available)
    found = measured(simulator, actions=(2, 1, 1))
    assert found.shares == pytest.approx([0.6, 0.4, 0])
    # Joint actions (0|2, 1, 1) and (2, 0|1|2, 1) have one in common: 4 of one step, 3 continuations each.
    assert found.simulator_steps == 4 * 3


def test_consequences_are_discounted_and_end_with_the_horizon() -> None:
    """Agent 1 is paid at once, agent 0 for what it did two steps ago: discounted by 0.5 twice, variance 1/16."""

    def late(joint: Joint, before: tuple[Joint, ...]) -> float:
        return joint[1] * (not before) + (before[0][0] if len(before) == 2 else 0)

    for horizon, expected in {0: [0, 1], 1: [0, 1], 2: [1 / 17, 16 / 17], 9: [1 / 17, 16 / 17]}.items():
        settings = TruthSettings(continuations=3, horizon=horizon, discount=0.5)
        assert shares(late, settings=settings, time_limit=20) == pytest.approx(expected)


def test_the_cost_is_every_step_of_every_alternative() -> None:
    """5 joint actions, 3 continuations, 1 + 4 steps; fewer where the time limit comes first."""
    settings = TruthSettings(continuations=3, horizon=4)
    assert measured(ToySimulator(weighted(1, 1), time_limit=20), settings=settings).simulator_steps == 5 * 3 * 5
    assert measured(ToySimulator(weighted(1, 1), time_limit=2), settings=settings).simulator_steps == 5 * 3 * 2


@given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
def test_the_order_of_the_agents_orders_the_shares(order: list[int], seed: int) -> None:
    factors = np.random.default_rng(seed).uniform(0.1, 3, 4)
    plain = measured(ToySimulator(weighted(*factors), n_agents=4), actions=(0, 1, 2, 1)).shares
    moved = measured(ToySimulator(weighted(*factors[order]), n_agents=4), actions=(1, 0, 2, 1)).shares
    assert moved == pytest.approx(plain[order], abs=1e-5)


def test_many_states_at_once() -> None:
    """The weight of agent 0 is what it did in the step before."""
    simulator = ToySimulator(lambda joint, before: (before[-1][0] if before else 0) * joint[0] + joint[1], time_limit=9)
    snapshots = []
    simulator.reset(0)
    for last in ([0, 0], [1, 0], [2, 0]):
        simulator.step(last)
        snapshots.append(simulator.save())
    settings = TruthSettings(continuations=3, horizon=0)
    found = true_credit(lambda: simulator, snapshots, np.ones((3, 2), dtype=np.int64), settings)
    assert found.shares.dtype == np.float32
    assert found.shares == pytest.approx(np.array([[0, 1], [0.5, 0.5], [0.8, 0.2]]))
    assert found.simulator_steps.tolist() == [15, 15, 15]


# Noise


def test_noise_of_the_simulator_is_common_to_all_alternatives() -> None:
    assert shares(weighted(2, 1), noise=10.0, time_limit=9) == pytest.approx([0.8, 0.2])


def noisy(joint: Joint, before: tuple[Joint, ...]) -> float:
    """Agent 0 is paid for its first action. Agent 1's first action shifts what agent 0's later, random ones pay: other
    noise for each alternative, with the same mean."""
    return joint[0] if not before else (joint[0] + before[0][1]) % 3


def test_noise_of_the_continuation_does_not_bias() -> None:
    """Agent 1's share is 0 in truth. Shares out of plain variances of means would be about 0.17 for it."""
    settings = TruthSettings(continuations=8, horizon=6, discount=1.0, continuation="random")
    simulator = ToySimulator(noisy, time_limit=7)
    found = np.array([measured(simulator, settings=settings, row=row).shares for row in range(100)])
    known = found[~np.isnan(found).any(axis=1)]
    assert len(known) > 90
    # Not 0 on average: where the estimate is negative it counts as 0.
    assert known[:, 1].mean() < 0.11
    assert (known[:, 1] == 0).mean() > 0.5


def test_the_variance_over_actions_has_no_bias() -> None:
    """Of 8000 tables of pure noise, and of noise around (0, 1, 2); the naive estimate is too large by 2/3 / K."""
    rng = np.random.default_rng(0)
    for signal, expected in ((0.0, 0.0), (1.0, 2 / 3)):
        tables = signal * np.arange(3) + rng.standard_normal((8000, 4, 3))
        found = np.array([action_variance(table).value for table in tables])
        assert found.mean() == pytest.approx(expected, abs=5 * found.std() / np.sqrt(8000))
        naive = tables.mean(axis=1).var(axis=1)
        assert naive.mean() == pytest.approx(expected + 2 / 3 / 4, abs=0.02)


def test_the_variance_over_actions_by_hand() -> None:
    """Centred: (-1, 1), (-2, 2) and zeros; products 4, 0 and 0 over 3 pairs and 2 actions."""
    found = action_variance(np.array([[0.0, 2], [1, 5], [3, 3]]))
    assert found.value == pytest.approx(4 / 3 / 2)
    assert found.without == pytest.approx([0, 0, 4 / 2])
    # Jackknife: mean 2/3, squares 4/9 + 4/9 + 16/9, times 2/3.
    assert standard_error([found]) == pytest.approx(np.sqrt(2 / 3 * 24 / 9))


@given(st.integers(3, 9), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_leaving_out_is_what_it_says(k: int, n_actions: int, seed: int) -> None:
    returns = np.random.default_rng(seed).standard_normal((k, n_actions))
    found = action_variance(returns)
    if k > 3:
        again = [action_variance(np.delete(returns, row, axis=0)).value for row in range(k)]
        assert found.without == pytest.approx(again)
    pairs = [np.cov(returns[a], returns[b], bias=True)[0, 1] for a in range(k) for b in range(k) if a != b]
    assert found.value == pytest.approx(np.mean(pairs))


def test_an_open_state_gets_more_continuations() -> None:
    """Three continuations of nothing but noise are seldom sure of anything: some states cost four times as much."""
    settings = TruthSettings(continuations=3, horizon=2, continuation="random")
    simulator = ToySimulator(
        lambda joint, before: (joint[0] * 7 + joint[1] * 3 + len(before)) % 3 * bool(before), time_limit=9
    )
    costs = {measured(simulator, settings=settings, row=row).simulator_steps for row in range(20)}
    assert costs <= {5 * 3 * 3, 5 * 3 * 3 * MORE}
    simulator = ToySimulator(noisy, time_limit=9)
    costs = {measured(simulator, settings=settings, row=row).simulator_steps for row in range(20)}
    assert costs == {5 * 3 * 3, 5 * 3 * 3 * MORE}


def test_other_rows_and_seeds_have_other_random_numbers() -> None:
    simulator = ToySimulator(noisy, time_limit=9)
    settings = TruthSettings(horizon=5, continuation="random")

    def found(row: int, seed: int = 0) -> tuple[float, int]:
        credit = measured(simulator, settings=TruthSettings(**{**vars(settings), "seed": seed}), row=row)
        return float(credit.shares[0]), credit.simulator_steps

    assert repr(found(3)) == repr(found(3))
    assert len({repr(found(row)) for row in range(10)}) > 2
    assert len({repr(found(0, seed)) for seed in range(10)}) > 2


# A task with known credit


@pytest.fixture(scope="module")
def with_passengers() -> NDArray[np.float32]:
    """True credit in states of two foragers and two passengers."""
    simulator = InertAgents(LevelBasedForaging("Foraging-5x5-2p-1f-v3"), 2)
    situations = sample_situations(simulator, 40, 0)
    settings = TruthSettings(horizon=20)
    actions = np.stack([s.actions for s in situations])
    found = true_credit(lambda: simulator, [s.snapshot for s in situations], actions, settings).shares
    return found[~np.isnan(found).any(axis=1)]


def test_passengers_get_exactly_nothing(with_passengers: NDArray[np.float32]) -> None:
    assert len(with_passengers) > 10
    assert (with_passengers[:, 2:] == 0).all()
    assert with_passengers[:, :2].sum(axis=1) == pytest.approx(1)


def test_fidelity_finds_the_known_answer(with_passengers: NDArray[np.float32]) -> None:
    """1 for active agents and 0 for passengers: the best one is among the two on top, every other order is right."""
    right = np.tile([1.0, 1, 0, 0], (len(with_passengers), 1))
    found, uniform = compare(right, with_passengers), compare(np.ones_like(right), with_passengers)
    moved, wrong = compare(np.roll(right, 1, axis=1), with_passengers), compare(1 - right, with_passengers)
    assert (found.top1, uniform.top1, uniform.tau, wrong.top1) == (0.5, 0.25, 0, 0)
    # Truth (a, b, 0, 0): 4 of 6 pairs right, 2 tied here, 1 there; 2 right and 3 tied there where b is 0 as well.
    assert 2 / np.sqrt(12) <= found.tau <= 4 / np.sqrt(20)
    assert found.tau_low > max(0.4, moved.tau_high)
    assert wrong.tau == pytest.approx(-found.tau)


# Probes with their truth


def test_measured_probes_are_the_sampled_ones_with_their_truth() -> None:
    task, settings = (
        load_task("lbf-5x5-2p-1f"),
        TruthSettings(states=3, visited=30, continuations=3, horizon=10, seed=5),
    )
    told: list[tuple[int, int]] = []
    found = measure_probes(task, settings, lambda measured, decisive: told.append((measured, decisive)))
    plain = sample_probes(task, 30, 5)
    for name in ("states", "actions", "next_states", "rewards"):
        assert np.array_equal(getattr(found.probes, name), getattr(plain, name)), name
    assert len(known_rows(found.probes)) == found.decisive == len(found.alternatives) == 3
    known = {tuple(row) for row in found.probes.states[known_rows(found.probes)].tolist()}
    assert {tuple(one.state.tolist()) for one in found.alternatives} == known
    assert [measured for measured, _ in told] == list(range(1, found.measured + 1))
    assert told[-1] == (found.measured, 3)
    assert found.measured < 30
    assert found.simulator_steps > 0
    # Not the first states that were visited: those are of one episode.
    assert known_rows(found.probes).max() > found.measured


def test_all_states_are_measured_where_too_few_are_decisive() -> None:
    settings = TruthSettings(states=50, visited=6, continuations=3, horizon=3)
    found = measure_probes(load_task("lbf-5x5-2p-1f"), settings)
    assert (found.measured, found.decisive) == (6, len(known_rows(found.probes)))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"states": 0}, "`states` is 0"),
        ({"visited": -1}, "`visited` is -1"),
        ({"continuations": 2}, "`continuations` is 2, at least 3"),
        ({"horizon": -1}, "`horizon` is -1"),
        ({"seed": -1}, "`seed` is -1"),
        ({"discount": 1.01}, r"not in \[0, 1\]"),
        ({"discount": float("nan")}, r"not in \[0, 1\]"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigurationError, match=cause):
        TruthSettings(**changes)
