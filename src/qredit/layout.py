"""The layout of a task's global state: which numbers stand where, and what they mean.

The layout comes from the environment adapter's code (or from a user's task file); the prompt, the jail and the trainer
all read it, so that no prompt text ever holds an offset written by hand.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from qredit.errors import ConfigurationError, TaskFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.contracts import States

FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
ArrayT = TypeVar("ArrayT")


@dataclass(frozen=True)
class StateField:
    """One named block of the global state."""

    name: str
    """Identifier in lower case, as the credit function reads it: `state["agent_position"]`."""
    shape: tuple[int, ...]
    """Shape without the batch dimension; `(N, 2)` for one position per agent, `()` for one number."""
    unit: str
    """Unit of the values: `cells`, `level`, `index`, `m/s`."""
    low: float
    """Smallest value that occurs."""
    high: float
    """Largest value that occurs."""
    meaning: str
    """One sentence for the prompt: what it is and what special values mean."""
    entities: tuple[str, ...] = ()
    """The simulator's entities that this field depends on, such as `agents` or `foods`; a test perturbs each."""
    agent_axes: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """Axes of `shape` that run over the agents, in their order: `(0,)` for one position per agent.

    It says more about the same numbers, so that fields which differ in it alone count as equal.
    """
    others_axis: int | None = dataclasses.field(default=None, compare=False)
    """Axis of `shape` that runs over the OTHER agents, in their order, of the agent on the first of `agent_axes`:
    1 for what each agent sees of each other one, `(N, N - 1, 2)`."""
    typical: float | None = dataclasses.field(default=None, compare=False)
    """Magnitude of most values, where the bounds lie far beyond it. Critics see values divided by it, and brought to
    [0, 1] by the bounds without it: a position near 1 that may reach 20 would hardly move there."""

    def __post_init__(self) -> None:
        if not FIELD_NAME.fullmatch(self.name):
            raise TaskFileError(
                f"state field `{self.name}`",
                cause="the name is not a lower-case identifier of at most 40 characters",
                remedy="Use letters a-z, digits and underscores, such as `agent_position`.",
            )
        if any(d < 1 for d in self.shape) or self.size > 100_000:
            raise TaskFileError(
                f"state field `{self.name}` of shape {self.shape}",
                cause="each dimension must be at least 1 and the field at most 100000 numbers",
                remedy="Correct the shape; use `[]` for a single number.",
            )

        if not self.low <= self.high:
            raise TaskFileError(
                f"state field `{self.name}` with values from {self.low} to {self.high}",
                cause="the smallest value must not be above the largest, and both must be numbers",
                remedy="Correct `low` and `high`; `-.inf` and `.inf` stand for no bound.",
            )
        if self.typical is not None and not (math.isfinite(self.typical) and self.typical > 0):
            raise TaskFileError(
                f"state field `{self.name}` with `typical` {self.typical}",
                cause="a magnitude must be above 0 and finite",
                remedy="Give the magnitude of most values, or leave it out.",
            )
        if len(set(self.agent_axes)) < len(self.agent_axes) or not set(self.agent_axes) <= set(range(len(self.shape))):
            raise TaskFileError(
                f"state field `{self.name}` with `agent_axes` {list(self.agent_axes)}",
                cause=f"its shape {list(self.shape)} has no such axes",
                remedy="Name each axis that runs over the agents once, from 0.",
            )
        if self.others_axis is not None and not self._has_others():
            raise TaskFileError(
                f"state field `{self.name}` with `others_axis` {self.others_axis}",
                cause=f"its shape {list(self.shape)} has no axis of the others beside an axis of the agents",
                remedy="Name an axis that is one shorter than the first of `agent_axes`, and not one of them.",
            )

    def _has_others(self) -> bool:
        axis = self.others_axis
        if axis is None or not self.agent_axes or axis in self.agent_axes or not 0 <= axis < len(self.shape):
            return False
        return self.shape[axis] == self.shape[self.agent_axes[0]] - 1

    @property
    def size(self) -> int:
        """How many numbers the field holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class StateLayout:
    """The named fields of a global state, in the order in which they stand in the flat vector `[S]`."""

    fields: tuple[StateField, ...]

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice or not names:
            raise TaskFileError(
                "state layout",
                cause=f"field `{twice[0]}` stands there twice" if twice else "it has no fields",
                remedy="Give each field of the state one name.",
            )

    @property
    def size(self) -> int:
        """`S`, the length of the flat state."""
        return sum(f.size for f in self.fields)

    def slices(self) -> Iterator[tuple[StateField, slice]]:
        """Each field with the slice of the flat state that it occupies."""
        start = 0
        for field in self.fields:
            yield field, slice(start, start + field.size)
            start += field.size

    def named(self, state: ArrayT) -> dict[str, ArrayT]:
        """Split a flat state `[..., S]` (numpy or torch) into views by name, each `[..., *field.shape]`.

        Raises:
            ValueError: the last dimension is not `S`; slicing alone would leave numbers out without a word.
        """
        array: Any = state
        if array.shape[-1] != self.size:
            raise ValueError(f"the state has {array.shape[-1]} numbers, the layout {self.size}")
        lead = tuple(array.shape[:-1])
        return {f.name: array[..., part].reshape(lead + f.shape) for f, part in self.slices()}

    def renumbered(self, states: ArrayT, order: Sequence[int]) -> ArrayT:
        """States `[..., S]` (numpy or torch) in which agent `i` is the one that was agent `order[i]`.

        Only what `agent_axes` and `others_axis` name moves.

        Raises:
            ValueError: an axis has another length than `order`.
        """
        numbers = list(range(self.size))
        for field, part in self.slices():
            numbers[part] = _moved(numbers[part], field, list(order))
        array: Any = states
        return array[..., numbers]  # type: ignore[no-any-return]

    def unchanged(self, before: ArrayT, after: ArrayT) -> ArrayT:
        """Of which agents nothing that is about them has changed, `[..., N]`, of states `[..., S]` (torch).

        Raises:
            ValueError: no field is about agents.
        """
        a: Any = before
        b: Any = after
        moved: Any = None
        lead = tuple(a.shape[:-1])
        for field, part in self.slices():
            if field.agent_axes:
                different = (a[..., part] != b[..., part]).reshape(lead + field.shape)
                different = different.movedim(len(lead) + field.agent_axes[0], len(lead))
                rows = different.reshape((*lead, field.shape[field.agent_axes[0]], -1)).any(-1)
                moved = rows if moved is None else moved | rows
        if moved is None:
            raise ValueError("no field of the state is about agents: `agent_axes` are missing")
        return ~moved  # type: ignore[no-any-return]

    def transition(self, n_agents: int, n_actions: int) -> StateLayout:
        """The layout of a transition `[S + N + S]`: this state, the action that each agent chose, the next state.

        Raises:
            TaskFileError: a field of the state has the name that a field of the transition gets.
        """
        action = StateField(
            "chosen_action", (n_agents,), "action number", 0, n_actions - 1, "What each agent chose.", (), (0,)
        )
        after = (dataclasses.replace(f, name=f"next_{f.name}"[:40]) for f in self.fields)
        return StateLayout((*self.fields, action, *after))

    def to_json(self) -> list[dict[str, Any]]:
        """The layout as JSON data; `from_json` reads it back."""
        return [
            {
                "name": f.name,
                "shape": list(f.shape),
                "unit": f.unit,
                "low": f.low,
                "high": f.high,
                "meaning": f.meaning,
                "entities": list(f.entities),
                "agent_axes": list(f.agent_axes),
                "others_axis": f.others_axis,
                **({} if f.typical is None else {"typical": f.typical}),
            }
            for f in self.fields
        ]

    @staticmethod
    def from_json(data: Sequence[Mapping[str, Any]]) -> StateLayout:
        """Read what `to_json` wrote.

        Raises:
            TaskFileError: a field is malformed.
        """
        try:
            return StateLayout(
                tuple(
                    StateField(
                        name=str(item["name"]),
                        shape=tuple(operator.index(d) for d in item["shape"]),
                        unit=str(item["unit"]),
                        low=float(item["low"]),
                        high=float(item["high"]),
                        meaning=str(item["meaning"]),
                        entities=tuple(str(e) for e in item.get("entities", ())),
                        agent_axes=tuple(operator.index(a) for a in item.get("agent_axes", ())),
                        others_axis=None if item.get("others_axis") is None else operator.index(item["others_axis"]),
                        typical=None if item.get("typical") is None else float(item["typical"]),
                    )
                    for item in data
                )
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise TaskFileError(
                "state layout", cause=f"malformed field ({error!r})", remedy="Write it with `StateLayout.to_json`."
            ) from error


def pack_transitions(states: States, actions: NDArray[np.integer[Any]], next_states: States) -> States:
    """Transitions `[M, S + N + S]`, in the order of `StateLayout.transition`.

    Args:
        states: `[M, S]`.
        actions: number of the action that each agent chose there, `[M, N]`.
        next_states: the states that followed, `[M, S]`.

    Raises:
        ConfigurationError: the shapes do not fit each other.
    """
    import numpy as np

    shapes = [list(part.shape) for part in (states, actions, next_states)]
    if states.ndim != 2 or actions.ndim != 2 or shapes[2] != shapes[0] or shapes[1][0] != shapes[0][0]:
        raise ConfigurationError(
            f"states {shapes[0]}, actions {shapes[1]}, next states {shapes[2]}",
            cause="they must be [M, S], [M, N] and [M, S]",
            remedy="Give one row per step to each of them.",
        )
    return np.concatenate([states, actions, next_states], axis=1, dtype=np.float32, casting="unsafe")


def _moved(numbers: list[int], field: StateField, order: list[int]) -> list[int]:
    """The numbers of one field after its agents have been put in this order."""
    for axis in field.agent_axes:
        if field.shape[axis] != len(order):
            raise ValueError(
                f"axis {axis} of `{field.name}` has {field.shape[axis]} entries, there are {len(order)} agents"
            )
    if not field.agent_axes:
        return numbers
    strides = [math.prod(field.shape[axis + 1 :]) for axis in range(len(field.shape))]
    places = (_place_before(place, field, order) for place in itertools.product(*map(range, field.shape)))
    return [numbers[sum(map(operator.mul, place, strides))] for place in places]


def _place_before(place: tuple[int, ...], field: StateField, order: list[int]) -> list[int]:
    """Where the number that now stands at `place` of a field stood before its agents were put in this order."""
    before = list(place)
    for axis in field.agent_axes:
        before[axis] = order[place[axis]]
    if field.others_axis is not None:
        agent, other = place[field.agent_axes[0]], place[field.others_axis]
        other += other >= agent  # its own number: an agent is left out of its own row of others
        before[field.others_axis] = order[other] - (order[other] > order[agent])
    return before
