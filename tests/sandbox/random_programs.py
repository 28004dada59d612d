"""Random credit functions as text, out of what the gate lets through: typed by shape and bounds, so that most pass.

Each statement makes a new variable whose shape, bounds and kind are known, so that no statement fails and no value
leaves what float32 holds well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from hypothesis import strategies as st

from qredit.credit.schema import Form, Igm, Scale
from qredit.layout import StateField, StateLayout
from tests.sandbox.program_pieces import (
    ALONG,
    BINARY,
    LOGIC,
    MASKS,
    REDUCTIONS,
    UNARY,
    Binary,
    Bounds,
    Reduction,
    Unary,
)

Shape: TypeAlias = tuple[int, ...]
Kind = Literal["float", "int", "bool"]
T = TypeVar("T")
Piece = TypeVar("Piece", Unary, Binary, Reduction)

LARGEST = 1e3
"""What may be larger in magnitude is squeezed."""
MOST_NUMBERS = 96
"""Numbers of a value per state."""
HEAD = "import math\nimport torch\nimport torch.nn.functional as F\n\nHALF = 0.5\nTEMPERATURE = math.sqrt(2.0)\n"
NUMBERS = ("0.5", "1.0", "2.0", "HALF", "TEMPERATURE", "3")


@dataclass(frozen=True)
class Program:
    """A module's text, and what it is for."""

    source: str
    """The text."""
    layout: StateLayout
    """The state that it reads."""
    n_agents: int
    """`N`."""
    form: Form
    """`weights` or `general`."""
    named: bool
    """Whether it reads the state by names."""
    scale: Scale
    """As `verify` is asked."""
    igm: Igm
    """As `verify` is asked."""
    exact: bool
    """Whether the graph has every operation as it is written."""


@dataclass(frozen=True)
class Value:
    """A variable of the program."""

    name: str
    """Its name."""
    shape: Shape
    """Its shape after the batch."""
    bounds: Bounds
    """Between which numbers it lies, in every state inside the layout's bounds."""
    kind: Kind = "float"
    """Its dtype: float32, int64 or bool."""
    exact: bool = True
    """Whether the graph computes it by the operations as they are written."""


def layouts(n_agents: int) -> StateLayout:
    """A state with fields of several shapes, none of them alike, for `N` agents and 2 targets."""
    shapes: tuple[tuple[str, Shape, float, float], ...] = (
        ("agent_position", (n_agents, 2), 0.0, 4.0),
        ("agent_level", (n_agents,), 1.0, 3.0),
        ("target", (2, 3), -1.0, 4.0),
        ("inventory", (n_agents, 2, 2), 0.0, 2.0),
        ("clock", (), 0.0, 9.0),
        ("last_action", (n_agents,), 0.0, 5.0),
    )
    return StateLayout(tuple(StateField(name, shape, "cells", low, high, "-") for name, shape, low, high in shapes))


