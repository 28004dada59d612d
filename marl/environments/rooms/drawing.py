"""Pictures of rooms, as SVG or as pixels, both out of one list of shapes, so that they cannot disagree.

All lengths are in cells: `x` counts columns from the west, `y` rows from the north. Later shapes cover earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from qredit.marl.environments.rooms.plan import DOOR, Cell, FloorPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.rooms.world import Saved

UNITS = 20
"""Of the SVG per cell."""
WALL, GRID, FLOOR = "#37424a", "#c6cbcf", "#eef0f1"
TARGET = "#8fd694"
DOOR_FRAME, DOOR_LEAF, DOOR_KNOB = "#6b3f1d", "#a9713f", "#f2d16b"
PLATE_OFF, LEVER_OFF, PLATE_ON, LEVER_ON = "#9aa5ac", "#1f272c", "#ffffff", "#0072b2"
VICTIM, VICTIM_DONE = "#cc2a2a", "#e6bcbc"
RUBBLE_EDGE, RUBBLE, RUBBLE_DONE = "#7d6608", "#f7d51d", "#dfd291"
AGENTS = ("#00875a", "#e8710a")
"""Green and orange, as in the paper."""
EDGE = "#1f272c"
_LINE = 0.05
"""Width of the lines between cells: one unit of the SVG, one pixel of 16."""


@dataclass(frozen=True)
class Rectangle:
    """From its north-western corner."""

    x: float
    y: float
    width: float
    height: float
    fill: str

    def svg(self) -> str:
        """An element."""
        x, y, width, height = (_units(length) for length in (self.x, self.y, self.width, self.height))
        return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{self.fill}"/>'

    def covers(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie in it, in the shape to which `x` and `y` broadcast."""
        return (x >= self.x) & (x < self.x + self.width) & (y >= self.y) & (y < self.y + self.height)


@dataclass(frozen=True)
class Circle:
    """Around its centre."""

    x: float
    y: float
    radius: float
    fill: str

    def svg(self) -> str:
        """An element."""
        return f'<circle cx="{_units(self.x)}" cy="{_units(self.y)}" r="{_units(self.radius)}" fill="{self.fill}"/>'

    def covers(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie in it, in the shape to which `x` and `y` broadcast."""
        inside: NDArray[np.bool_] = (x - self.x) ** 2 + (y - self.y) ** 2 <= self.radius**2
        return inside


@dataclass(frozen=True)
class Polygon:
    """Through its corners, each `(x, y)`."""

    corners: tuple[tuple[float, float], ...]
    fill: str

    def svg(self) -> str:
        """An element."""
        points = " ".join(f"{_units(x)},{_units(y)}" for x, y in self.corners)
        return f'<polygon points="{points}" fill="{self.fill}"/>'

    def covers(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie in it, in the shape to which `x` and `y` broadcast: a ray from them crosses it oddly."""
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.bool_)
        for (x_0, y_0), (x_1, y_1) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if y_0 != y_1:
                inside ^= ((y_0 > y) != (y_1 > y)) & (x < x_0 + (y - y_0) * (x_1 - x_0) / (y_1 - y_0))
        return inside


Shape: TypeAlias = Rectangle | Circle | Polygon


def shapes(plan: FloorPlan, now: Saved) -> list[Shape]:
    """All that a picture consists of, from the ground up."""
    rows, columns = plan.shape
    found: list[Shape] = [Rectangle(0, 0, columns, rows, WALL)]
    # What stays stands in a wall, such as a switch.
    in_walls = {thing.cell for thing in plan.things if thing.kind.stays}
    for row, column in np.argwhere(~plan.walls).tolist():
        if (row, column) not in in_walls:
            found += [_square((row, column), 1, GRID), Rectangle(column, row, 1 - _LINE, 1 - _LINE, FLOOR)]
    if plan.target is not None:
        found.append(_square(plan.target, 0.8, TARGET))
    for cell in plan.cells(DOOR):
        found += _door(cell, is_open=all(now.done))
    for thing, done in zip(plan.things, now.done, strict=True):
        found += LOOKS[thing.kind.symbol](thing.cell, done)
    for cell, facing, colour in zip(now.positions, now.facing, AGENTS, strict=True):
        found += [_arrow(cell, facing, 1, EDGE), _arrow(cell, facing, 0.8, colour)]
    return found


def svg(plan: FloorPlan, now: Saved) -> str:
    """A picture as a document of its own; its title says in words who is where and what is done."""
    height, width = (UNITS * side for side in plan.shape)
    elements = "\n".join(shape.svg() for shape in shapes(plan, now))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"<title>{escape(in_words(plan, now))}</title>\n{elements}\n</svg>\n"
    )


