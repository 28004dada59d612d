"""Level-Based Foraging: the official `lbforaging` package behind the batched interface.

The package reports its time limit as the end of the world. Here `terminated` means that no food is left and
`truncated` that the limit cut the episode off, so that learners can bootstrap.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl.environment import TimeStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_ACTIONS = 6
NO_ACTION_YET = -1
ABSENT = (-1, -1, 0)
"""Row, column and level of what is not there or not seen."""

Thing = tuple[int, int, int]
"""Row, column and level of an agent or a food."""


class LevelBasedForaging:
    """`B` official environments that step one after the other in this thread.

    The simulators' own observations cost two thirds of a step, so they are left out, and the same numbers are written
    straight into the arrays (`observe`; a test compares both in lockstep).
    """

    def __init__(self, environment_id: str, n_environments: int, arguments: Mapping[str, Any] | None = None) -> None:
        self._simulators = [_make(environment_id, dict(arguments or {})) for _ in range(n_environments)]
        first = self._simulators[0]
        self.layout = _layout(first)
        self.n_environments = n_environments
        self.n_agents = len(first.players)
        self.n_actions = N_ACTIONS
        self.observation_size = int(first.observation_space[0].shape[0])
        self.time_limit = int(first._max_episode_steps)
        self._sight = int(first.sight)
        self._shows_levels = bool(first._observe_agent_levels)
        self._food_cells: list[list[tuple[int, int]]] = [[] for _ in range(n_environments)]
        b, n = n_environments, self.n_agents
        self._now = TimeStep(
            observations=np.zeros((b, n, self.observation_size), dtype=np.float32),
            states=np.zeros((b, self.layout.size), dtype=np.float32),
            available_actions=np.ones((b, n, N_ACTIONS), dtype=np.bool_),
            rewards=np.zeros(b, dtype=np.float32),
            agent_rewards=np.zeros((b, n), dtype=np.float32),
            terminated=np.zeros(b, dtype=np.bool_),
            truncated=np.ones(b, dtype=np.bool_),
        )

    def reset(self, seeds: Sequence[int]) -> TimeStep:
        """Start an episode in the first `len(seeds)` environments; the others count as ended."""
        now = self._now
        now.rewards.fill(0)
        now.agent_rewards.fill(0)
        now.terminated.fill(False)
        now.truncated.fill(True)
        for b, seed in enumerate(seeds):
            simulator = self._simulators[b]
            for player in simulator.players:
                # Players keep their cells over a reset, and new ones avoid them: forget, so that only the seed counts.
                player.position = None
            simulator.reset(seed=int(seed))
            now.truncated[b] = False
            self._food_cells[b] = [(int(row), int(column)) for row, column in np.argwhere(simulator.field > 0)]
            self._show(b, [NO_ACTION_YET] * self.n_agents)
        return now

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step the environments whose episode is not over with `actions [B, N]`."""
        now = self._now
        now.rewards.fill(0)
        now.agent_rewards.fill(0)
        for b in np.flatnonzero(~now.ended).tolist():
            simulator, chosen = self._simulators[b], actions[b].tolist()
            _, rewards, _, _, _ = simulator.step(chosen)
            now.agent_rewards[b] = rewards
            now.rewards[b] = sum(rewards)
            food_left = self._show(b, chosen)
            now.terminated[b] = not food_left
            now.truncated[b] = food_left and simulator.current_step >= self.time_limit
        return now

    def _show(self, b: int, last_actions: list[int]) -> bool:
        """Fill `states[b]` in the order of the layout, and `observations[b]`; whether any food is left."""
        simulator = self._simulators[b]
        field = simulator.field
        agents = [(int(p.position[0]), int(p.position[1]), int(p.level)) for p in simulator.players]
        # Slots are fixed at reset, in row-major order; an eaten food leaves its slot empty.
        slots = [(r, c, int(field[r, c])) if field[r, c] else ABSENT for r, c in self._food_cells[b]]
        slots += [ABSENT] * (simulator.max_num_food - len(slots))
        foods = [food for food in slots if food is not ABSENT]
        self._now.states[b] = [
            *(number for row, column, _ in agents for number in (row, column)),
            *(level for _, _, level in agents),
            *(number for row, column, _ in slots for number in (row, column)),
            *(level for _, _, level in slots),
            *last_actions,
        ]
        self._now.observations[b] = [
            observe(i, agents, foods, sight=self._sight, n_foods=len(slots), with_levels=self._shows_levels)
            for i in range(self.n_agents)
        ]
        return bool(foods)


