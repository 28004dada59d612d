"""What a program is generated or checked for: a task with its state layout and its probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qredit.layout import StateLayout
from qredit.probes import Probes
from qredit.task import Task

if TYPE_CHECKING:
    from qredit.contracts import States


@dataclass(frozen=True)
class Subject:
    """A task, the layout of its state, and real states of it."""

    name: str
    """Name of the task, or what stands in its place."""
    n_agents: int
    """`N`."""
    layout: StateLayout
    """The named fields of the state `[S]`."""
    probes: Probes
    """States of it, and what is known about them."""
    task: Task | None = None
    """The task, unless only sizes were given."""
    n_actions: int | None = None
    """Actions of each agent, where they are known: only then may a function share out the reward."""

    @property
    def states(self) -> States:
        """Probe states `[M, S]`."""
        return self.probes.states

    @property
    def exchangeable(self) -> bool:
        """Whether the agents are exchangeable, as far as is known."""
        return self.task is not None and self.task.exchangeable_agents

    @property
    def transitions(self) -> States | None:
        """Transitions of rollouts, state, actions and next state in one row, `[M, S + N + S]`; `None` if not known."""
        return self.probes.transitions