class Writer:
    """Writes the statements of one function."""

    def __init__(self, draw: st.DrawFn, n_agents: int, indent: str = "    ", prefix: str = "v") -> None:
        self.draw = draw
        self.n_agents = n_agents
        self.indent = indent
        self.prefix = prefix
        self.lines: list[str] = []
        self.helpers: list[str] = []
        self.values: list[Value] = []

    def one_of(self, choices: Sequence[T]) -> T:
        """Draw one."""
        return self.draw(st.sampled_from(choices))

    def floats(self, *, exact: bool = False, dims: int = 0) -> list[Value]:
        """Float variables, the latest first; with at least so many dimensions after the batch."""
        return [
            v for v in reversed(self.values)
            if v.kind == "float" and len(v.shape) >= dims and (v.exact or not exact)
        ]  # fmt: skip

    def piece(self, table: Sequence[Piece], dims: int = 0) -> Piece:
        """Draw an operation that some variable fits: what jumps reads only what is exact."""
        return self.one_of([p for p in table if not p.jumps or self.floats(exact=True, dims=dims)])

    def of_kind(self, kind: Kind) -> list[Value]:
        """Variables of a dtype, the latest first."""
        return [v for v in reversed(self.values) if v.kind == kind]

    def write(self, line: str) -> None:
        """Add a line."""
        self.lines.append(self.indent + line)

    def add(self, text: str, shape: Shape, bounds: Bounds, kind: Kind = "float", *, exact: bool = True) -> Value:
        """Add `v = text`, squeezed if it may be large."""
        if kind == "float" and max(map(abs, bounds)) > LARGEST:
            text, bounds = f"torch.tanh(({text}) / 50.0)", (-1.0, 1.0)
        value = Value(f"{self.prefix}{len(self.values)}", shape, bounds, kind, exact)
        self.write(f"{value.name} = {text}")
        self.values.append(value)
        return value

    def dimension(self, value: Value, shortest: int = 1) -> int:
        """Draw a dimension after the batch; 0 if none is long enough."""
        long_enough = [d for d, n in enumerate(value.shape, start=1) if n >= shortest]
        return self.one_of(long_enough) if long_enough else 0

    def pair(self, *, exact: bool = False) -> tuple[Value, Value, str, str, Shape]:
        """Two float variables, how to write them so that they broadcast, and the resulting shape."""
        a = self.one_of(self.floats(exact=exact))
        b, (left, right, shape) = self.one_of(
            [(b, fit) for b in self.floats(exact=exact) if (fit := broadcast(a, b)) is not None]
        )
        return a, b, left, right, shape


def broadcast(a: Value, b: Value) -> tuple[str, str, Shape] | None:
    """How two variables are written side by side; None if they do not fit."""
    if a.shape == b.shape:
        return a.name, b.name, a.shape
    if not b.shape:
        return a.name, f"{b.name}.view(B{', 1' * len(a.shape)})", a.shape
    if len(a.shape) == len(b.shape) and all(1 in (m, n) or m == n for m, n in zip(a.shape, b.shape, strict=True)):
        return a.name, b.name, tuple(max(m, n) for m, n in zip(a.shape, b.shape, strict=True))
    if a.shape[: len(b.shape)] == b.shape:
        return a.name, f"{b.name}[..., {', '.join(['None'] * (len(a.shape) - len(b.shape)))}]", a.shape
    if len(a.shape) == len(b.shape) == 1:
        return f"{a.name}.unsqueeze(2)", f"{b.name}[:, None, :]", (*a.shape, *b.shape)
    return None


def unary(w: Writer) -> None:
    """An elementwise operation."""
    piece = w.piece(UNARY)
    x = w.one_of(w.floats(exact=piece.jumps))
    low, high = x.bounds
    text = x.name
    if piece.domain is not None:
        text = f"{x.name}.clamp({piece.domain[0]}, {piece.domain[1]})"
        low, high = (min(max(bound, piece.domain[0]), piece.domain[1]) for bound in x.bounds)
    w.add(piece.text.format(x=text), x.shape, piece.result(low, high), exact=x.exact and piece.exact)


def binary(w: Writer) -> None:
    """An elementwise operation of two variables that broadcast."""
    piece = w.piece(BINARY)
    a, b, left, right, shape = w.pair(exact=piece.jumps)
    if math.prod(shape) <= MOST_NUMBERS:
        w.add(piece.text.format(x=left, y=right), shape, piece.result(a.bounds, b.bounds),
              exact=a.exact and b.exact and piece.exact)  # fmt: skip


def scaled(w: Writer) -> None:
    """Arithmetic with a module constant or a number."""
    x, number = w.one_of(w.floats()), w.one_of(NUMBERS)
    operator = w.one_of(("+", "-", "*", "/"))
    size = 3 * max(map(abs, x.bounds)) + 3
    low = x.bounds[0] if operator in "+*/" and x.bounds[0] >= 0 else -size
    w.add(f"{x.name} {operator} {number}", x.shape, (min(low, 0.0) if operator != "+" else low, size), exact=x.exact)


def mask(w: Writer) -> None:
    """A comparison, or logic between two masks of one shape."""
    masks = w.of_kind("bool")
    pairs = [(a, b) for a in masks for b in masks if a.shape == b.shape]
    logic, exact = w.draw(st.booleans()), w.floats(exact=True)
    if logic and pairs:
        a, b = w.one_of(pairs)
        w.add(w.one_of(LOGIC).format(x=a.name, y=b.name), a.shape, (0, 1), "bool")
    elif exact:
        x = w.one_of(exact)
        w.add(w.one_of(MASKS).format(x=x.name, c=w.one_of(NUMBERS)), x.shape, (0, 1), "bool")


