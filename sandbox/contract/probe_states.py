"""The states or transitions on which a function is probed: those of rollouts, and edges that rollouts rarely reach."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qredit.layout import StateField, StateLayout

MAX_FIELDS = 16
"""How many fields are driven to their bounds one by one."""
PER_EDGE = 3
"""From how many rollout states each such edge state is made."""
UNBOUNDED = 1e6
"""A field whose declared bound is larger takes the largest value seen instead."""
SEED = 20_250_418
SHOWN = 240
"""How many characters of a state stand in a message."""


Rows = Literal["rollout state", "rollout transition", "made-up transition"]
"""What a row is, as messages name it; `transitions` makes the last out of states."""


@dataclass(frozen=True)
class ProbeStates:
    """Rollout states first, edge states after them; or transitions in their place."""

    layout: StateLayout
    """What the numbers mean."""
    states: Tensor
    """`[K, S]`, float32."""
    n_rollout: int
    """How many of the first states come from rollouts."""
    edges: tuple[str, ...]
    """Name of each edge state."""
    rows: Rows = "rollout state"
    """What each of the first is."""

    @property
    def noun(self) -> str:
        """`state` or `transition`."""
        return self.rows.split()[-1]

    @property
    def caveat(self) -> str:
        """What a warning about all rows has to add, with a blank before it."""
        if self.rows != "made-up transition":
            return ""
        return " These are made of real states, but are no steps of a rollout: rare events may be missing."

    def describe(self, index: int) -> str:
        """Which row it is, with its values by field, for a message."""
        name = f"{self.rows} {index}" if index < self.n_rollout else self.edges[index - self.n_rollout]
        parts = [f"{key}={_short(value)}" for key, value in self.layout.named(self.states[index]).items()]
        values = ", ".join(parts)
        return f"{name} ({values if len(values) <= SHOWN else values[: SHOWN - 3] + '...'})"


def probe_states(layout: StateLayout, rollout: Tensor, rows: Rows = "rollout state") -> ProbeStates:
    """Add edge states to rollout states `[M, S]`, or to transitions.

    The edge states: all zeros (a padded step of an episode), all values at their low and at their high bound, and
    parts of rollout states at a bound: each field alone, and all fields of one entity, which is how an entity that is
    gone is written. Values outside the declared bounds are not tried, since they cannot occur.
    """
    low, high = _bounds(layout, rollout)
    edges = [torch.zeros(layout.size), low, high]
    noun = rows.split()[-1]
    names = [
        f"the all-zero {noun}",
        f"the {noun} with every value at its low bound",
        f"the {noun} with every value at its high bound",
    ]
    step = max(1, rollout.shape[0] // PER_EDGE)
    for label, mask in _parts(layout):
        for base in rollout[::step][:PER_EDGE]:
            for bound, word in ((low, "low"), (high, "high")):
                edges.append(torch.where(mask, bound, base))
                names.append(f"a {rows} with {label} at the {word} bound")
    states = torch.cat([rollout, torch.stack(edges)])
    return ProbeStates(layout=layout, states=states, n_rollout=rollout.shape[0], edges=tuple(names), rows=rows)


def transitions(states: Tensor, n_agents: int, n_actions: int) -> Tensor:
    """Transitions `[M, S + N + S]` out of states `[M, S]`: each with random actions and another state after it.

    They are no steps of a rollout: a function is checked on states that occur, but not on what follows what.
    """
    generator = torch.Generator().manual_seed(SEED)
    actions = torch.randint(0, n_actions, (len(states), n_agents), generator=generator)
    return torch.cat([states, actions.to(states.dtype), states.roll(1, dims=0)], dim=1)


def _bounds(layout: StateLayout, rollout: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of each number of the state, each `[S]`."""
    low, high = rollout.amin(dim=0), rollout.amax(dim=0)
    for field, part in layout.slices():
        low[part] = field.low if _bounded(field.low) else low[part]
        high[part] = field.high if _bounded(field.high) else high[part]
    return low, high


def _bounded(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= UNBOUNDED


def _parts(layout: StateLayout) -> Iterator[tuple[str, Tensor]]:
    """Each field alone, then all fields of each entity, as masks `[S]`."""
    fields = list(layout.slices())
    for field, _ in fields[:MAX_FIELDS]:
        yield f"`{field.name}`", _mask(layout, {field})
    for entity in sorted({e for field, _ in fields for e in field.entities})[:MAX_FIELDS]:
        yield f"all fields of `{entity}`", _mask(layout, {f for f, _ in fields if entity in f.entities})


def _mask(layout: StateLayout, chosen: set[StateField]) -> Tensor:
    mask = torch.zeros(layout.size, dtype=torch.bool)
    for field, part in layout.slices():
        mask[part] = field in chosen
    return mask


def _short(value: Tensor) -> str:
    """A tensor's numbers with three significant digits."""
    if value.ndim == 0:
        return f"{value.item():.3g}"
    return "[" + ", ".join(_short(part) for part in value) + "]"
