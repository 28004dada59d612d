"""The functions that a tensor program may define: what each is called, with which arguments, and which form it gives.

Host and jail read the same table: the host refuses orders that no function can meet, the jail finds the function.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qredit.credit.schema import Form


@dataclass(frozen=True)
class Function:
    """One name that a module may give to its function."""

    name: str
    """As it stands after `def`."""
    form: Form
    """Form of the credit graph that it becomes."""
    arguments: tuple[str, ...]
    """What it is called with, by position."""
    everyday: bool = False
    """Whether helper functions have such names too: beside a wanted function of another name, it is taken for one."""
    offered: bool = True
    """Whether messages name it."""

    @property
    def signature(self) -> str:
        """As messages show it: `credit(state)`."""
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def reads_transitions(self) -> bool:
        """Whether its input is a transition: state, actions and next state."""
        return "next_state" in self.arguments


_TRANSITION: Final = ("state", "actions", "next_state")
FUNCTIONS: Final = (
    Function("credit", "weights", ("state",)),
    Function("tfcaf", "general", ("agents_q", "state")),
    Function("QLLMNetwork", "general", ("agents_q", "state"), offered=False),
    Function("share", "shares", _TRANSITION, everyday=True),
    Function("value", "value", ("state",), everyday=True),
    Function("reward", "value", _TRANSITION, everyday=True),
)
"""All of them. `QLLMNetwork` is the name in listing 1 of the QLLM paper."""


def default_forms(n_actions: int | None) -> tuple[Form, ...]:
    """The forms that give credit; shares need the number of actions."""
    return ("weights", "general") if n_actions is None else ("weights", "general", "shares")


def wanted_functions(forms: Collection[str], n_actions: int | None) -> tuple[Function, ...]:
    """The functions of these forms; those that read transitions only where the number of actions is known."""
    return tuple(f for f in FUNCTIONS if f.form in forms and (n_actions is not None or not f.reads_transitions))
