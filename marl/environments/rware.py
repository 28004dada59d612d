"""Robotic warehouses: the official `rware` package as a simulator.

The package reports its time limit as the end of the world. A warehouse never ends by itself, so that every episode is
truncated at its limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.layout import StateField, StateLayout
from qredit.marl.environments.rware_observing import OWN, PER_CELL, observe
from qredit.marl.environments.rware_official import make_official
from qredit.marl.environments.rware_script import STEPS, TOGGLE, Floor, Worker, scripted_work
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_ACTIONS = TOGGLE + 1
NO_ACTION_YET = -1


@dataclass(frozen=True)
class Saved:
    """A snapshot; shelves are named by their numbers, from 1, which are the same in every warehouse of this form."""

    agents: tuple[tuple[int, int, Any, int, bool], ...]
    """x, y, direction, number of the carried shelf or 0, and whether it was delivered since it was picked up."""
    shelves: tuple[tuple[int, int], ...]
    """x and y."""
    requests: tuple[int, ...]
    steps: int
    idle_steps: int
    last_actions: tuple[int, ...]
    generator: Mapping[str, Any]


class Warehouse:
    """One official warehouse. Requested shelves keep their places in the state until they are delivered."""

    def __init__(self, environment_id: str, arguments: Mapping[str, Any] | None = None) -> None:
        self.official = make_official(environment_id, arguments or {})
        """The package's own environment, for tests that reach into the world."""
        self.official._make_obs = _nothing  # `observe` finds the same numbers in a third of the time
        self.official.reset(seed=0)  # before it the package has no agents and no shelves, and nothing could be restored
        self.n_agents = int(self.official.n_agents)
        self.n_actions = N_ACTIONS
        self.layout = _layout(self.official)
        self.observation_size = OWN + PER_CELL * (2 * self.official.sensor_range + 1) ** 2
        self.time_limit = int(self.official.max_steps)
        self._all_available = np.ones((self.n_agents, N_ACTIONS), dtype=np.bool_)
        self._last_actions = (NO_ACTION_YET,) * self.n_agents

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self.official.reset(seed=seed)
        self._last_actions = (NO_ACTION_YET,) * self.n_agents

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`; what is impossible does nothing."""
        chosen = [int(action) for action in actions]
        _, rewards, _, _, _ = self.official.step(chosen)
        self._last_actions = tuple(chosen)
        return StepResult(
            agent_rewards=tuple(float(reward) for reward in rewards),
            terminated=False,
            truncated=self.official._cur_steps >= self.time_limit,
        )

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        agents, queue = self.official.agents, self.official.request_queue
        numbers = [
            *(number for agent in agents for number in (agent.y, agent.x)),
            *(number for agent in agents for number in STEPS[agent.dir.value]),
            *(agent.carrying_shelf is not None for agent in agents),
            *(agent.carrying_shelf in queue for agent in agents),
            *(number for shelf in queue for number in (shelf.y, shelf.x)),
            *(number for x, y in self.official.goals for number in (y, x)),
            *self._last_actions,
        ]
        return np.array(numbers, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`."""
        return observe(self.official)

    def available_actions(self) -> NDArray[np.bool_]:
        """All of them, `[N, A]`: an impossible one does nothing."""
        return self._all_available

    def save(self) -> Saved:
        """A copy of all that decides the future."""
        official = self.official
        return Saved(
            agents=tuple(
                (int(a.x), int(a.y), a.dir, a.carrying_shelf.id if a.carrying_shelf else 0, a.has_delivered)
                for a in official.agents
            ),
            shelves=tuple((int(shelf.x), int(shelf.y)) for shelf in official.shelfs),
            requests=tuple(shelf.id for shelf in official.request_queue),
            steps=official._cur_steps,
            idle_steps=official._cur_inactive_steps,
            last_actions=self._last_actions,
            generator=official.np_random.bit_generator.state,
        )

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot of this simulator, or of another one of the same environment."""
        official = self.official
        for shelf, (x, y) in zip(official.shelfs, snapshot.shelves, strict=True):
            shelf.x, shelf.y = x, y
        for agent, (x, y, direction, shelf_id, delivered) in zip(official.agents, snapshot.agents, strict=True):
            agent.x, agent.y, agent.dir, agent.has_delivered = x, y, direction, delivered
            agent.carrying_shelf = official.shelfs[shelf_id - 1] if shelf_id else None
        official.request_queue = [official.shelfs[shelf_id - 1] for shelf_id in snapshot.requests]
        official._cur_steps, official._cur_inactive_steps = snapshot.steps, snapshot.idle_steps
        official.np_random.bit_generator.state = snapshot.generator
        official._recalc_grid()
        self._last_actions = snapshot.last_actions

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Each agent fetches the nearest requested shelf, takes it to the nearest goal and puts it back, `[N]`."""
        official = self.official
        rows, columns = official.grid_size
        carried = {agent.carrying_shelf for agent in official.agents}
        workers = tuple(
            Worker(
                (int(a.y), int(a.x)),
                a.dir.value,
                a.carrying_shelf is not None,
                a.carrying_shelf in official.request_queue,
            )
            for a in official.agents
        )
        floor = Floor(
            rows=rows,
            columns=columns,
            workers=workers,
            shelves=frozenset((int(s.y), int(s.x)) for s in official.shelfs if s not in carried),
            requests=tuple((int(s.y), int(s.x)) for s in official.request_queue if s not in carried),
            goals=tuple((y, x) for x, y in official.goals),
            slots=frozenset((int(row), int(column)) for row, column in np.argwhere(official.highways == 0)),
        )
        return scripted_work(floor, rng)


def _nothing(_agent: object) -> None:
    """In place of an observation that nobody reads."""


def _layout(official: Any) -> StateLayout:
    n, far = int(official.n_agents), float(max(official.grid_size) - 1)
    requests, goals = int(official.request_queue_size), len(official.goals)
    return StateLayout(
        (
            _of_agents("position", (n, 2), "cells", 0, far, "Row and column of each agent, from 0 at the top left."),
            _of_agents(
                "direction",
                (n, 2),
                "cells",
                -1,
                1,
                "Where each agent faces, as what FORWARD adds to its row and column: (-1, 0) up, (1, 0) down, (0, -1) "
                "left, (0, 1) right.",
            ),
            StateField("carrying", (n,), "flag", 0, 1, "1 for an agent that carries a shelf.", ("load",), (0,)),
            StateField(
                "carrying_requested",
                (n,),
                "flag",
                0,
                1,
                "1 for an agent that carries a shelf which is requested; one that carries a shelf which is not has to "
                "put it down before it can take another.",
                ("load", "request"),
                (0,),
            ),
            StateField(
                "request_position",
                (requests, 2),
                "cells",
                0,
                far,
                "Row and column of each requested shelf, wherever it is now, carried ones included. Each keeps its "
                "slot until it is delivered; then another shelf gets the slot.",
                ("request", "shelf_position"),
            ),
            StateField("goal_position", (goals, 2), "cells", 0, far, "Row and column of each goal cell.", ("goal",)),
            StateField(
                "last_action",
                (n,),
                "action number",
                NO_ACTION_YET,
                N_ACTIONS - 1,
                "Action that each agent chose in the step before; -1 before the first step.",
                ("action",),
                (0,),
            ),
        )
    )


def _of_agents(what: str, shape: tuple[int, ...], unit: str, low: float, high: float, meaning: str) -> StateField:
    return StateField(f"agent_{what}", shape, unit, low, high, meaning, (f"agent_{what}",), (0,))
