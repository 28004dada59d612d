"""Random numbers as a function of purpose, seed and counter."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.streams import Stream, episode_seeds, generator

STREAMS = st.sampled_from(list(Stream))
SEEDS = st.integers(0, 2**40)


def draws(stream: Stream, seed: int, counter: int) -> tuple[float, ...]:
    return tuple(generator(stream, seed, counter).random(4).tolist())


@given(STREAMS, SEEDS, st.integers(0, 10**9))
def test_a_generator_is_a_function_of_its_arguments(stream: Stream, seed: int, counter: int) -> None:
    assert draws(stream, seed, counter) == draws(stream, seed, counter)


def test_purposes_seeds_and_counters_have_numbers_of_their_own() -> None:
    seen = {draws(*key) for key in itertools.product(Stream, range(3), range(3))}
    assert len(seen) == len(Stream) * 9


@given(STREAMS, SEEDS, st.integers(0, 1000), st.integers(0, 6), st.integers(0, 6))
def test_episode_seeds_do_not_depend_on_how_they_are_asked_for(
    stream: Stream, seed: int, first: int, a: int, b: int
) -> None:
    together = episode_seeds(stream, seed, first, a + b)
    assert together == episode_seeds(stream, seed, first, a) + episode_seeds(stream, seed, first + a, b)


def test_episode_seeds_are_plain_and_hardly_ever_the_same() -> None:
    seeds = episode_seeds(Stream.TRAINING_EPISODES, 0, 0, 500)
    assert all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == 500


def test_evaluation_never_plays_an_episode_of_training() -> None:
    evaluation = set(episode_seeds(Stream.EVALUATION_EPISODES, 0, 0, 100))
    for seed in range(5):
        assert not evaluation & set(episode_seeds(Stream.TRAINING_EPISODES, seed, 0, 300))


def test_the_evaluation_episodes_stay_the_same_over_versions() -> None:
    # All results ever reported were measured on these; other numbers here would make them incomparable.
    expected = [int(np.random.SeedSequence((2, 0, k)).generate_state(1)[0]) for k in range(3)]
    assert episode_seeds(Stream.EVALUATION_EPISODES, 0, 0, 3) == expected
    assert {stream.name: stream.value for stream in Stream} == {
        "TRAINING_EPISODES": 1,
        "EVALUATION_EPISODES": 2,
        "PROBE_EPISODES": 3,
        "EXPLORATION": 4,
        "REPLAY": 5,
        "RANDOM_POLICY": 6,
        "COUNTERFACTUAL": 7,
        "PLACEBO": 8,
        "MINIBATCHES": 9,
        "SAMPLED_EVALUATION": 10,
        "POLICY_NOISE": 11,
        "NEXT_ACTIONS": 12,
        "GREEDY_EVALUATION": 13,
        "TRANSITIONS": 14,
        "RANKING_ERRORS": 15,
    }
