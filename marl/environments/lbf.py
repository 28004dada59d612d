"""Level-Based Foraging: the official `lbforaging` package as a simulator.

The package reports its time limit as the end of the world. Here `terminated` means that no food is left and
`truncated` that the limit cut the episode off, so that learners can bootstrap.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.layout import StateField, StateLayout
from qredit.marl.environments.lbf_official import make_official
from qredit.marl.environments.lbf_script import Board, scripted_foraging
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_ACTIONS = 6
NO_ACTION_YET = -1
ABSENT = (-1, -1, 0)
"""Row, column and level of what is not there or not seen."""

Thing = tuple[int, int, int]
"""Row, column and level of an agent or a food."""


@dataclass(frozen=True)
class Saved:
    """A snapshot; the cells of the foods belong to it because an eaten food keeps its slot."""

    field: NDArray[np.int32]
    agents: tuple[Thing, ...]
    food_cells: tuple[tuple[int, int], ...]
    level_of_all_foods: int
    steps: int
    last_actions: tuple[int, ...]
    generator: Mapping[str, Any]


class LevelBasedForaging:
    """One official environment.

    Its own observations cost two thirds of a step, so they are left out, and the same numbers are written straight into
    an array (`observe`; a test compares both in lockstep).
    """

    def __init__(self, environment_id: str, arguments: Mapping[str, Any] | None = None) -> None:
        self.official = make_official(environment_id, arguments or {})
        """The package's own environment, for tests that reach into the world."""
        self.official._make_gym_obs = tuple  # an empty tuple each time: nobody reads these observations
        self.official._gen_valid_moves = self._find_valid_actions
        self._action_sets = _action_sets(type(self.official.action_set[0]))
        self.layout = _layout(self.official)
        self.n_agents = len(self.official.players)
        self.n_actions = N_ACTIONS
        self.observation_size = int(self.official.observation_space[0].shape[0])
        self.time_limit = int(self.official._max_episode_steps)
        self._sight = int(self.official.sight)
        self._shows_levels = bool(self.official._observe_agent_levels)
        self._all_available = np.ones((self.n_agents, N_ACTIONS), dtype=np.bool_)
        self._all_available.setflags(write=False)
        self._food_cells: tuple[tuple[int, int], ...] = ()
        self._last_actions: tuple[int, ...] = ()

    def reset(self, seed: int) -> None:
        """Start an episode."""
        for player in self.official.players:
            # Players keep their cells over a reset, and new ones avoid them: forget, so that only the seed counts.
            player.position = None
        self.official.reset(seed=seed)
        for player in self.official.players:
            # The package draws numpy's numbers, with which all further steps would be slower.
            player.position = (int(player.position[0]), int(player.position[1]))
            player.level = int(player.level)
        self._food_cells = tuple((int(row), int(column)) for row, column in np.argwhere(self.official.field > 0))
        self._last_actions = (NO_ACTION_YET,) * self.n_agents

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per agent, `[N]`; what is impossible does nothing."""
        _, rewards, _, _, _ = self.official.step(actions)
        self._last_actions = tuple(actions)
        food_left = bool(self.official.field.any())
        return StepResult(
            agent_rewards=tuple(rewards),
            terminated=not food_left,
            truncated=food_left and self.official.current_step >= self.time_limit,
        )

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        agents, slots = self._agents(), self._slots()
        numbers = [
            *(number for row, column, _ in agents for number in (row, column)),
            *(level for _, _, level in agents),
            *(number for row, column, _ in slots for number in (row, column)),
            *(level for _, _, level in slots),
            *self._last_actions,
        ]
        return np.array(numbers, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """What each agent sees, `[N, O]`: the very numbers of the package."""
        agents, slots = self._agents(), self._slots()
        foods = [food for food in slots if food is not ABSENT]
        seen = [
            observe(i, agents, foods, sight=self._sight, n_foods=len(slots), with_levels=self._shows_levels)
            for i in range(self.n_agents)
        ]
        return np.array(seen, dtype=np.float32)

    def available_actions(self) -> NDArray[np.bool_]:
        """All of them, `[N, A]`: an impossible one does nothing."""
        return self._all_available

    def save(self) -> Saved:
        """A copy of all that decides the future."""
        return Saved(
            field=self.official.field.copy(),
            agents=tuple(self._agents()),
            food_cells=self._food_cells,
            level_of_all_foods=int(self.official._food_spawned),
            steps=self.official.current_step,
            last_actions=self._last_actions,
            generator=self.official.np_random.bit_generator.state,
        )

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot of this simulator, or of another one of the same environment."""
        official = self.official
        official.field = snapshot.field.copy()
        for player, (row, column, level) in zip(official.players, snapshot.agents, strict=True):
            player.setup((row, column), level, official.field_size)
        official._food_spawned = snapshot.level_of_all_foods
        official.current_step = snapshot.steps
        official._game_over = False
        official.np_random.bit_generator.state = snapshot.generator
        official._gen_valid_moves()
        self._food_cells = snapshot.food_cells
        self._last_actions = snapshot.last_actions

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Actions of a team that goes to the nearest food that it can eat and loads it together, `[N]`."""
        rows, columns = self.official.field_size
        foods = [food for food in self._slots() if food is not ABSENT]
        return scripted_foraging(Board(rows, columns, tuple(self._agents()), tuple(foods)), rng)

    def _find_valid_actions(self) -> None:
        """What the package's `_gen_valid_moves` does, which is a third of a step, in a fifth of its time."""
        official, item = self.official, self.official.field.item
        bottom, right = official.rows - 1, official.cols - 1
        valid = {}
        for player in official.players:
            r, c = player.position
            # A food's level, or -1 beyond the edge, in the order of the moves.
            around = (
                item(r - 1, c) if r else -1,
                item(r + 1, c) if r < bottom else -1,
                item(r, c - 1) if c else -1,
                item(r, c + 1) if c < right else -1,
            )
            valid[player] = self._action_sets[tuple([level == 0 for level in around]), max(around) > 0]
        official._valid_actions = valid

    def _agents(self) -> list[Thing]:
        return [(*p.position, p.level) for p in self.official.players]

    def _slots(self) -> list[Thing]:
        """The foods, each in the slot that it got at reset in row-major order; an eaten one leaves its slot empty."""
        field = self.official.field
        slots = [(r, c, int(field[r, c])) if field[r, c] else ABSENT for r, c in self._food_cells]
        return slots + [ABSENT] * (self.official.max_num_food - len(slots))


def _action_sets(actions: Any) -> dict[tuple[tuple[bool, ...], bool], list[Any]]:
    """The package's valid actions by (which of the four moves lead to a free cell, whether food is beside)."""
    none, *moves, load = sorted(actions, key=lambda action: int(action.value))
    return {
        (free, food): [none, *(move for move, is_free in zip(moves, free, strict=True) if is_free), *[load] * food]
        for free in itertools.product((False, True), repeat=len(moves))
        for food in (False, True)
    }


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
