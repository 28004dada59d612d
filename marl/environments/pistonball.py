"""Pistonball: the official `pistonball_v6` of PettingZoo without pictures, as a simulator.

The package's own objects and its physics engine move the world, with the same numbers to the last bit; windows,
pictures and the turn-taking around a step are left out. Lengths are pixels, as in the package, but y points up here: x
counts from the left wall, y and heights from the top of a piston that is all the way down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl.environments.simulator import StepResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID = "pistonball_v6"
DOWN, STAY, UP = range(3)
REACHED, TIME_PENALTY = 1.0, -0.1
"""The team's reward in the step in which the ball reaches the left wall, and in every other one."""
NO_NEIGHBOUR = -1.0
SPEED, SPIN = 100.0, 10.0
"""What is typical of the ball, in pixels and radians per second."""
RANDOM = 0.1
"""How often a piston of the scripted team acts at random: without it, some balls come to rest for good."""
_OBSERVATION_SIZE = 7
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "n_pistons": (4, 100),  # with fewer the ball may start at the left wall
    "max_cycles": (1, 100_000),
    "ball_friction": (0.0, 10.0),
}
_FLAGS = ("random_drop", "random_rotate")
"""Arguments that a task may set, numbers between which bounds; whole bounds ask for whole numbers.

Mass and elasticity of the ball change nothing, since it is the only thing that is free to move, and since the package
gives no elasticity to what it hits.
"""


@dataclass(frozen=True)
class Saved:
    """A snapshot: how the world came to be as it is."""

    seed: int
    played: tuple[tuple[int, ...], ...]
    """The actions of all pistons in each step so far."""