def rgb_array(plan: FloorPlan, now: Saved, *, pixels_per_cell: int = 16) -> NDArray[np.uint8]:
    """The same picture as pixels `[rows * p, columns * p, 3]`; each has the colour of its centre.

    Args:
        plan: the rooms.
        now: who is where, and what is done.
        pixels_per_cell: `p`.
    """
    rows, columns = plan.shape
    y = (np.arange(rows * pixels_per_cell)[:, None] + 0.5) / pixels_per_cell
    x = (np.arange(columns * pixels_per_cell)[None, :] + 0.5) / pixels_per_cell
    pixels = np.zeros((len(y), x.size, 3), dtype=np.uint8)
    for shape in shapes(plan, now):
        pixels[shape.covers(x, y)] = tuple(bytes.fromhex(shape.fill[1:]))
    return pixels


def in_words(plan: FloorPlan, now: Saved) -> str:
    """One line that says who is where and what is done."""
    ways = {(-1, 0): "north", (1, 0): "south", (0, -1): "west", (0, 1): "east"}
    parts = [
        f"{name} at {cell} facing {ways[facing]}"
        for name, cell, facing in zip(plan.agents, now.positions, now.facing, strict=True)
    ]
    for kind in plan.kinds:
        done = [is_done for thing, is_done in zip(plan.things, now.done, strict=True) if thing.kind is kind]
        parts.append(f"{sum(done)} of {len(done)} {kind.plural} done")
    return f"Step {now.steps}: {'; '.join(parts)}"


def _door(cell: Cell, *, is_open: bool) -> Iterator[Shape]:
    """A leaf with a knob in a frame, or the frame alone."""
    yield _square(cell, 1, DOOR_FRAME)
    yield _square(cell, 0.8, FLOOR if is_open else DOOR_LEAF)
    if not is_open:
        yield Circle(cell[1] + 0.75, cell[0] + 0.5, 0.09, DOOR_KNOB)


def _switch(cell: Cell, done: bool) -> Iterator[Shape]:
    """A plate with a lever: down and dark, or up and blue on white."""
    row, column = cell
    yield Rectangle(column + 0.2, row + 0.1, 0.6, 0.8, PLATE_ON if done else PLATE_OFF)
    yield Rectangle(column + 0.3, row + (0.2 if done else 0.5), 0.4, 0.3, LEVER_ON if done else LEVER_OFF)


def _victim(cell: Cell, done: bool) -> Iterator[Shape]:
    """A cross, pale once healed."""
    reach, half = (0.25, 0.08) if done else (0.38, 0.13)
    y, x = cell[0] + 0.5, cell[1] + 0.5
    # One arm after the other, each a quarter of a turn on.
    turns = ((1, 0), (0, 1), (-1, 0), (0, -1))
    arm = ((-half, -reach), (half, -reach), (half, -half))
    corners = [(x + a * c - b * s, y + a * s + b * c) for c, s in turns for a, b in arm]
    yield Polygon(tuple(corners), VICTIM_DONE if done else VICTIM)


def _rubble(cell: Cell, done: bool) -> Iterator[Shape]:
    """A circle with an edge, small and pale once cleared."""
    y, x = cell[0] + 0.5, cell[1] + 0.5
    if done:
        yield Circle(x, y, 0.2, RUBBLE_DONE)
    else:
        yield from (Circle(x, y, 0.38, RUBBLE_EDGE), Circle(x, y, 0.32, RUBBLE))


LOOKS: Mapping[str, Callable[[Cell, bool], Iterator[Shape]]] = {"s": _switch, "v": _victim, "r": _rubble}
"""Symbol of a kind of things -> the shapes of one, by its cell and whether it is done."""


def _arrow(cell: Cell, facing: Cell, size: float, fill: str) -> Polygon:
    """A triangle whose tip shows where an agent faces."""
    (row, column), (down, right) = cell, facing

    def corner(ahead: float, aside: float) -> tuple[float, float]:
        forward, across = size * ahead, size * aside
        return column + 0.5 + forward * right - across * down, row + 0.5 + forward * down + across * right

    return Polygon((corner(0.45, 0), corner(-0.35, 0.38), corner(-0.35, -0.38)), fill)


def _square(cell: Cell, side: float, fill: str) -> Rectangle:
    """In the middle of a cell."""
    row, column = cell
    return Rectangle(column + (1 - side) / 2, row + (1 - side) / 2, side, side, fill)


def _units(length: float) -> str:
    return f"{UNITS * length:g}"
