"""Pistonball, compared with the official package in lockstep, and with numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.adapters import make_simulator
from qredit.marl.environments.pistonball import DOWN, STAY, UP, Pistonball
from qredit.task import load_task
from tests.marl.environments import test_simulators as contract
from tests.marl.environments.perturbations import Change

Arguments = Mapping[str, Any]


def made(**arguments: Any) -> Pistonball:
    return Pistonball(arguments=arguments)


def engine(official: Any) -> list[Any]:
    """The numbers of the physics engine as it keeps them, in double precision."""
    ball = official.ball
    pistons = [tuple(piston.position) for piston in official.pistonList]
    return [tuple(ball.position), tuple(ball.velocity), ball.angular_velocity, ball.angle, *pistons]


def put(simulator: Pistonball, heights: list[int], x: float, y: float) -> None:
    """Put the pistons at heights, and the ball somewhere, at rest."""
    official = simulator.official
    for piston, height in zip(official.pistonList, heights, strict=True):
        piston.position = (piston.position[0], 491 - height)
    official.ball.position = (40 + x, 486 - y)
    official.ball.velocity, official.ball.angular_velocity = (0, 0), 0


def script(simulator: Pistonball, seed: int) -> list[list[int]]:
    """Actions of the scripted team that bring the ball of this seed to the wall."""
    rng, played = np.random.default_rng(seed), []
    simulator.reset(seed)
    while True:
        played.append(simulator.scripted_actions(rng))
        result = simulator.step(played[-1])
        assert not result.truncated
        if result.terminated:
            return played


# What holds for every simulator


def _raise_a_piston(simulator: Any) -> None:
    x, y = simulator.official.pistonList[2].position
    simulator.official.pistonList[2].position = (x, y - 4)


def _move_the_ball(simulator: Any) -> None:
    simulator.official.ball.position += (-3, 5)


def _push_the_ball(simulator: Any) -> None:
    simulator.official.ball.velocity += (-3, 5)


def _spin_the_ball(simulator: Any) -> None:
    simulator.official.ball.angular_velocity += 1


def _shift_a_piston(simulator: Any) -> None:
    simulator._left_edges = simulator._left_edges + np.eye(simulator.n_agents)[1]


CHANGES: Mapping[str, Change] = {
    "piston": _raise_a_piston,
    "place": _shift_a_piston,
    "ball_position": _move_the_ball,
    "ball_velocity": _push_the_ball,
    "ball_spin": _spin_the_ball,
}
CASES = (
    contract.Case("pistonball", Pistonball, CHANGES),
    contract.Case("pistonball-9", lambda: made(n_pistons=9), CHANGES, episodes=4),
)
CONTRACT = [test for name, test in vars(contract).items() if name.startswith("test_")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("holds", CONTRACT, ids=lambda test: test.__name__)
def test_the_contract_of_simulators(holds: Callable[..., None], case: contract.Case) -> None:
    holds(case=case)


# Against the official package


@pytest.mark.parametrize(
    ("arguments", "scripted"),
    [
        ({}, False),
        ({}, True),
        ({"n_pistons": 8, "ball_friction": 1.0, "max_cycles": 40}, False),
        ({"n_pistons": 4, "random_drop": False, "random_rotate": False}, True),
    ],
)
def test_physics_and_ends_equal_the_official_package_in_lockstep(arguments: Arguments, scripted: bool) -> None:
    from pettingzoo.butterfly.pistonball.pistonball import parallel_env

    simulator = made(**arguments)
    twin = parallel_env(**{"n_pistons": 5, "max_cycles": 125, "continuous": False, **arguments})
    for seed in (0, 7):
        simulator.reset(seed)
        twin.reset(seed=seed)
        assert engine(simulator.official) == engine(twin.unwrapped)
        rng, ended = np.random.default_rng(seed), False
        while not ended:
            chosen = simulator.scripted_actions(rng) if scripted else rng.integers(0, 3, simulator.n_agents).tolist()
            result = simulator.step(chosen)
            agents = list(twin.agents)
            _, _, terminations, truncations, _ = twin.step(dict(zip(agents, chosen, strict=True)))
            assert engine(simulator.official) == engine(twin.unwrapped)
            assert set(terminations.values()) == {result.terminated}
            assert set(truncations.values()) == {result.truncated}
            ended = result.terminated or result.truncated
        assert result.terminated or not scripted


def test_nothing_is_shown_or_printed_and_no_display_is_needed() -> None:
    code = (
        "import os\n"
        "for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER', 'PYGAME_HIDE_SUPPORT_PROMPT'):\n"
        "    os.environ.pop(name, None)\n"
        "from qredit.marl.environments.pistonball import Pistonball\n"
        "simulator = Pistonball()\n"
        "simulator.reset(1)\n"
        "simulator.step([0, 1, 2, 1, 0])\n"
        "import pygame\n"
        "assert not pygame.get_init() and not pygame.display.get_init() and not pygame.mixer.get_init()\n"
        "assert 'SDL_VIDEODRIVER' not in os.environ\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The rules that the task's text tells


def test_the_task_fits_its_simulator() -> None:
    """Numbers of agents and actions and the limit are compared in `make_simulator`."""
    task = load_task("pistonball")
    simulator: Any = make_simulator(task)
    assert isinstance(simulator, Pistonball)
    assert [task.actions[action] for action in (DOWN, STAY, UP)] == ["DOWN", "STAY", "UP"]
    assert (task.n_agents, task.time_limit) == (5, 125)
    official = simulator.official
    assert (official.ball_radius, official.piston_width, official.pixels_per_position) == (40, 40, 4)
    assert (official.dt, tuple(official.space.gravity)) == (0.05, (0, 750))


def test_episodes_start_as_the_text_says() -> None:
    simulator = made()
    heights, balls = [], []
    for seed in range(300):
        simulator.reset(seed)
        state = simulator.layout.named(simulator.state())
        heights.append(state["piston_height"])
        balls.append([*state["ball_position"], *state["ball_velocity"], state["ball_angular_velocity"]])
    assert set(np.array(heights).ravel().tolist()) == set(range(0, 32, 4))
    low, high = np.min(balls, axis=0), np.max(balls, axis=0)
    assert (low[0], high[0], low[1], high[1]) == (100, 160, 61, 91)
    assert (low[2], high[2], low[3], high[3]) == (0, 0, 0, 0)
    assert -6 * np.pi <= low[4] < -5.5 * np.pi
    assert 5.5 * np.pi < high[4] <= 6 * np.pi


def test_actions_move_pistons_by_four_pixels_between_their_ends() -> None:
    simulator = made()
    simulator.reset(0)
    put(simulator, [0, 8, 64, 60, 4], 100, 104)
    for expected in ([0, 8, 64, 64, 0], [0, 8, 64, 64, 0]):
        simulator.step([DOWN, STAY, UP, UP, DOWN])
        assert simulator.layout.named(simulator.state())["piston_height"].tolist() == expected


def test_a_piston_that_rises_right_of_a_resting_ball_pushes_it_to_the_left() -> None:
    simulator = made()
    for piston, direction in ((3, -1), (1, 1)):
        simulator.reset(0)
        put(simulator, [0] * 5, 100, 40)
        for _ in range(8):
            simulator.step([UP if i == piston else DOWN for i in range(5)])
        x, y = simulator.layout.named(simulator.state())["ball_position"].tolist()
        assert direction * (x - 100) > 5
        assert y == pytest.approx(40, abs=2)


def test_numbers_of_the_state() -> None:
    simulator = made()
    simulator.reset(0)
    put(simulator, [0, 4, 8, 12, 64], 90, 70.5)
    simulator.official.ball.velocity, simulator.official.ball.angular_velocity = (-30, 20), 2
    assert {name: values.tolist() for name, values in simulator.layout.named(simulator.state()).items()} == {
        "piston_height": [0, 4, 8, 12, 64],
        "piston_x": [0, 40, 80, 120, 160],
        "ball_position": [90, 70.5],
        "ball_velocity": [-30, -20],
        "ball_angular_velocity": 2,
    }


def test_numbers_of_the_observations() -> None:
    simulator = made()
    simulator.reset(0)
    put(simulator, [0, 16, 32, 48, 64], 100, 72)
    simulator.official.ball.velocity = (-50, 20)
    expected = [
        [0, -1, 0.25, 0.4, 0.5, -0.5, -0.2],
        [0.25, 0, 0.5, 0.2, 0.25, -0.5, -0.2],
        [0.5, 0.25, 0.75, 0, 0, -0.5, -0.2],
        [0.75, 0.5, 1, -0.2, -0.25, -0.5, -0.2],
        [1, 0.75, -1, -0.4, -0.5, -0.5, -0.2],
    ]
    assert simulator.observations() == pytest.approx(np.array(expected), abs=1e-6)


# Rewards and ends


def test_reaching_the_wall_earns_one_and_ends_the_world() -> None:
    simulator = made()
    played = script(simulator, 0)
    simulator.reset(0)
    *before, last = [simulator.step(actions) for actions in played]
    assert len(before) > 3
    assert {result.agent_rewards for result in before} == {(-0.02,) * 5}
    assert last.agent_rewards == (0.2,) * 5
    assert (last.terminated, last.truncated) == (True, False)
    assert simulator.layout.named(simulator.state())["ball_position"][0] < 60


def test_a_ball_that_is_held_back_costs_twelve_and_a_half() -> None:
    simulator = made()
    simulator.reset(3)
    results = [simulator.step([UP, UP, DOWN, DOWN, DOWN]) for _ in range(125)]
    assert sum(sum(result.agent_rewards) for result in results) == pytest.approx(-12.5)
    assert [result.truncated for result in results] == [False] * 124 + [True]
    assert not any(result.terminated for result in results)


def test_a_ball_that_reaches_the_wall_in_the_last_step_was_not_cut_off() -> None:
    played = script(made(), 0)
    simulator = made(max_cycles=len(played))
    simulator.reset(0)
    result = [simulator.step(actions) for actions in played][-1]
    assert (result.terminated, result.truncated) == (True, False)


def test_the_scripted_team_brings_the_ball_to_the_wall_and_a_random_one_seldom_soon() -> None:
    simulator = made(max_cycles=40)
    reached = {
        scripted: np.mean([contract.team_return(simulator, seed, scripted=scripted) > -4 + 0.5 for seed in range(30)])
        for scripted in (True, False)
    }
    assert reached[True] > 0.9
    assert reached[False] < 0.6


# Snapshots


def test_what_follows_a_snapshot_is_the_same_to_the_last_bit() -> None:
    """Also in the middle of contacts, where a copy of the engine's space would go on differently."""
    simulator, other = made(), made()
    joint = np.random.default_rng(0).integers(0, 3, (60, 5)).tolist()
    simulator.reset(4)
    snapshots, told = [], []
    for actions in joint:
        snapshots.append(simulator.save())
        simulator.step(actions)
        told.append(engine(simulator.official))
    assert snapshots[0] != snapshots[1]
    for again in (simulator, other, simulator):
        for start in (1, 20, 45):
            again.restore(snapshots[start])
            for actions, expected in zip(joint[start:], told[start:], strict=True):
                again.step(actions)
                assert engine(again.official) == expected


