"""Grid worlds of rooms: agents walk, face things and operate them; the rules of LCA's Two-Switch and Victim-Rubble.

A step has this order, and everything in it looks at the world as it was before:

1. Who walks turns that way, and enters the next cell if nothing is there: no wall, no closed door, no thing in the way,
   no agent, and no other agent that wants it, too.
2. Who acts does what it can do with the thing it faces; of two agents at one thing the lower number did it.
3. A thing that is done, or an agent that arrives at the target, is an event, worth 1 to every agent. The end of the
   task is worth 1 more, and every step costs `1 / n_max`.

(Nagpal et al. 2025, arXiv 2502.03723, section 5.1; what the paper leaves open is decision 0017.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.rooms.plan import START, Cell, FloorPlan
from qredit.marl.environments.rooms.plans import PLANS
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

STAY, NORTH, SOUTH, WEST, EAST, ACT = range(6)
STEPS: Mapping[int, Cell] = {NORTH: (-1, 0), SOUTH: (1, 0), WEST: (0, -1), EAST: (0, 1)}
"""Where an action that walks leads to."""


@dataclass(frozen=True)
class Saved:
    """All that decides the future: nothing is random after the start."""

    positions: tuple[Cell, ...]
    facing: tuple[Cell, ...]
    done: tuple[bool, ...]
    arrived: bool
    steps: int


class Rooms:
    """One world of rooms, by the id of its floor plan.

    Raises:
        UnknownNameError: no such plan.
        ConfigurationError: arguments; a plan takes none.
    """

    n_actions = 6

    def __init__(self, environment_id: str, arguments: Mapping[str, Any] | None = None) -> None:
        if environment_id not in PLANS:
            raise UnknownNameError("floor plan", environment_id, list(PLANS))
        if arguments:
            raise ConfigurationError(
                f"environment `{environment_id}` with {dict(arguments)}",
                cause="a floor plan takes no arguments",
                remedy="Remove the `arguments` of the task's environment.",
            )
        self.plan = PLANS[environment_id]
        self.n_agents = len(self.plan.agents)
        self.time_limit = self.plan.time_limit
        self.layout = layout(self.plan)
        self.observation_size = self.layout.size
        self.restore(self._first([(0, 0)] * self.n_agents))

    def reset(self, seed: int) -> None:
        """Start an episode: agents on different cells of the starting room, facing south."""
        rng = np.random.default_rng(seed)
        free = list(self.plan.cells(START))
        self.restore(self._first([free.pop(rng.integers(len(free))) for _ in range(self.n_agents)]))

    def _first(self, positions: Sequence[Cell]) -> Saved:
        done = (False,) * len(self.plan.things)
        return Saved(tuple(positions), (STEPS[SOUTH],) * self.n_agents, done, arrived=False, steps=0)

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`."""
        before, n = self.save(), self.n_agents
        facing = [STEPS.get(action, now) for action, now in zip(actions, before.facing, strict=True)]
        positions = walked(self.plan, before, actions)
        done, events = list(before.done), [0] * n
        for i, action in enumerate(actions):
            for k, thing in enumerate(self.plan.things):
                if action == ACT and not done[k] and i in thing.kind.operators and faced(before, i) == thing.cell:
                    done[k] = True
                    events[i] += 1
        arrived = False
        for i, position in enumerate(positions):
            if position == self.plan.target:
                arrived = True
                events[i] += 1
        over = arrived if self.plan.target else all(done)
        self.restore(Saved(tuple(positions), tuple(facing), tuple(done), arrived, before.steps + 1))
        # What everybody gets for an event goes to the agent whose doing it was: the sum is the same.
        rewards = tuple(float(n * events[i] + over - 1 / self.time_limit) for i in range(n))
        return StepResult(rewards, terminated=over, truncated=not over and self._now.steps >= self.time_limit)

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        now = self._now
        parts = [np.ravel(now.positions), np.ravel(now.facing), np.array(now.done)]
        return np.concatenate(parts).astype(np.float32)

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`: where it is and faces, the same of its teammates, and what is done."""
        now, sides = self._now, np.array(self.plan.shape) - 1
        seen = np.zeros((self.n_agents, self.observation_size), dtype=np.float32)
        for i in range(self.n_agents):
            order = [(i + k) % self.n_agents for k in range(self.n_agents)]
            bodies = [(*(2 * np.array(now.positions[j]) / sides - 1), *now.facing[j]) for j in order]
            seen[i] = [*np.ravel(bodies), *now.done]
        return seen

    def available_actions(self) -> NDArray[np.bool_]:
        """All of them, `[N, A]`."""
        return np.ones((self.n_agents, self.n_actions), dtype=np.bool_)

    def save(self) -> Saved:
        """A copy of all that decides the future."""
        return self._now

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot of this world, or of another one of the same plan."""
        self._now = snapshot

    def snapshot_of(self, state: NDArray[np.float32]) -> Saved:
        """The world in a state `[S]`, as if no step had been taken."""
        named = {name: values.astype(int).tolist() for name, values in self.layout.named(state).items()}
        done = [bool(flag) for kind in self.plan.kinds for flag in named[kind.done]]
        positions, facing = (tuple((a, b) for a, b in named[f]) for f in ("agent_position", "agent_facing"))
        return Saved(positions, facing, tuple(done), arrived=self.plan.target in positions, steps=0)

    def render(self) -> NDArray[np.uint8]:
        """A picture of the present state, `[rows * 16, columns * 16, 3]`; other sizes: `rooms.drawing.rgb_array`."""
        from qredit.marl.environments.rooms.drawing import rgb_array

        return rgb_array(self.plan, self._now)

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Mostly a step on the shortest way to the next thing that is to be done, `[N]`."""
        from qredit.marl.environments.rooms.duties import next_action

        random = rng.integers(0, self.n_actions, self.n_agents)
        mostly = rng.random(self.n_agents) < 0.8
        return [next_action(self.plan, self._now, i) if mostly[i] else int(random[i]) for i in range(self.n_agents)]


def faced(now: Saved, agent: int) -> Cell:
    """The cell before an agent."""
    (row, column), (down, right) = now.positions[agent], now.facing[agent]
    return row + down, column + right


def walked(plan: FloorPlan, now: Saved, actions: Sequence[int]) -> list[Cell]:
    """Where all agents are after their actions."""
    solid = plan.solid(now.done)
    wanted = []
    for (row, column), action in zip(now.positions, actions, strict=True):
        down, right = STEPS.get(action, (0, 0))
        cell = row + down, column + right
        wanted.append((row, column) if solid[cell] or cell in now.positions else cell)
    return [cell if wanted.count(cell) == 1 else here for cell, here in zip(wanted, now.positions, strict=True)]


def layout(plan: FloorPlan) -> StateLayout:
    """The state: where agents are and face, and which things are done."""
    n, far = len(plan.agents), max(plan.shape) - 1
    who = "; ".join(f"row {i}: the {name}" for i, name in enumerate(plan.agents))
    fields = [
        StateField(
            "agent_position",
            (n, 2),
            "cells",
            0,
            far,
            f"Row (counted from the north) and column (from the west) of each agent; {who}.",
            ("agents",),
            (0,),
        ),
        StateField(
            "agent_facing",
            (n, 2),
            "-1, 0 or 1",
            -1,
            1,
            "Way each agent faces, in rows and columns: (-1, 0) is north, (0, 1) is east.",
            ("facing",),
            (0,),
        ),
    ]
    for kind in plan.kinds:
        places = ", ".join(f"({row}, {column})" for row, column in plan.cells(kind.symbol))
        count = len(plan.cells(kind.symbol))
        words = f"1 once the {kind.name} at this place is done, else 0; the places, as row and column: {places}."
        fields.append(StateField(kind.done, (count,), "flag", 0, 1, words, (kind.plural.replace(" ", "_"),)))
    return StateLayout(tuple(fields))
