"""Settings of a training: what is refused, and the exploration schedule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from qredit.errors import ConfigurationError
from qredit.marl.algorithms import algorithm_named
from qredit.marl.settings import TrainSettings

POSITIVE = [
    "total_steps",
    "n_environments",
    "batch_episodes",
    "updates_per_collection",
    "hidden_size",
    "mixing_size",
    "hypernet_size",
    "learning_rate",
    "epsilon_anneal_steps",
    "target_update_interval",
    "gradient_clip",
    "evaluation_interval",
    "evaluation_episodes",
    "checkpoint_interval",
]
SHARES = ["gamma", "epsilon_start", "epsilon_end", "evaluation_epsilon", "target_update_tau"]


def changed(name: str, value: Any) -> TrainSettings:
    return dataclasses.replace(TrainSettings(), **{name: value})


def test_the_defaults_are_accepted_and_frozen() -> None:
    settings = TrainSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1])
def test_lengths_and_rates_must_be_above_zero(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        changed(name, value)
    assert f"`{name}` is {value}" in caught.value.cause


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_shares_must_lie_between_zero_and_one(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        changed(name, value)


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_ends_of_a_share_are_accepted(name: str, value: float) -> None:
    assert getattr(changed(name, value), name) == value


def test_a_learning_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="`learning_rate`"):
        TrainSettings(learning_rate=math.nan)


@pytest.mark.parametrize(("algorithm", "rate"), [("qmix", 1e-3), ("maddpg", 1e-3), ("mappo", 5e-4), ("coma", 5e-4)])
def test_the_learning_rate_is_the_algorithms_own_unless_it_is_given(algorithm: str, rate: float) -> None:
    complete = algorithm_named(algorithm).complete
    assert complete(TrainSettings(algorithm=algorithm)).learning_rate == rate
    assert complete(TrainSettings(algorithm=algorithm, learning_rate=0.02)).learning_rate == 0.02


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="`seed` is -1"):
        TrainSettings(seed=-1)


@pytest.mark.parametrize(("batch", "environments"), [(11, 4), (4, 11)])
def test_a_buffer_holds_at_least_a_batch_and_a_collection(batch: int, environments: int) -> None:
    with pytest.raises(ConfigurationError, match="`buffer_episodes` is 10"):
        TrainSettings(buffer_episodes=10, batch_episodes=batch, n_environments=environments)
    assert TrainSettings(buffer_episodes=11, batch_episodes=batch, n_environments=environments).buffer_episodes == 11


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrainSettings(total_steps=0, gamma=2.0, seed=-3)
    for name in ("total_steps", "gamma", "seed"):
        assert f"`{name}`" in caught.value.cause
    assert caught.value.exit_code == 2


def test_epsilon_falls_linearly_and_then_stays() -> None:
    settings = TrainSettings(epsilon_start=0.9, epsilon_end=0.1, epsilon_anneal_steps=100)
    assert settings.epsilon(0) == pytest.approx(0.9)
    assert settings.epsilon(25) == pytest.approx(0.7)
    assert settings.epsilon(50) == pytest.approx(0.5)
    assert settings.epsilon(100) == pytest.approx(0.1)
    assert settings.epsilon(10**9) == pytest.approx(0.1)


def test_epsilon_may_stay_or_rise() -> None:
    constant = TrainSettings(epsilon_start=0.3, epsilon_end=0.3, epsilon_anneal_steps=1)
    assert [constant.epsilon(steps) for steps in (0, 1, 1000)] == pytest.approx([0.3, 0.3, 0.3])
    rising = TrainSettings(epsilon_start=0.0, epsilon_end=1.0, epsilon_anneal_steps=10)
    assert rising.epsilon(4) == pytest.approx(0.4)