def test_a_snapshot_does_not_hold_what_was_changed_by_hand() -> None:
    simulator = made()
    simulator.reset(4)
    before = engine(simulator.official)
    _move_the_ball(simulator)
    simulator.restore(simulator.save())
    assert engine(simulator.official) == before


# Mistakes


def test_an_unknown_environment_is_refused_with_the_known_one() -> None:
    with pytest.raises(UnknownNameError, match="pistonball_v6"):
        Pistonball("pistonball_v5")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"continuous": True}, "takes no such argument"),
        ({"time_penalty": -1.0}, "takes no such argument"),
        ({"render_mode": "human"}, "takes no such argument"),
        ({"ball_elasticity": 2.0}, "takes no such argument"),
        ({"n_pistons": 3}, "whole number from 4 to 100"),
        ({"n_pistons": 5.0}, "whole number from 4 to 100"),
        ({"n_pistons": True}, "whole number from 4 to 100"),
        ({"max_cycles": 0}, "whole number from 1 to 100000"),
        ({"ball_friction": -0.1}, "a number from 0.0 to 10.0"),
        ({"ball_friction": float("nan")}, "a number from 0.0 to 10.0"),
        ({"ball_friction": "much"}, "a number from 0.0 to 10.0"),
        ({"random_drop": 1}, "true or false"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: Arguments, part: str) -> None:
    with pytest.raises(ConfigurationError, match=part) as caught:
        made(**arguments)
    assert "arguments" in caught.value.remedy


@pytest.mark.parametrize("actions", [[0, 1, 2, 1], [0, 1, 2, 1, 3], [0, 1, 2, 1, -1], [1] * 6])
def test_actions_that_there_are_not(actions: list[int]) -> None:
    simulator = made()
    simulator.reset(0)
    before = engine(simulator.official)
    with pytest.raises(ValueError, match="actions from 0 to 2"):
        simulator.step(actions)
    assert engine(simulator.official) == before