def observe(
    i: int, agents: Sequence[Thing], foods: Sequence[Thing], *, sight: int, n_foods: int, with_levels: bool
) -> list[int]:
    """What agent `i` sees, as the package writes it, `[O]`: foods, itself, then the other agents.

    Coordinates count from the corner of the window of `sight` cells around it, which the board's edge clips.

    Args:
        agents: all agents.
        foods: the foods that are left, row-major.
        n_foods: how many places the observation has for foods.
        with_levels: whether it holds the agents' levels.
    """
    row, column, _ = agents[i]
    top, left = max(row - sight, 0), max(column - sight, 0)
    seen: list[int] = []
    for r, c, level in foods:
        if abs(r - row) <= sight and abs(c - column) <= sight:
            seen += (r - top, c - left, level)
    seen += ABSENT * (n_foods - len(seen) // 3)
    in_order = [agents[i], *agents[:i], *agents[i + 1 :]]
    shown = 0
    for r, c, level in in_order:
        # The package compares with the whole window, clipped or not, so a clipped one shows agents beyond its edge.
        if 0 <= r - top <= 2 * sight and 0 <= c - left <= 2 * sight:
            seen += (r - top, c - left, level) if with_levels else (r - top, c - left)
            shown += 1
    return [*seen, *(ABSENT if with_levels else ABSENT[:2]) * (len(agents) - shown)]


def _layout(simulator: Any) -> StateLayout:
    n, f = len(simulator.players), simulator.max_num_food
    rows, columns = simulator.field_size
    top_player = float(max(simulator.max_player_level))
    top_food = simulator.max_food_level
    top_food = float(max(top_food)) if top_food is not None else float(sum(sorted(simulator.max_player_level)[:3]))
    far = float(max(rows, columns) - 1)
    return StateLayout(
        (
            StateField(
                "agent_position",
                (n, 2),
                "cells",
                0,
                far,
                "Row and column of each agent, from 0.",
                ("agent_position",),
                (0,),
            ),
            StateField(
                "agent_level",
                (n,),
                "level",
                1,
                top_player,
                "Level of each agent; the levels of all agents that load a food together must reach the food's level.",
                ("agent_level",),
                (0,),
            ),
            StateField(
                "food_position",
                (f, 2),
                "cells",
                -1,
                far,
                "Row and column of each food; (-1, -1) once it is eaten. Each food keeps its slot.",
                ("food",),
            ),
            StateField("food_level", (f,), "level", 0, top_food, "Level of each food; 0 once it is eaten.", ("food",)),
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


def _make(environment_id: str, arguments: dict[str, Any]) -> Any:
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's registration warns about its own names
        import lbforaging  # noqa: F401 (registers the environments)

    known = [name for name in gymnasium.registry if name.startswith("Foraging")]
    if environment_id not in known:
        raise UnknownNameError("foraging environment", environment_id, known)
    try:
        # Through the spec: `gymnasium.make` would keep `max_episode_steps` for a wrapper that is not used here.
        spec = deepcopy(gymnasium.spec(environment_id))
        spec.kwargs.update(arguments)
        simulator: Any = gymnasium.make(spec, disable_env_checker=True).unwrapped
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"environment `{environment_id}` with {arguments}",
            cause=str(error),
            remedy="Remove or correct the `arguments` of the task's environment.",
        ) from error
    if simulator._grid_observation:
        raise ConfigurationError(
            f"environment `{environment_id}` with {arguments}",
            cause="agents would observe pictures, and the networks here read vectors",
            remedy="Remove `grid_observation` from the `arguments`.",
        )
    simulator._make_gym_obs = tuple  # an empty tuple each time: nobody reads these observations
    return simulator
