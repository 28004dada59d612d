"""numpy's random numbers inside kernels: the very stream of `numpy.random.default_rng(seed)`.

The official simulators draw from such a generator. Kernels draw the same numbers in the same order, so that a seed
stands for the same episode whichever backend plays it. One generator is a row of six `uint64`.

Sources: O'Neill 2014, PCG (XSL-RR 128/64 with the default multiplier); numpy's `SeedSequence` (after O'Neill's
`seed_seq` proposal), `Generator.integers` (Lemire 2019, arXiv:1805.10941) and `Generator.choice` (Floyd's algorithm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qredit.marl.kernels.compiling import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Generators = NDArray[np.uint64]

STATE_HIGH, STATE_LOW, STEP_HIGH, STEP_LOW, HAS_HALF, HALF = range(6)
"""Columns of a generator: PCG's state and increment as halves, and the unused half of a number, if there is one."""
WORDS = 6

_U = np.uint64
_LOW_32 = _U(0xFFFFFFFF)
_MULTIPLIER_HIGH, _MULTIPLIER_LOW = _U(0x2360ED051FC65DA4), _U(0x4385DF649FCCF645)
_INIT_A, _MULT_A = _U(0x43B0D7E5), _U(0x931E8875)
_INIT_B, _MULT_B = _U(0x8B51F9DD), _U(0x58F38DED)
_MIX_LEFT, _MIX_RIGHT = _U(0xCA01F9DD), _U(0x4973F715)
_POOL = 4


@kernel
def seed_generator(generator: Generators, seed: int | np.uint64) -> None:
    """Bring a generator `[6]` to the start of the stream of a seed from 0 to 2**64 - 1."""
    pool = np.zeros(_POOL, dtype=np.uint64)  # of 32-bit words
    entropy = _U(seed)
    constant = _INIT_A
    for k in range(_POOL):
        word = (entropy >> _U(32 * k)) & _LOW_32 if k < 2 else _U(0)
        pool[k], constant = _hashed(word, constant, _MULT_A)
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                hashed, constant = _hashed(pool[source], constant, _MULT_A)
                mixed = (_MIX_LEFT * pool[target] - _MIX_RIGHT * hashed) & _LOW_32
                pool[target] = mixed ^ (mixed >> _U(16))
    words = np.zeros(4, dtype=np.uint64)  # of 64 bits
    constant = _INIT_B
    for k in range(8):
        half, constant = _hashed(pool[k % _POOL], constant, _MULT_B)
        words[k // 2] |= half << _U(32 * (k % 2))
    generator[STEP_HIGH] = (words[2] << _U(1)) | (words[3] >> _U(63))
    generator[STEP_LOW] = (words[3] << _U(1)) | _U(1)
    generator[STATE_HIGH] = generator[STATE_LOW] = generator[HAS_HALF] = generator[HALF] = _U(0)
    _advance(generator)
    low = generator[STATE_LOW] + words[1]
    generator[STATE_HIGH] += words[0] + _U(low < words[1])
    generator[STATE_LOW] = low
    _advance(generator)


@kernel
def _hashed(word: np.uint64, constant: np.uint64, multiplier: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A 32-bit word of entropy, hashed, and the next constant to hash with."""
    following = (constant * multiplier) & _LOW_32
    hashed = ((word ^ constant) * following) & _LOW_32
    return hashed ^ (hashed >> _U(16)), following


@kernel
def _advance(generator: Generators) -> None:
    """`state <- state * multiplier + increment`, all of 128 bits."""
    high, low = generator[STATE_HIGH], generator[STATE_LOW]
    a, b = low >> _U(32), low & _LOW_32
    c, d = _MULTIPLIER_LOW >> _U(32), _MULTIPLIER_LOW & _LOW_32
    middle = a * d + ((b * d) >> _U(32))
    other = b * c + (middle & _LOW_32)
    carried = a * c + (middle >> _U(32)) + (other >> _U(32))
    product = low * _MULTIPLIER_LOW
    low_sum = product + generator[STEP_LOW]
    generator[STATE_HIGH] = (
        carried + high * _MULTIPLIER_LOW + low * _MULTIPLIER_HIGH + generator[STEP_HIGH] + _U(low_sum < product)
    )
    generator[STATE_LOW] = low_sum


@kernel
def next_64(generator: Generators) -> np.uint64:
    """64 random bits."""
    _advance(generator)
    high = generator[STATE_HIGH]
    mixed, turn = high ^ generator[STATE_LOW], high >> _U(58)
    return _U((mixed >> turn) | (mixed << ((_U(64) - turn) & _U(63))))


@kernel
def next_32(generator: Generators) -> np.uint64:
    """32 random bits: the lower half of 64, and the upper half the next time."""
    if generator[HAS_HALF]:
        generator[HAS_HALF] = _U(0)
        return _U(generator[HALF])
    bits = next_64(generator)
    generator[HAS_HALF], generator[HALF] = _U(1), bits >> _U(32)
    return _U(bits & _LOW_32)


@kernel
def integer(generator: Generators, low: int, high: int) -> int:
    """`Generator.integers(low, high)`: uniform from `low` to `high - 1`, for less than 2**32 values."""
    values = _U(high - low)
    if values == _U(1):
        return low
    product = next_32(generator) * values
    if product & _LOW_32 < values:
        threshold = (_LOW_32 + _U(1) - values) % values
        while product & _LOW_32 < threshold:
            product = next_32(generator) * values
    return low + int(product >> _U(32))


@kernel
def uniform(generator: Generators, low: float, high: float) -> float:
    """`Generator.uniform(low, high)`."""
    return low + (high - low) * (np.float64(next_64(generator) >> _U(11)) * (1.0 / 9007199254740992.0))


@kernel
def shuffle(generator: Generators, array: NDArray[np.int64]) -> None:
    """`Generator.shuffle(array)`: Fisher and Yates, with bounded numbers by masks and rejection."""
    for i in range(len(array) - 1, 0, -1):
        j = _interval(generator, i)
        array[i], array[j] = array[j], array[i]


@kernel
def _interval(generator: Generators, highest: int) -> int:
    """Uniform from 0 to `highest`, both included."""
    mask = _U(highest)
    for k in range(5):
        mask |= mask >> _U(1 << k)
    value = next_32(generator) & mask
    while value > _U(highest):
        value = next_32(generator) & mask
    return int(value)


@kernel
def permutation(generator: Generators, array: NDArray[np.int64]) -> None:
    """`Generator.permutation(len(array))`, written into the array."""
    for i in range(len(array)):
        array[i] = i
    shuffle(generator, array)


@kernel
def choose_without_replacement(generator: Generators, population: int, chosen: NDArray[np.int64]) -> None:
    """`Generator.choice(population, len(chosen), replace=False)` for a population of 10 000 at most (Floyd)."""
    size = len(chosen)
    for k in range(size):
        j = population - size + k
        value = integer(generator, 0, j + 1)
        for earlier in range(k):
            if chosen[earlier] == value:
                value = j
                break
        chosen[k] = value
    for i in range(size - 1, 0, -1):
        j = integer(generator, 0, i + 1)
        chosen[i], chosen[j] = chosen[j], chosen[i]
