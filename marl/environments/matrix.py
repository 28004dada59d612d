"""Repeated matrix games: two agents choose one of three actions at once, and only the pair decides the payoff.

Payoffs that no additive credit represents; the best pair is shadowed by punishment (Claus and Boutilier, 1998).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_AGENTS = 2
N_ACTIONS = 3
TIME_LIMIT = 25
NO_ACTION_YET = (-1, -1)
_PENALTY = re.compile(r"penalty-(0|[1-9]\d{0,2})", re.ASCII)


def payoff_matrix(environment_id: str) -> NDArray[np.float32]:
    """The team's payoff by the action of agent 0 (row) and of agent 1 (column), `[A, A]`.

    Args:
        environment_id: `climbing`, or `penalty-K` with `K` from 0 to 999.

    Raises:
        UnknownNameError: no such game.
    """
    if environment_id == "climbing":
        return np.array([[11, -30, 0], [-30, 7, 0], [0, 6, 5]], dtype=np.float32)
    fit = _PENALTY.fullmatch(environment_id)
    if fit is None:
        known = ("climbing", *(f"penalty-{k}" for k in (0, 25, 50, 75, 100)))
        raise UnknownNameError("matrix game", environment_id, known)
    k = -int(fit[1])
    return np.array([[k, 0, 10], [0, 2, 0], [10, 0, k]], dtype=np.float32)


@dataclass(frozen=True)
class Saved:
    steps: int
    last: tuple[int, int]


class MatrixGame:
    """A matrix game, repeated until the time limit; nothing in it is random, and its world never ends.

    An agent observes which of the two it is, one-hot. Each gets half of the payoff as its own reward, so that the
    team's reward, their sum, is the payoff.
    """

    n_agents = N_AGENTS
    n_actions = N_ACTIONS
    observation_size = N_AGENTS
    time_limit = TIME_LIMIT
    layout = StateLayout(
        (
            StateField(
                "last_joint_action",
                (N_AGENTS,),
                "action number",
                -1,
                N_ACTIONS - 1,
                "Action that each agent chose in the step before; -1 before the first step.",
                ("action",),
                (0,),
            ),
        )
    )

    def __init__(self, environment_id: str, arguments: Mapping[str, Any] | None = None) -> None:
        self.payoff = payoff_matrix(environment_id)
        if arguments:
            raise ConfigurationError(
                f"environment `{environment_id}` with {dict(arguments)}",
                cause="a matrix game takes no arguments",
                remedy="Remove the `arguments` of the task's environment.",
            )
        self._steps = 0
        self._last = NO_ACTION_YET

    def reset(self, seed: int) -> None:
        """Start an episode; they all start alike."""
        self._steps, self._last = 0, NO_ACTION_YET

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`."""
        row, column = actions
        self._steps += 1
        self._last = (row, column)
        half = float(self.payoff[row, column]) / N_AGENTS
        return StepResult((half, half), terminated=False, truncated=self._steps >= self.time_limit)

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        return np.array(self._last, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`."""
        return np.eye(N_AGENTS, dtype=np.float32)

    def available_actions(self) -> NDArray[np.bool_]:
        """All of them, `[N, A]`."""
        return np.ones((N_AGENTS, N_ACTIONS), dtype=np.bool_)

    def save(self) -> Saved:
        """A copy of all that decides the future."""
        return Saved(self._steps, self._last)

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot of this game, or of another one of the same id."""
        self._steps, self._last = snapshot.steps, snapshot.last

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """In every second step on average a best pair of actions, else a random pair, `[N]`."""
        pairs = np.argwhere(self.payoff == self.payoff.max())
        if rng.random() < 0.5:
            pairs = np.argwhere(np.isfinite(self.payoff))
        chosen: list[int] = pairs[rng.integers(len(pairs))].tolist()
        return chosen
