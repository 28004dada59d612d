"""What a caller of `verify` gave, checked: what does not fit would otherwise be blamed on a candidate."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, get_args

from qredit.credit.schema import Form
from qredit.errors import ConfigurationError
from qredit.layout import StateLayout
from qredit.sandbox.functions import default_forms, wanted_functions

if TYPE_CHECKING:
    from qredit.contracts import States

MAX_ACTIONS: Final = 10_000
"""Most actions of an agent."""
MAX_ROWS: Final = 4096
"""Most probe states in one call, and most transitions."""


def require_counts(layout: StateLayout, n_agents: int, n_actions: int | None) -> None:
    """Refuse numbers of agents or actions that cannot be.

    Raises:
        ConfigurationError: too many actions or none, or an axis over the agents of another length.
    """
    if n_actions is not None and not 1 <= n_actions <= MAX_ACTIONS:
        raise ConfigurationError(
            f"{n_actions} actions", cause=f"there must be 1 to {MAX_ACTIONS}", remedy="Give the number per agent."
        )
    for field in layout.fields:
        wrong = [axis for axis in field.agent_axes if field.shape[axis] != n_agents]
        if wrong:
            raise ConfigurationError(
                f"state field `{field.name}` of shape {list(field.shape)}",
                cause=f"axis {wrong[0]} is said to run over the agents, of which there are {n_agents}",
                remedy="Correct `agent_axes` in the layout, or the number of agents.",
            )


def wanted_forms(
    forms: Collection[Form] | None, layout: StateLayout, n_agents: int, n_actions: int | None
) -> tuple[Form, ...]:
    """The forms that are wanted, in the order of their definition; those that give credit if nobody says.

    Raises:
        ConfigurationError: none, an unknown one, or one whose functions read actions of unknown number.
        TaskFileError: their functions may read transitions, of which the layout can give none.
    """
    if forms is None:
        return default_forms(n_actions)
    unknown = sorted(set(forms) - set(get_args(Form)))
    if unknown or not forms:
        raise ConfigurationError(
            f"form `{unknown[0]}`" if unknown else "no form",
            cause=f"the forms are {', '.join(get_args(Form))}",
            remedy="Name at least one of them, as a list.",
        )
    functions = wanted_functions(forms, n_actions)
    impossible = sorted(set(forms) - {function.form for function in functions})
    if impossible:
        raise ConfigurationError(
            f"form `{impossible[0]}` without the number of actions",
            cause="its functions read the agents' actions",
            remedy="Give `n_actions`, or leave this form out.",
        )
    if n_actions is not None and any(function.reads_transitions for function in functions):
        layout.transition(n_agents, n_actions)
    return tuple(form for form in get_args(Form) if form in forms)


def packed_rows(rows: States, size: int, what: str) -> bytes:
    """States or transitions `[M, size]` as bytes.

    Raises:
        ConfigurationError: another shape, or values that are not finite.
    """
    if rows.ndim != 2 or rows.shape[1] != size or not 1 <= rows.shape[0] <= MAX_ROWS:
        raise ConfigurationError(
            f"probe {what} of shape {list(rows.shape)}",
            cause=f"the layout needs [M, {size}] with M from 1 to {MAX_ROWS}",
            remedy=f"Give {what} of this task, and fewer of them if there are too many.",
        )
    values = rows.astype("<f4", order="C")
    if not (abs(values) < float("inf")).all():
        raise ConfigurationError(
            f"probe {what}", cause="some values are not finite", remedy="Correct the rollouts that they come from."
        )
    return values.tobytes()


def packed_transitions(rows: States | None, layout: StateLayout, n_agents: int, n_actions: int | None) -> bytes:
    """Transitions `[M', S + N + S]` as bytes; none if there are none, or if nothing may read them.

    Raises:
        ConfigurationError: another shape, or values that cannot be.
    """
    if rows is None or n_actions is None:
        return b""
    packed = packed_rows(rows, 2 * layout.size + n_agents, "transitions")
    actions = rows[:, layout.size : layout.size + n_agents]
    if not ((actions % 1 == 0) & (actions >= 0) & (actions < n_actions)).all():
        raise ConfigurationError(
            "probe transitions",
            cause=f"some action is no whole number from 0 to {n_actions - 1}",
            remedy="Put state, actions and next state in this order; `pack_transitions` does.",
        )
    return packed