def masked(w: Writer) -> None:
    """A mask, used."""
    fits = [(m, x) for m in w.of_kind("bool") for x in w.floats() if m.shape == x.shape]
    if not fits:
        return mask(w)
    m, x = w.one_of(fits)
    low, high = min(x.bounds[0], -1), max(x.bounds[1], 3)
    how = w.one_of(("{x}.masked_fill({m}, -1.0)", "torch.where({m}, {x}, -1.0)", "torch.where({m}, {x}, {x} * 0.5)",
                    "{x} * {m}", "{m}.float() + {x}.tanh()", "torch.where({m}, 1.0, {x})", "write"))  # fmt: skip
    if how == "write":
        copy = w.add(f"{x.name}.clone()", x.shape, (low, high), exact=x.exact)
        w.write(f"{copy.name}[{m.name}] = {w.one_of(NUMBERS)}")
    else:
        w.add(how.format(x=x.name, m=m.name), x.shape, (low, high), exact=x.exact)
    return None


def reduction(w: Writer) -> None:
    """One dimension less, or of length 1."""
    piece = w.piece(REDUCTIONS, dims=1)
    operands = [x for x in w.floats(exact=piece.jumps, dims=1) if max(x.shape) >= piece.shortest]
    if not operands:
        return unary(w)
    x = w.one_of(operands)
    d, keep = w.dimension(x, piece.shortest), w.draw(st.booleans())
    shape = (*x.shape[: d - 1], *((1,) if keep else ()), *x.shape[d:])
    shown = d if w.draw(st.booleans()) else d - len(x.shape) - 1
    text = piece.text.format(x=x.name, d=shown, k=", keepdim=True" if keep else "")
    w.add(text, shape, piece.result(x.bounds, x.shape[d - 1]), exact=x.exact and piece.exact)
    return None


def along(w: Writer) -> None:
    """The numbers of one dimension mixed: softmax, scans, order, gather, scatter."""
    piece = w.piece(ALONG, dims=1)
    x = w.one_of(w.floats(exact=piece.jumps, dims=1))
    d = w.dimension(x)
    w.add(
        piece.text.format(x=x.name, d=d), x.shape, piece.result(x.bounds, x.shape[d - 1]), exact=x.exact and piece.exact
    )


