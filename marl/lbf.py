"""Level-Based Foraging: the official `lbforaging` package behind the batched interface.

The package reports its time limit as the end of the world. Here `terminated` means that no food is left and
`truncated` that the limit cut the episode off, so that learners can bootstrap.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl.environment import TimeStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_ACTIONS = 6
NO_ACTION_YET = -1.0


class LevelBasedForaging:
    """`B` official environments that step one after the other in this thread."""

    def __init__(self, environment_id: str, n_environments: int, arguments: Mapping[str, Any] | None = None) -> None:
        self._simulators = [_make(environment_id, dict(arguments or {})) for _ in range(n_environments)]
        first = self._simulators[0]
        self.layout = _layout(first)
        self.n_environments = n_environments
        self.n_agents = len(first.players)
        self.n_actions = N_ACTIONS
        self.observation_size = int(first.observation_space[0].shape[0])
        self.time_limit = int(first._max_episode_steps)
        b, n = n_environments, self.n_agents
        self._food_cells = np.zeros((b, first.max_num_food, 2), dtype=np.int64)
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
            observations, _ = simulator.reset(seed=int(seed))
            now.truncated[b] = False
            now.observations[b] = observations
            self._food_cells[b] = _food_cells(simulator)
            self._write_state(b, np.full(self.n_agents, NO_ACTION_YET))
        return now

    def step(self, actions: NDArray[np.integer]) -> TimeStep:
        """Step the environments whose episode is not over with `actions [B, N]`."""
        now = self._now
        now.rewards.fill(0)
        now.agent_rewards.fill(0)
        for b in np.flatnonzero(~(now.terminated | now.truncated)).tolist():
            simulator = self._simulators[b]
            observations, rewards, _, _, _ = simulator.step(actions[b].tolist())
            now.observations[b] = observations
            now.agent_rewards[b] = rewards
            now.rewards[b] = sum(rewards)
            now.terminated[b] = not simulator.field.any()
            now.truncated[b] = not now.terminated[b] and simulator.current_step >= self.time_limit
            self._write_state(b, actions[b])
        return now

    def _write_state(self, b: int, last_actions: NDArray[Any]) -> None:
        """Fill `states[b]` in the order of the layout."""
        simulator, n, state = self._simulators[b], self.n_agents, self._now.states[b]
        cells = self._food_cells[b]
        food_levels = np.where(cells[:, 0] >= 0, simulator.field[cells[:, 0], cells[:, 1]], 0)
        present = food_levels > 0
        f = len(cells)
        state[: 2 * n] = [coordinate for player in simulator.players for coordinate in player.position]
        state[2 * n : 3 * n] = [player.level for player in simulator.players]
        state[3 * n : 3 * n + 2 * f] = np.where(present[:, None], cells, -1).reshape(-1)
        state[3 * n + 2 * f : 3 * n + 3 * f] = food_levels
        state[3 * n + 3 * f :] = last_actions


def _food_cells(simulator: Any) -> NDArray[np.int64]:
    """Cells (row, column) of the foods, row-major, `[F, 2]`; `(-1, -1)` where fewer were placed than wanted."""
    cells = np.full((simulator.max_num_food, 2), -1, dtype=np.int64)
    found = np.argwhere(simulator.field > 0)
    cells[: len(found)] = found
    return cells


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
                "agent_position", (n, 2), "cells", 0, far, "Row and column of each agent, from 0.", ("agent_position",)
            ),
            StateField(
                "agent_level",
                (n,),
                "level",
                1,
                top_player,
                "Level of each agent; the levels of all agents that load a food together must reach the food's level.",
                ("agent_level",),
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
        return gymnasium.make(environment_id, disable_env_checker=True, **arguments).unwrapped
    except TypeError as error:
        raise ConfigurationError(
            f"environment `{environment_id}` with {arguments}",
            cause=str(error),
            remedy="Remove or correct the `arguments` of the task's environment.",
        ) from error