class Pistonball:
    """Pistons side by side lift and lower a ball, to bring it to the left wall.

    The team's reward, +1 when the ball reaches the wall and else -0.1 per step, replaces the package's; each of the `N`
    pistons gets `1 / N` of it.

    A snapshot holds the seed and the actions, and `restore` plays them again. That is exact, where a copy of the
    engine's space is not: it lacks some of what the engine carries from one step to the next, goes on differently, and
    takes about as long to make. Not covered: changes made by hand to the objects of `official`.

    Args:
        environment_id: `pistonball_v6`.
        arguments: `n_pistons` (5 unless given), `max_cycles`, `ball_friction`, `random_drop` and `random_rotate` of the
            package.

    Raises:
        UnknownNameError: another environment.
        ConfigurationError: an argument that it does not take, or out of bounds.
    """

    n_actions = 3
    observation_size = _OBSERVATION_SIZE

    def __init__(self, environment_id: str = ID, arguments: Mapping[str, Any] | None = None) -> None:
        if environment_id != ID:
            raise UnknownNameError("pistonball environment", environment_id, [ID])
        for name, value in (arguments or {}).items():
            _check_argument(name, value)
        self.official = _make_official({"n_pistons": 5, **(arguments or {})})
        """The package's own environment, for tests that reach into the world."""
        official = self.official
        self.n_agents = int(official.n_pistons)
        self.time_limit = int(official.max_cycles)
        self._travel = float(official.n_piston_positions * official.pixels_per_position)
        self._lowest = float(
            official.screen_height - official.wall_width - official.piston_height + official.piston_head_height
        )
        """Where the package keeps the body of a lowered piston; its top is a radius above, and its y points down."""
        self._left_edges = official.piston_width * np.arange(self.n_agents, dtype=np.float64)
        self._width = float(official.piston_width * self.n_agents)
        self.layout = _layout(official, self._travel, self._width)
        self.reset(0)  # before it the package has no pistons and no ball

    def reset(self, seed: int) -> None:
        """Start an episode: pistons at random heights, and a ball that falls on them, spinning, near the right wall."""
        self.official.reset(seed=seed)
        self._seed = seed
        self._played: list[tuple[int, ...]] = []

    def step(self, actions: Sequence[int]) -> StepResult:
        """Step with one action per piston, `[N]`: 0 down, 1 stay, 2 up.

        Raises:
            ValueError: not one action per piston, or not one of these.
        """
        chosen = tuple(int(action) for action in actions)
        if len(chosen) != self.n_agents or not {DOWN, STAY, UP}.issuperset(chosen):
            raise ValueError(f"{list(chosen)} are not {self.n_agents} actions from {DOWN} to {UP}")
        self._take_turns(chosen)
        reached = self._reaches_the_wall()
        share = (REACHED if reached else TIME_PENALTY) / self.n_agents
        late = len(self._played) >= self.time_limit
        return StepResult((share,) * self.n_agents, terminated=reached, truncated=late and not reached)

    def state(self) -> NDArray[np.float32]:
        """The global state for credit, `[S]`."""
        spin = self.official.ball.angular_velocity
        parts = [*self._heights(), *self._left_edges, *self._ball(), *self._velocity(), spin]
        return np.array(parts, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """What each piston sees, `[N, O]`, mostly between -1 and 1.

        Its height and those of its left and right neighbour, -1 where there is none; where the ball is, seen from the
        middle of its top: horizontally, and how far the ball's lowest point is above it; the ball's velocity, x and y.
        """
        heights, (x, y), (speed_x, speed_y) = self._heights(), self._ball(), self._velocity()
        middles = self._left_edges + self.official.piston_width / 2
        seen = np.empty((self.n_agents, _OBSERVATION_SIZE), dtype=np.float32)
        seen[:, 0] = heights / self._travel
        seen[0, 1] = seen[-1, 2] = NO_NEIGHBOUR
        seen[1:, 1], seen[:-1, 2] = seen[:-1, 0], seen[1:, 0]
        seen[:, 3] = (x - middles) / self._width
        seen[:, 4] = (y - self.official.ball_radius - heights) / self._travel
        seen[:, 5:] = (speed_x / SPEED, speed_y / SPEED)
        return seen

    def available_actions(self) -> NDArray[np.bool_]:
        """All of them, `[N, A]`: a piston at its end stays there."""
        return np.ones((self.n_agents, self.n_actions), dtype=np.bool_)

    def save(self) -> Saved:
        """What leads here."""
        return Saved(self._seed, tuple(self._played))

    def restore(self, snapshot: Saved) -> None:
        """Go back to a snapshot of this simulator, or of another one of the same task, by playing up to there."""
        self.reset(snapshot.seed)
        for actions in snapshot.played:
            self._take_turns(actions)

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Pistons right of the ball's middle go up and push it; that under it and those left of it go down, `[N]`."""
        x, _ = self._ball()
        chosen = np.where(self._left_edges > x, UP, DOWN)
        chosen = np.where(rng.random(self.n_agents) < RANDOM, rng.integers(0, self.n_actions, self.n_agents), chosen)
        actions: list[int] = chosen.tolist()
        return actions

    def _take_turns(self, actions: tuple[int, ...]) -> None:
        """As in the package, time goes on after the move of each piston."""
        official = self.official
        for piston, action in zip(official.pistonList, actions, strict=True):
            official.move_piston(piston, action - STAY)
            official.space.step(official.dt)
        self._played.append(actions)

    def _reaches_the_wall(self) -> bool:
        """The package's rule: where the ball's left side, in whole pixels, is or would be a moment later."""
        official = self.official
        soon = official._get_ball_position() + official.ball.velocity[0] * official.dt
        return bool(soon <= official.wall_width + 1)

    def _heights(self) -> NDArray[np.float64]:
        """`[N]`"""
        return self._lowest - np.array([piston.position[1] for piston in self.official.pistonList])

    def _ball(self) -> tuple[float, float]:
        """Where its middle is, x and y."""
        x, y = self.official.ball.position
        return x - self.official.wall_width, self._lowest - self.official.piston_radius - y

    def _velocity(self) -> tuple[float, float]:
        """x and y."""
        x, y = self.official.ball.velocity
        return x, -y


def _make_official(arguments: Mapping[str, Any]) -> Any:
    from pettingzoo.butterfly.pistonball.pistonball import raw_env  # `pistonball_v6` only warns in between

    official: Any = raw_env(continuous=False, render_mode=None, **arguments)
    official.draw_background = _nothing  # the only drawing that the package does without a render mode
    official.screen = None  # a picture that nobody looks at
    return official


def _nothing() -> None:
    """In place of drawing."""


def _check_argument(name: str, value: object) -> None:
    if name not in _NUMBERS and name not in _FLAGS:
        raise ConfigurationError(
            f"environment `{ID}` with `{name}`",
            cause="it takes no such argument here",
            remedy=f"Use {', '.join(f'`{n}`' for n in (*_NUMBERS, *_FLAGS))} in the `arguments` of the task's "
            "environment, or none.",
        )
    if name in _FLAGS:
        fits, wanted = isinstance(value, bool), "true or false"
    else:
        low, high = _NUMBERS[name]
        whole = isinstance(low, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        fits = number and isinstance(value, int | float) and low <= value <= high
        wanted = f"a {'whole ' if whole else ''}number from {low} to {high}"
    if not fits:
        raise ConfigurationError(
            f"environment `{ID}` with `{name}: {value}`",
            cause=f"it must be {wanted}",
            remedy="Correct the `arguments` of the task's environment.",
        )


def _layout(official: Any, travel: float, width: float) -> StateLayout:
    """The fields; bounds leave room for a ball that is pressed into what it hits."""
    n, radius, wide = int(official.n_pistons), official.ball_radius, official.piston_width
    return StateLayout(
        (
            StateField(
                "piston_height",
                (n,),
                "pixels",
                0,
                travel,
                f"How far each piston is raised; 0 is all the way down. Piston i reaches from {wide} i to "
                f"{wide} i + {wide} pixels right of the left wall, so that piston 0 stands at that wall.",
                ("piston",),
                (0,),
            ),
            StateField(
                "piston_x",
                (n,),
                "pixels",
                0,
                width,
                "Left edge of each piston, counted from the left wall; it never changes.",
                ("place",),
                (0,),
            ),
            StateField(
                "ball_position",
                (2,),
                "pixels",
                0,
                width,
                f"Middle of the ball, whose radius is {radius}: x right of the left wall, which it touches at x = "
                f"{radius}, and y above the top of a piston that is all the way down, on which it rests at {radius}.",
                ("ball_position",),
                typical=width / 2,
            ),
            StateField(
                "ball_velocity",
                (2,),
                "pixels/s",
                -500,
                500,
                "Velocity of the ball, x (right is positive) and y (up is positive).",
                ("ball_velocity",),
                typical=SPEED,
            ),
            StateField(
                "ball_angular_velocity",
                (),
                "radians/s",
                -20,
                20,
                "How fast the ball spins; positive is clockwise, as a ball spins that rolls to the right.",
                ("ball_spin",),
                typical=SPIN,
            ),
        )
    )
