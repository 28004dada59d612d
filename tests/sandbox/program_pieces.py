"""Pieces of random credit functions: operations as text, with the bounds of their results.

`jumps` says that an operation is not continuous; `exact` that the credit graph has it as it is written. One that is
decomposed may round differently, so what jumps must never read its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Bounds: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Unary:
    """An elementwise operation."""

    text: str
    """With `{x}` for its operand."""
    result: Callable[[float, float], Bounds]
    """Bounds of the result out of those of the operand."""
    domain: Bounds | None = None
    """To what the operand is clamped first."""
    jumps: bool = False
    """Whether it is not continuous."""
    exact: bool = True
    """Whether the graph has it as it is."""


def _within(low: float, high: float) -> Callable[[float, float], Bounds]:
    return lambda *_: (low, high)


def _rising(function: Callable[[float], float]) -> Callable[[float, float], Bounds]:
    return lambda low, high: (function(low), function(high))


def _larger(low: float, high: float) -> Bounds:
    size = max(abs(low), abs(high)) + 2
    return -size, size


def _size(low: float, high: float) -> Bounds:
    return 0.0, max(abs(low), abs(high)) + 1


# Where a decomposed function has a kink (`hardsigmoid` at 3, `xlogy` at 0) torch's two forms take another slope each:
# whole numbers of the state are moved off it.
UNARY = (
    Unary("{x}.abs()", _size),
    Unary("-{x}", lambda low, high: (-high, -low)),
    Unary("torch.tanh({x})", _within(-1, 1)),
    Unary("{x}.sigmoid()", _within(0, 1)),
    Unary("torch.special.expit({x})", _within(0, 1)),
    Unary("torch.sin({x})", _within(-1, 1)),
    Unary("{x}.cos()", _within(-1, 1)),
    Unary("torch.atan({x})", _within(-2, 2)),
    Unary("torch.erf({x})", _within(-1, 1)),
    Unary("torch.relu({x})", _size),
    Unary("F.relu({x})", _size),
    Unary("F.softplus({x})", _size),
    Unary("F.silu({x})", _larger),
    Unary("F.elu({x})", _larger),
    Unary("F.leaky_relu({x}, 0.1)", _larger),
    Unary("F.gelu({x})", _larger),
    Unary("F.gelu({x}, approximate='tanh')", _larger),
    Unary("F.hardtanh({x})", _within(-1, 1)),
    Unary("F.relu6({x})", _within(0, 6)),
    Unary("F.softsign({x})", _within(-1, 1)),
    Unary("F.logsigmoid({x})", _larger, exact=False),
    Unary("F.hardsigmoid({x} + 0.3)", _within(0, 1), exact=False),
    Unary("F.hardswish({x} + 0.3)", _larger, exact=False),
    Unary("F.mish({x})", _larger, exact=False),
    Unary("F.celu({x})", _larger, exact=False),
    Unary("F.selu({x})", lambda low, high: (-2, 2 * max(high, 1))),
    Unary("F.softshrink({x})", _larger),
    Unary("F.tanhshrink({x})", _larger),
    Unary("F.threshold({x}, 0.5, 0.25)", _larger, jumps=True),
    Unary("{x} ** 2", lambda low, high: (0, max(low * low, high * high))),
    Unary("{x}.square()", lambda low, high: (0, max(low * low, high * high))),
    Unary("{x}.pow(3)", _rising(lambda x: x**3), domain=(-9, 9)),
    Unary("({x} + 0.5) / 2.0", _rising(lambda x: (x + 0.5) / 2)),
    Unary("2.0 - {x}", lambda low, high: (2 - high, 2 - low)),
    Unary("1.5 * {x}", _rising(lambda x: 1.5 * x)),
    Unary("{x} - math.pi", _rising(lambda x: x - math.pi)),
    Unary("{x}.mul(0.25).add(1.0)", _rising(lambda x: x / 4 + 1)),
    Unary("torch.exp(-{x})", _within(0, 1), domain=(0, 1e3)),
    Unary("{x}.exp()", _rising(math.exp), domain=(-5, 3)),
    Unary("torch.exp2({x})", _within(0.03, 8), domain=(-5, 3)),
    Unary("torch.expm1({x})", _within(-1, 20), domain=(-5, 3)),
    Unary("torch.log({x})", _rising(math.log), domain=(0.1, 1e3)),
    Unary("torch.log2({x})", _rising(math.log2), domain=(0.1, 1e3)),
    Unary("{x}.log10()", _rising(math.log10), domain=(0.1, 1e3)),
    Unary("torch.log1p({x})", _rising(math.log1p), domain=(0, 1e3)),
    Unary("torch.sqrt({x})", _rising(math.sqrt), domain=(0.01, 1e3)),
    Unary("{x}.rsqrt()", _within(0, 10), domain=(0.01, 1e3)),
    Unary("{x} ** 0.5", _rising(math.sqrt), domain=(0.01, 1e3)),
    Unary("1.0 / {x}", _within(0, 4), domain=(0.25, 1e3)),
    Unary("torch.reciprocal({x})", _within(0, 4), domain=(0.25, 1e3)),
    Unary("torch.asin({x})", _within(-1.6, 1.6), domain=(-0.9, 0.9)),
    Unary("torch.acos({x})", _within(0, 3.2), domain=(-0.9, 0.9)),
    Unary("torch.tan({x})", _within(-2, 2), domain=(-1, 1)),
    Unary("torch.logit({x})", _within(-3, 3), domain=(0.1, 0.9), exact=False),
    Unary("torch.sinc({x})", _within(-1, 1), exact=False),
    Unary("torch.deg2rad({x})", _larger),
    Unary("torch.floor({x})", _larger, jumps=True),
    Unary("{x}.ceil()", _larger, jumps=True),
    Unary("torch.round({x})", _larger, jumps=True),
    Unary("{x}.round(decimals=1)", _larger, jumps=True),
    Unary("torch.trunc({x})", _larger, jumps=True),
    Unary("{x}.sign()", _within(-1, 1), jumps=True),
    Unary("torch.sgn({x})", _within(-1, 1), jumps=True),
    Unary("torch.frac({x})", _within(-1, 1), jumps=True),
    Unary("{x} % 3", _within(0, 3), jumps=True),
    Unary("torch.remainder({x}, 2.5)", _within(0, 2.5), jumps=True),
    Unary("torch.fmod({x}, 2.5)", _within(-2.5, 2.5), jumps=True),
    Unary("{x}.clamp(min=0.1)", lambda low, high: (0.1, max(0.1, high))),
    Unary("torch.clamp({x}, -1.0, 2.0)", _within(-1, 2)),
    Unary("{x}.clip(max=2.0)", lambda low, high: (min(low, 2), min(high, 2))),
    Unary("{x}.clamp_min(0.0)", _size),
    Unary("torch.nan_to_num({x}, nan=0.0)", lambda low, high: (low, high)),
    Unary("{x}.detach()", lambda low, high: (low, high)),
    Unary("{x}.clone()", lambda low, high: (low, high)),
    Unary("{x}.contiguous()", lambda low, high: (low, high)),
    Unary("{x}.double().tanh().float()", _within(-1, 1)),
    Unary("{x}.to(torch.float64).mul(0.5).to(torch.float32)", lambda low, high: (low / 2, high / 2)),
    Unary("torch.zeros_like({x}) + 0.5", _within(0.5, 0.5)),
    Unary("torch.full_like({x}, 0.3)", _within(0.3, 0.31)),
    Unary("{x}.new_ones({x}.shape)", _within(1, 1)),
)
"""Elementwise operations of one float tensor."""


def _spread(a: Bounds, b: Bounds, function: Callable[[float, float], float]) -> Bounds:
    ends = [function(x, y) for x in a for y in b]
    return min(ends), max(ends)


@dataclass(frozen=True)
class Binary:
    """An elementwise operation of two float tensors."""

    text: str
    """With `{x}` and `{y}`."""
    result: Callable[[Bounds, Bounds], Bounds]
    """Bounds of the result."""
    jumps: bool = False
    exact: bool = True


def _either(a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), max(a[1], b[1])


def _together(a: Bounds, b: Bounds) -> Bounds:
    size = max(map(abs, a)) + max(map(abs, b)) + 1
    return -size, size


BINARY = (
    Binary("{x} + {y}", lambda a, b: _spread(a, b, lambda x, y: x + y)),
    Binary("{x} - {y}", lambda a, b: _spread(a, b, lambda x, y: x - y)),
    Binary("{x} * {y}", lambda a, b: _spread(a, b, lambda x, y: x * y)),
    Binary("{x} / ({y}.abs() + 0.5)", lambda a, b: (-2 * max(map(abs, a)), 2 * max(map(abs, a)))),
    Binary("torch.div({x}, {y}.clamp(min=0.2))", lambda a, b: (-5 * max(map(abs, a)), 5 * max(map(abs, a)))),
    Binary("torch.add({x}, {y}, alpha=0.5)", _together),
    Binary("torch.maximum({x}, {y})", _either),
    Binary("torch.min({x}, {y})", _either),
    Binary("torch.fmax({x}, {y})", _either),
    Binary("torch.fmin({x}, {y})", _either),
    Binary("torch.hypot({x}, {y} + 0.3)", _together),
    Binary("torch.atan2({x}, {y} + 0.3)", lambda a, b: (-3.2, 3.2)),
    Binary("{x}.sigmoid() ** {y}.clamp(0.5, 2.0)", lambda a, b: (0, 1)),
    Binary("torch.lerp({x}, {y}, 0.3)", _either, exact=False),
    Binary("torch.logaddexp({x}, {y})", _together, exact=False),
    Binary("torch.addcmul({x}, {x}.tanh(), {y}, value=0.5)", _together, exact=False),
    Binary("torch.special.xlogy({x}.abs() + 0.2, {y}.abs() + 0.1)", lambda a, b: (-1e4, 1e4), exact=False),
    Binary("{x}.copysign({y})", _together, jumps=True),
    Binary("torch.where({x} > {y}, {x}, {y} * 0.5)", _together, jumps=True),
    Binary("torch.where(({x} - {y}).abs() < 1.5, {x}, torch.tensor(0.25))", _together, jumps=True),
    Binary("({x} >= {y}).float() * {x}", _together, jumps=True),
)
"""Elementwise operations of two float tensors that broadcast."""

MASKS = (
    "{x} > {c}",
    "{x} <= {c}",
    "{x}.ge({c})",
    "torch.lt({x}, {c})",
    "{x} == {c}",
    "({x} != {c})",
    "torch.isnan({x})",
)
LOGIC = ("{x} & {y}", "{x} | {y}", "{x} ^ {y}", "torch.logical_and({x}, {y})", "torch.logical_xor({x}, {y})",
         "~({x} & {y})", "torch.logical_not({x}) | {y}")  # fmt: skip


@dataclass(frozen=True)
class Reduction:
    """Takes one dimension away."""

    text: str
    """With `{x}`, `{d}` and `{k}` (`, keepdim=True` or nothing)."""
    result: Callable[[Bounds, int], Bounds]
    """Bounds out of those of the operand and the length of the dimension."""
    jumps: bool = False
    exact: bool = True
    shortest: int = 1
    """Shortest dimension that it is for."""


def _same(bounds: Bounds, _: int) -> Bounds:
    return bounds


def _times(bounds: Bounds, count: int) -> Bounds:
    size = max(map(abs, bounds)) * count
    return (0.0 if bounds[0] >= 0 else -size), size


def _norm(bounds: Bounds, count: int) -> Bounds:
    return 0.0, max(map(abs, bounds)) * count


REDUCTIONS = (
    Reduction("{x}.sum(dim={d}{k})", _times),
    Reduction("torch.sum({x}, {d}{k})", _times),
    Reduction("{x}.mean(dim={d}{k})", _same),
    Reduction("{x}.amax(dim={d}{k})", _same),
    Reduction("{x}.amin({d}{k})", _same),
    Reduction("{x}.max(dim={d}{k}).values", _same),
    Reduction("torch.min({x}, dim={d}{k})[0]", _same),
    Reduction("{x}.median(dim={d}{k}).values", _same),
    Reduction("torch.tanh({x}).prod(dim={d}{k})", lambda b, n: (-1, 1)),
    Reduction("({x} / 9).logsumexp(dim={d}{k})", lambda b, n: (b[0] / 9 - 1, b[1] / 9 + n)),
    Reduction("torch.norm({x}, dim={d}{k})", _norm),
    Reduction("torch.linalg.norm({x}, dim={d}{k})", _norm),
    Reduction("torch.linalg.vector_norm({x}, ord=1, dim={d}{k})", _norm),
    Reduction("{x}.norm(p=float('inf'), dim={d}{k})", _norm),
    Reduction("{x}.std(dim={d}{k})", _norm, shortest=2),
    Reduction("{x}.var(dim={d}, unbiased=False{k})", lambda b, n: (0, max(map(abs, b)) ** 2)),
    Reduction("torch.nansum({x}, dim={d}{k})", _times),
    Reduction("({x} > 0.5).sum(dim={d}{k}).float()", lambda b, n: (0, n), jumps=True),
    Reduction("({x} > 0.5).any(dim={d}{k}).float()", lambda b, n: (0, 1), jumps=True),
    Reduction("({x} > 0.5).all(dim={d}{k}).float()", lambda b, n: (0, 1), jumps=True),
    Reduction("{x}.argmax(dim={d}{k}).float()", lambda b, n: (0, n), jumps=True),
    Reduction("torch.argmin({x}, dim={d}{k}).to(torch.float32)", lambda b, n: (0, n), jumps=True),
)


def _shares(*_: object) -> Bounds:
    return 0.0, 1.0


ALONG = (
    Reduction("torch.softmax({x}, dim={d})", _shares),
    Reduction("F.softmax({x} / 2.0, dim={d})", _shares),
    Reduction("{x}.log_softmax({d})", lambda b, n: (b[0] - b[1] - n, 0)),
    Reduction("F.softmin({x}, dim={d})", _shares),
    Reduction("{x}.cumsum(dim={d})", _times),
    Reduction("torch.cumprod({x}.tanh(), dim={d})", lambda b, n: (-1, 1)),
    Reduction("F.normalize({x}, p=1, dim={d})", lambda b, n: (-1, 1)),
    Reduction("F.normalize({x}, dim={d})", lambda b, n: (-1, 1)),
    Reduction("{x} / ({x}.abs().sum(dim={d}, keepdim=True) + 0.1)", lambda b, n: (-1, 1)),
    Reduction("{x} - {x}.mean(dim={d}, keepdim=True)", lambda b, n: (b[0] - b[1], b[1] - b[0])),
    Reduction("{x}.roll(1, dims={d})", _same),
    Reduction("torch.flip({x}, dims=[{d}])", _same),
    Reduction("{x}.cummax(dim={d}).values", _same, exact=False),
    Reduction("{x}.sort(dim={d}).values", _same),
    Reduction("torch.sort({x}, dim={d}, descending=True)[0]", _same),
    Reduction("{x}.argsort(dim={d}).argsort(dim={d}).float()", lambda b, n: (0, n), jumps=True),
    Reduction("torch.gather({x}, {d}, {x}.argsort(dim={d}, descending=True))", _same, jumps=True),
    Reduction("torch.zeros_like({x}).scatter({d}, {x}.argmax(dim={d}, keepdim=True), 1.0)", _shares, jumps=True),
    Reduction(
        "torch.zeros_like({x}).scatter_add({d}, {x}.argsort(dim={d}), {x})",
        _times,
        jumps=True,
    ),
)
"""Keep the shape, and mix the numbers of one dimension."""
