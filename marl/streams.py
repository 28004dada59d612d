"""Random numbers as a function of (purpose, seed, counter): nothing to save, nothing to restore.

Every draw of a training comes from a generator that is made for one collection or one update. So a resumed run draws
the very numbers that an undisturbed run would have drawn, and evaluation never disturbs training.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are for; streams of different purposes are independent."""

    TRAINING_EPISODES = 1
    EVALUATION_EPISODES = 2
    PROBE_EPISODES = 3
    EXPLORATION = 4
    REPLAY = 5
    RANDOM_POLICY = 6
    COUNTERFACTUAL = 7
    PLACEBO = 8
    MINIBATCHES = 9
    SAMPLED_EVALUATION = 10
    POLICY_NOISE = 11
    NEXT_ACTIONS = 12
    GREEDY_EVALUATION = 13
    TRANSITIONS = 14
    RANKING_ERRORS = 15


def generator(stream: Stream, seed: int, counter: int = 0) -> np.random.Generator:
    """A generator for one purpose, seed and counter."""
    return np.random.default_rng(np.random.SeedSequence((stream, seed, counter)))


def episode_seeds(stream: Stream, seed: int, first: int, count: int) -> list[int]:
    """Seeds of the episodes `first`, ..., `first + count - 1`."""
    return [int(np.random.SeedSequence((stream, seed, first + k)).generate_state(1)[0]) for k in range(count)]