def part(w: Writer) -> None:
    """Some entries along one dimension."""
    x = w.one_of(w.floats(dims=1))
    d = w.dimension(x)
    n = x.shape[d - 1]
    i = w.draw(st.integers(0, n - 1))
    colons = ":, " * d
    kept = (
        (f"{x.name}[{colons}{i}]", None), (f"{x.name}.select({d}, {i - n})", None), (f"{x.name}[{colons}{i}:]", n - i),
        (f"{x.name}[{colons}: {i + 1}]", i + 1), (f"{x.name}.narrow({d}, {i}, 1)", 1),
        (f"{x.name}[{colons}::2]", (n + 1) // 2), (f"{x.name}.index_select({d}, torch.tensor([{i}, 0]))", 2),
        (f"{x.name}[{colons}[{i}, 0, {n - 1}]]", 3), (f"{x.name}[{colons}torch.arange({n})]", n),
        (f"torch.unbind({x.name}, dim={d})[{i}]", None), (f"{x.name}.split(1, dim={d})[{i}]", 1),
        (f"torch.chunk({x.name}, {n}, dim={d})[-1]", 1), (f"{x.name}.topk({i + 1}, dim={d}).values", i + 1),
        (f"torch.topk({x.name}, k=1, dim={d})[0]", 1),
    )  # fmt: skip
    text, length = w.one_of(kept)
    if length is not None and math.prod(x.shape) // n * length > MOST_NUMBERS:
        return
    w.add(text, (*x.shape[: d - 1], *(() if length is None else (length,)), *x.shape[d:]), x.bounds, exact=x.exact)


def moved(w: Writer) -> None:
    """The same numbers in another shape."""
    x = w.one_of(w.floats(dims=1))
    total, dims = math.prod(x.shape), len(x.shape)
    ways: list[tuple[str, Shape]] = [
        (f"{x.name}.reshape(B, -1)", (total,)), (f"torch.flatten({x.name}, 1)", (total,)),
        (f"{x.name}.unsqueeze(-1)", (*x.shape, 1)), (f"{x.name}[:, None]", (1, *x.shape)),
        (f"{x.name}.reshape(B, {total}, 1)", (total, 1)), (f"{x.name}.contiguous().view(B, 1, -1)", (1, total)),
        (f"F.pad({x.name}, (1, 0), value=0.5)", (*x.shape[:-1], x.shape[-1] + 1)),
        (f"torch.cat([{x.name}, {x.name} * 0.5], dim={dims})", (*x.shape[:-1], x.shape[-1] * 2)),
        (f"torch.stack([{x.name}, -{x.name}], dim=1)", (2, *x.shape)),
        (f"torch.stack([{x.name}, {x.name}.abs()], dim=-1)", (*x.shape, 2)),
        (f"{x.name}.repeat(1{', 1' * (dims - 1)}, 2)", (*x.shape[:-1], x.shape[-1] * 2)),
        (f"{x.name}.unsqueeze(1).expand(B, 2{', -1' * dims})", (2, *x.shape)),
        (f"torch.tile({x.name}, (1, {'1, ' * (dims - 1)}2))", (*x.shape[:-1], x.shape[-1] * 2)),
    ]  # fmt: skip
    if dims == 2:
        ways += [
            (text.format(x=x.name), x.shape[::-1]) for text in ("{x}.transpose(1, 2)", "{x}.mT", "{x}.permute(0, 2, 1)")
        ]
        ways += [(text.format(x=x.name), x.shape) for text in ("torch.tril({x})", "{x}.triu(diagonal=1)")]
        ways.append((f"torch.diagonal({x.name}, dim1=1, dim2=2)", (min(x.shape),)))
    if 1 in x.shape:
        d = x.shape.index(1) + 1
        ways.append((f"{x.name}.squeeze({d})", (*x.shape[: d - 1], *x.shape[d:])))
    text, shape = w.one_of(ways)
    low, high = x.bounds
    if math.prod(shape) <= MOST_NUMBERS and len(shape) <= 4:
        w.add(text, shape, (min(low, -high, 0.0), max(high, -low, 0.5)), exact=x.exact)


def product(w: Writer) -> None:
    """Products and distances of matrices `[B, I, J]`."""
    matrices = [x for x in w.floats(dims=2) if len(x.shape) == 2]
    if not matrices:
        return unary(w)
    a = w.one_of(matrices)
    b = w.one_of([b for b in matrices if b.shape[1] == a.shape[1]])
    texts = (
        "torch.cdist({a}, {b})", "torch.cdist({a}, {b}, p=1.0)", "{a} @ {b}.transpose(1, 2)",
        "torch.matmul({a}, {b}.mT)", "torch.bmm({a}, {b}.permute(0, 2, 1))", "torch.einsum('bik,bjk->bij', {a}, {b})",
        "({a}[:, :, None, :] - {b}[:, None, :, :]).abs().sum(-1)",
        "torch.norm({a}[:, :, None] - {b}[:, None], dim=-1)",
    )  # fmt: skip
    text = w.one_of(texts).format(a=a.name, b=b.name)
    size = (max(map(abs, a.bounds)) + 1) * (max(map(abs, b.bounds)) + 1) * a.shape[1] * 2
    if a.shape[0] * b.shape[0] <= MOST_NUMBERS:
        # Products add in the order of a library, which depends on how the operands lie in memory.
        w.add(text, (a.shape[0], b.shape[0]), (-size, size), exact=False)
    return None


def constant(w: Writer) -> None:
    """A tensor that the function holds, or one made of the sizes."""
    x = w.one_of(w.floats(dims=1))
    n = x.shape[-1]
    made = (f"torch.tensor([{', '.join(str(0.5 + i / 2) for i in range(n))}])", f"torch.arange({n}).float()",
            f"torch.linspace(0.0, 1.0, {n})", f"torch.ones({n})", f"torch.eye({n})[0]",
            f"torch.full((B, {'1, ' * (len(x.shape) - 1)}{n}), 0.5)", f"torch.arange({n}, device={x.name}.device)",
            f"torch.zeros(B, {'1, ' * (len(x.shape) - 1)}{n}, dtype={x.name}.dtype)")  # fmt: skip
    size = max(map(abs, x.bounds)) * (n + 1) + n
    w.add(f"{x.name} {w.one_of(('*', '+'))} {w.one_of(made)}", x.shape, (-size, size), exact=x.exact)


def table(w: Writer) -> None:
    """A table of numbers, read at clamped whole numbers of the state."""
    x = w.one_of(w.floats(exact=True))
    size = w.draw(st.integers(2, 4))
    numbers = ", ".join(str(0.25 + i / 2) for i in range(size))
    index = w.add(f"{x.name}.long().clamp(0, {size - 1})", x.shape, (0, size - 1), "int")
    if w.draw(st.booleans()):
        w.add(f"torch.tensor([{numbers}])[{index.name}]", x.shape, (0.25, 2.0))
    elif math.prod(x.shape) * size <= MOST_NUMBERS and len(x.shape) < 4:
        w.add(f"F.one_hot({index.name}, {size}).float()", (*x.shape, size), (0.0, 1.0))


def whole(w: Writer) -> None:
    """Arithmetic on whole numbers."""
    integers = w.of_kind("int")
    if not integers:
        return table(w)
    i = w.one_of(integers)
    text = w.one_of(("{i} % 2", "({i} + 1) % 3", "{i} // 2", "({i} == 1)", "torch.div({i}, 2, rounding_mode='floor')",
                     "2 * {i} - 1", "{i}.clamp(max=1)", "({i} > 0) & ({i} < 2)", "-{i}.abs()"))  # fmt: skip
    w.add(f"({text.format(i=i.name)}).float()", i.shape, (-10, 10))
    return None


def over_agents(w: Writer) -> None:
    """A loop over agents: a list that is stacked, a sum, columns written, or a comprehension."""
    columns = [x for x in w.floats() if x.shape and x.shape[0] == w.n_agents]
    x = w.one_of(columns)
    inner = Writer(w.draw, w.n_agents, w.indent + "    ", f"{w.prefix}{len(w.values)}_")
    inner.values = [Value("row", x.shape[1:], x.bounds, exact=x.exact)]
    for _ in range(w.draw(st.integers(1, 2))):
        w.one_of((unary, binary, scaled))(inner)
    result = inner.floats()[0]
    row = f"row = {x.name}[:, i]"
    how = w.one_of(("list", "sum", "columns", "skip", "comprehension"))
    shape, size = (w.n_agents, *result.shape), max(map(abs, result.bounds))
    if how == "comprehension":
        text = f"torch.stack([{x.name}[:, i] * (i + 1) for i in range({w.n_agents})], dim=1)"
        w.add(text, x.shape, (-9 * max(map(abs, x.bounds)), 9 * max(map(abs, x.bounds))), exact=x.exact)
    elif how == "list":
        w.write("rows = []")
        _loop(w, row, inner.lines, f"rows.append({result.name})")
        w.add("torch.stack(rows, dim=1)", shape, result.bounds, exact=result.exact)
    elif how == "columns":
        sizes = "".join(f", {n}" for n in shape)
        written = w.add(
            f"torch.zeros(B{sizes})", shape, (min(result.bounds[0], 0), max(result.bounds[1], 0)), exact=result.exact
        )
        _loop(w, row, inner.lines, f"{written.name}[:, i] = {result.name}")
    else:
        condition = "if i != 0:" if how == "skip" else ""
        start = f"torch.zeros(B{''.join(f', {n}' for n in result.shape)})"
        size *= w.n_agents
        total = w.add(start, result.shape, (-min(size, LARGEST), min(size, LARGEST)), exact=result.exact)
        last = f"{total.name} = {total.name} + {result.name}" if not condition else f"{total.name} += {result.name}"
        _loop(w, row, inner.lines, *([condition, "    " + last] if condition else [last]))


def _loop(w: Writer, first: str, body: Sequence[str], *last: str) -> None:
    w.write(f"for i in range({w.n_agents}):")
    w.write("    " + first)
    w.lines += body
    for line in last:
        w.write("    " + line)


def helper(w: Writer) -> None:
    """A function of one's own, called on two variables that broadcast."""
    a, b, left, right, shape = w.pair()
    if math.prod(shape) > MOST_NUMBERS:
        return
    inner = Writer(w.draw, w.n_agents, prefix="h")
    inner.values = [Value("a", shape, a.bounds, exact=a.exact), Value("b", shape, b.bounds, exact=b.exact)]
    inner.write("a, b = torch.broadcast_tensors(a, b)" if left != a.name or a.shape != b.shape else "scale = HALF")
    for _ in range(w.draw(st.integers(1, 3))):
        w.one_of((unary, binary, scaled, mask, masked, along if shape else unary))(inner)
    result = inner.floats()[0]
    name = f"_helper{len(w.helpers)}"
    default = w.one_of(("", ", scale=2.0", ", *, power=(1.0, 2.0)"))
    w.helpers.append("\n".join([f"def {name}(a, b{default}):", *_with_batch(inner, "a"), f"    return {result.name}"]))
    w.add(f"{name}({left}, {right})", result.shape, result.bounds, exact=result.exact)


def _with_batch(inner: Writer, argument: str) -> list[str]:
    return [f"    B = {argument}.shape[0]", *inner.lines]


def in_place(w: Writer) -> None:
    """Writing into a copy."""
    x = w.one_of(w.floats(dims=1))
    lines = ("{y}[:, 0] = 0.5", "{y}[:, -1] += 0.25", "{y}[..., 0] = {x}[..., -1]", "{y} += 0.5", "{y} *= 0.5",
             "{y}[:, 1:] = 0.0" if x.shape[0] > 1 else "{y}[:, :1] = 0.0", "{y}.clamp_(min=0.1)", "{y}.mul_(0.5)",
             "{y}.add_({x})", "{y}.relu_()", "{y}.fill_(0.75)")  # fmt: skip
    size = 2 * max(map(abs, x.bounds)) + 1
    copy = w.add(f"{x.name}.clone()", x.shape, (-min(size, LARGEST), min(size, LARGEST)), exact=x.exact)
    w.write(w.one_of(lines).format(x=x.name, y=copy.name))


STATEMENTS: tuple[Callable[[Writer], None], ...] = (
    unary, binary, reduction, along, part, moved, product, constant, mask, masked, table, whole, over_agents, helper,
    in_place, scaled,
)  # fmt: skip


def weights_of(w: Writer) -> Value:
    """The latest variables, each brought to one number per agent, added up, made positive and bounded."""
    score = _per_agent(w, w.floats()[0])
    for x in w.floats()[1:5:2]:
        other = _per_agent(w, x)
        ends = [a + b for a, b in zip(score.bounds, other.bounds, strict=True)]
        score = w.add(
            f"{score.name} + {other.name}", score.shape, (ends[0], ends[1]), exact=score.exact and other.exact
        )
    text = w.one_of((
        "torch.sigmoid({x}) + 0.05", "torch.softmax({x}, dim=1)", "F.softplus({x}).clamp(max=5.0) + 0.1",
        "torch.exp(-{x}.abs()) + 0.01", "{x}.abs().clamp(0.05, 4.0)", "1.0 / (1.0 + {x} ** 2)", "torch.relu({x}) + 0.1",
        "{x}", "{x} / {x}.sum(dim=1, keepdim=True).clamp(min=0.1)",
    ))  # fmt: skip
    return w.add(text.format(x=score.name), score.shape, (-1.0, 1.0), exact=score.exact)


def _per_agent(w: Writer, x: Value) -> Value:
    if x.shape == (w.n_agents,):
        return x
    if x.shape and x.shape[0] == w.n_agents:
        return w.add(f"{x.name}.reshape(B, {w.n_agents}, -1).mean(dim=-1)", (w.n_agents,), x.bounds, exact=x.exact)
    level = next(v for v in w.values if v.shape == (w.n_agents,))
    one = _per_state(w, x)
    size = max(map(abs, one.bounds)) * max(map(abs, level.bounds))
    return w.add(f"{one.name}.unsqueeze(1) * {level.name}", level.shape, (-size, size), exact=one.exact and level.exact)


def _per_state(w: Writer, x: Value) -> Value:
    """A variable, reduced to one number per state, `[B]`."""
    if not x.shape:
        return x
    text = w.one_of(("{x}.reshape(B, -1).mean(dim=1)", "{x}.flatten(1).amax(dim=1)", "{x}.mean(dim={dims})"))
    dims = tuple(range(1, len(x.shape) + 1))
    return w.add(text.format(x=x.name, dims=dims), (), x.bounds, exact=x.exact)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A program of the weights form (named or flat state, with a bias or without) or of the general form."""
    n_agents = draw(st.integers(1, 4))
    form: Form = draw(st.sampled_from(("weights", "weights", "general")))
    named = form == "weights" and draw(st.booleans())
    layout = layouts(n_agents)
    w = Writer(draw, n_agents)
    _read_state(w, layout, named=named)
    if form == "general":
        w.values.append(Value("agents_q", (n_agents,), (-100.0, 100.0)))
    for _ in range(draw(st.integers(1, 10))):
        w.one_of(STATEMENTS)(w)
    weights = weights_of(w)
    if form == "general":
        signature, result, exact = "tfcaf(agents_q, global_state)", *_team_value(w, weights)
    else:
        signature = f"credit({draw(st.sampled_from(('state', 'global_state', 's')))})"
        result, exact = _with_bias(w, weights)
    argument = signature.partition("(")[2].rpartition(")")[0].split(", ")[-1]
    body = [line.replace("STATE", argument) for line in w.lines]
    parts = [HEAD, *w.helpers, "\n".join([f"def {signature}:", *body, f"    return {result}"])]
    return Program(
        source="\n\n".join(parts) + "\n",
        layout=layout,
        n_agents=n_agents,
        form=form,
        named=named,
        scale=draw(st.sampled_from(("sum_to_n", "raw"))),
        igm="relax" if form == "general" else draw(st.sampled_from(("enforce", "relax"))),
        exact=exact,
    )


def _read_state(w: Writer, layout: StateLayout, *, named: bool) -> None:
    """Each field as a variable, and the sizes."""
    first = layout.fields[0]
    w.write(f"B = STATE[{first.name!r}].shape[0]" if named else w.one_of(("B = STATE.shape[0]", "B = STATE.size(0)")))
    for field, place in layout.slices():
        flat = f"STATE[:, {place.start}:{place.stop}].reshape(B{''.join(f', {n}' for n in field.shape)})"
        w.add(f"STATE[{field.name!r}]" if named else flat, field.shape, (field.low, field.high))


def _with_bias(w: Writer, weights: Value) -> tuple[str, bool]:
    if not w.draw(st.booleans()):
        return weights.name, weights.exact
    x = _per_state(w, w.one_of(w.floats()))
    bias = w.add(f"torch.tanh({x.name}).unsqueeze(1)", (1,), (-1.0, 1.0), exact=x.exact)
    return w.one_of(
        (f"{weights.name}, {bias.name}", f"({weights.name}, 2.0 * {bias.name})")
    ), weights.exact and bias.exact


def _team_value(w: Writer, weights: Value) -> tuple[str, bool]:
    text = w.one_of((
        "({w} * agents_q).sum(dim=1, keepdim=True)", "({w} * torch.tanh(agents_q)).sum(1, keepdim=True)",
        "torch.logsumexp(agents_q + {w}, dim=1, keepdim=True)",
        "(agents_q * {w}).sum(1, keepdim=True) + agents_q.min(dim=1, keepdim=True)[0]",
        "F.softplus(agents_q * {w}).mean(dim=1, keepdim=True) + agents_q.max(dim=1, keepdim=True).values",
    ))  # fmt: skip
    return text.format(w=weights.name), weights.exact
