"""Floor plans: rooms drawn in text, with things in them that agents operate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Cell: TypeAlias = tuple[int, int]
"""Row and column."""
WALL, FLOOR, START, DOOR, TARGET = "#", ".", "+", "D", "T"
"""Symbols of a drawing: agents start on one of the cells `+`, doors open once all things are done."""


@dataclass(frozen=True)
class Kind:
    """A kind of things: switches, victims, pieces of rubble."""

    symbol: str
    """Where the drawing has them."""
    name: str
    """What one is called."""
    plural: str
    """What several are called."""
    done: str
    """Field of the state that says which are done: `switch_on`."""
    deed: str
    """What an agent does with one: `trigger`."""
    operators: tuple[int, ...]
    """Numbers of the agents that can do it."""
    stays: bool
    """Whether it stands in the way for ever; else only until it is done."""


@dataclass(frozen=True)
class Thing:
    """One thing."""

    kind: Kind
    cell: Cell


@dataclass(frozen=True)
class FloorPlan:
    """Rooms for a team of two.

    The task is complete when an agent enters the target or, without one, when all things are done.
    """

    drawing: tuple[str, ...]
    """Rows from north to south."""
    agents: tuple[str, ...]
    """What the agents are called, `[N]`."""
    kinds: tuple[Kind, ...]
    """Kinds of things; things count through in the order of their kinds, and of one kind row by row."""
    time_limit: int
    """`n_max`, steps."""

    def cells(self, symbol: str) -> tuple[Cell, ...]:
        """Where a symbol stands, row by row."""
        return tuple(
            (row, column) for row, line in enumerate(self.drawing) for column, c in enumerate(line) if c == symbol
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.drawing), len(self.drawing[0])

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        """All things, `[K]`."""
        return tuple(Thing(kind, cell) for kind in self.kinds for cell in self.cells(kind.symbol))

    @cached_property
    def walls(self) -> NDArray[np.bool_]:
        """Where nobody ever walks, things left aside, `[rows, columns]`."""
        return np.array([[symbol == WALL for symbol in line] for line in self.drawing])

    @cached_property
    def target(self) -> Cell | None:
        """The cell that has to be entered, if there is one."""
        return next(iter(self.cells(TARGET)), None)

    def solid(self, done: tuple[bool, ...], *, doors: bool = True) -> NDArray[np.bool_]:
        """Which cells nobody can enter now, agents left aside, `[rows, columns]`.

        Args:
            done: of each thing, whether it is done, `[K]`.
            doors: whether doors that are not open yet count.
        """
        solid = self.walls.copy()
        for thing, is_done in zip(self.things, done, strict=True):
            solid[thing.cell] |= thing.kind.stays or not is_done
        if doors and not all(done):
            for cell in self.cells(DOOR):
                solid[cell] = True
        return solid
