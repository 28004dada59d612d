"""Passengers: more agents in a team, whose actions do nothing, so that the credit which they deserve is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.simulator import Simulator, Snapshot, StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray


class InertAgents:
    """A simulator with `count` more agents at the end of the team.

    A passenger sees what agent `i mod n` of the `n` real agents sees, may choose the same actions, and gets reward 0.
    The state is that of the simulator and a last field `active` (1 for agents whose actions count, 0 for passengers);
    the other fields lose their `agent_axes`, because they are about fewer agents than the team has.
    """

    def __init__(self, simulator: Simulator, count: int) -> None:
        if count < 1:
            raise ConfigurationError(
                f"{count} inert agents", cause="a team gets at least one of them or none", remedy="Leave them out."
            )
        self.simulator = simulator
        """The simulator without passengers."""
        n = simulator.n_agents
        self.n_agents = n + count
        self.n_actions = simulator.n_actions
        self.observation_size = simulator.observation_size
        self.time_limit = simulator.time_limit
        self.layout = StateLayout((*(_about_the_first(n, f) for f in simulator.layout.fields), _active(self.n_agents)))
        self._count = count
        self.model = np.arange(self.n_agents) % n
        """The real agent whose observations and actions each agent has, `[N]`."""
        self.active = (np.arange(self.n_agents) < n).astype(np.float32)
        """1 for each real agent, 0 for each passenger, `[N]`."""

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self.simulator.reset(seed)

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`; those of passengers go nowhere."""
        result = self.simulator.step(actions[: self.simulator.n_agents])
        return dataclasses.replace(result, agent_rewards=(*result.agent_rewards, *[0.0] * self._count))

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        return np.concatenate([self.simulator.state(), self.active])

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`."""
        return self.simulator.observations()[self.model]

    def available_actions(self) -> NDArray[np.bool_]:
        """Which actions each agent may choose, `[N, A]`."""
        return self.simulator.available_actions()[self.model]

    def save(self) -> Snapshot:
        """A copy of all that decides the future."""
        return self.simulator.save()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this simulator, or of another one of the same environment."""
        self.simulator.restore(snapshot)

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """The scripted team of the simulator, `[N]`; passengers choose at random."""
        available = self.available_actions()[self.simulator.n_agents :]
        idle = [int(rng.choice(np.flatnonzero(row))) for row in available]
        return [*self.simulator.scripted_actions(rng), *idle]


def _about_the_first(n: int, field: StateField) -> StateField:
    if not field.agent_axes:
        return field
    return dataclasses.replace(
        field, agent_axes=(), others_axis=None, meaning=f"{field.meaning} Only about the first {n} agents."
    )


def _active(n_agents: int) -> StateField:
    return StateField(
        "active",
        (n_agents,),
        "flag",
        0,
        1,
        "1 for an agent whose actions count, 0 for a passenger, whose actions do nothing.",
        (),
        (0,),
    )
