"""The fixed opponents and the scripted teams of the particle worlds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.marl.environments.opponents import ADVERSARY, PREY, adversary_action, border_penalty, prey_action
from qredit.marl.environments.particle_scripts import PREDATOR, cover, deceive
from qredit.marl.environments.particles import DIRECTIONS, Motion, Scene
from tests.marl.environments.particle_worlds import DOWN, EVERY, LEFT, NONE, RIGHT, UP, Arguments, made, put

# Motion


def test_scripts_move_as_the_package_moves() -> None:
    agents = {world: made(world).official.world.agents for world in ("simple_tag_v3", "simple_adversary_v3")}
    *predators, prey = agents["simple_tag_v3"]
    assert {(p.accel, p.max_speed, p.size) for p in predators} == {(3.0, 1.0, 0.075)}
    assert vars(PREDATOR) == {"acceleration": 3.0, "max_speed": 1.0}
    assert (prey.accel, prey.max_speed, prey.size) == (4.0, 1.3, 0.05)
    assert vars(PREY) == {"acceleration": 4.0, "max_speed": 1.3}
    assert {(a.accel, a.max_speed) for a in agents["simple_adversary_v3"]} == {(None, None)}  # which means 5
    assert vars(ADVERSARY) == {"acceleration": 5.0, "max_speed": float("inf")}
    assert {landmark.size for landmark in made("simple_tag_v3").official.world.landmarks} == {0.2}


@given(
    velocity=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    action=st.integers(0, 4),
)
def test_resting_places_come_true(velocity: tuple[float, float], action: int) -> None:
    simulator = made("simple_spread_v3", {"N": 1})
    put(simulator, {"agent_0": (0.2, -0.1)})
    (agent,) = simulator.official.world.agents
    agent.state.p_vel = np.array(velocity)
    expected = Motion().resting_places(agent.state.p_pos.copy(), agent.state.p_vel.copy())[action]
    for chosen in (action, *[NONE] * 80):
        simulator.step([chosen])
    assert agent.state.p_pos == pytest.approx(expected, abs=1e-6)


# Opponents


def tag_scene(*predators: tuple[float, float], prey: tuple[float, float] = (0.0, 0.0)) -> Scene:
    places = np.array(predators)
    return Scene(places, np.zeros_like(places), np.zeros((0, 2)), np.array(prey), np.zeros(2))


@pytest.mark.parametrize(
    ("predators", "prey", "action"),
    [
        ([(-0.3, 0.0)], (0.0, 0.0), RIGHT),
        ([(0.3, 0.0)], (0.0, 0.0), LEFT),
        ([(0.0, 0.3)], (0.0, 0.0), DOWN),
        ([(0.0, -0.3), (0.0, -9.0)], (0.0, 0.0), UP),  # the nearest counts
        ([(0.5, 0.0)], (0.95, 0.0), LEFT),  # the border is worse than a predator that is far
        ([(-9.0, 0.0)], (0.0, -1.2), UP),
    ],
)
def test_the_prey_flees_and_turns_back_at_the_border(
    predators: list[tuple[float, float]], prey: tuple[float, float], action: int
) -> None:
    assert prey_action(tag_scene(*predators, prey=prey)) == action


def test_the_border_penalty_is_the_one_that_the_package_gives_prey() -> None:
    simulator = made("simple_tag_v3")
    for place in [(0.0, 0.0), (0.89, -0.2), (0.95, 0.0), (-0.97, 0.93), (1.0, 1.4), (5.0, -2.0)]:
        put(simulator, {"agent_0": place})
        prey = simulator.official.world.agents[-1]
        own = simulator.official.scenario.reward(prey, simulator.official.world)
        assert border_penalty(np.array(place)) == pytest.approx(-own)


def test_prey_stays_inside_however_it_is_hunted() -> None:
    simulator = made("simple_tag_v3")
    rng = np.random.default_rng(0)
    for seed in range(20):
        simulator.reset(seed)
        for _ in range(25):
            simulator.step(simulator.scripted_actions(rng))
            assert np.abs(simulator.official.world.agents[-1].state.p_pos).max() < 1.5


def test_the_adversary_goes_to_the_landmark_nearest_to_the_mean_of_the_team_whatever_the_goal() -> None:
    landmarks = np.array([[0.9, 0.0], [-0.9, 0.0]])
    for positions, action in [([[0.5, 0.0], [0.1, 0.3]], RIGHT), ([[0.8, 0.0], [-2.0, 0.0]], LEFT)]:
        for goal in (0, 1, None):
            now = Scene(np.array(positions), np.zeros((2, 2)), landmarks, np.zeros(2), np.zeros(2), goal)
            assert adversary_action(now) == action


def test_an_opponent_is_never_shown_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = made("simple_adversary_v3")
    goals: list[int | None] = []

    def watch(now: Scene) -> int:
        goals.append(now.goal)
        return NONE

    monkeypatch.setattr(simulator, "_game", dataclasses.replace(simulator._game, opponent_action=watch))
    simulator.reset(1)
    simulator.step([NONE, NONE])
    assert goals == [None]
    assert simulator._goal() in (0, 1)


@EVERY
def test_opponents_and_scripts_use_up_no_randomness(world: str, arguments: Arguments) -> None:
    simulator, rng = made(world, arguments), np.random.default_rng(0)
    simulator.reset(5)
    generators = (simulator.official.np_random, rng)
    before = [generator.bit_generator.state for generator in generators]
    np.random.seed(7)  # the package would take noise from there
    expected = np.random.random()
    np.random.seed(7)
    for _ in range(5):
        simulator.step(simulator.scripted_actions(rng))
    assert [generator.bit_generator.state for generator in generators] == before
    assert np.random.random() == expected


# Scripted teams and chance


def test_agents_are_assigned_so_that_all_ways_together_are_shortest() -> None:
    """The landmark next to agent 0 is left to agent 1, which has no other near it."""
    positions = np.array([[0.0, 0.0], [1.0, 0.0]])
    now = Scene(positions, np.zeros((2, 2)), np.array([[0.4, 0.0], [-1.0, 0.0]]))
    assert cover(now) == [LEFT, LEFT]


def test_one_agent_takes_the_goal_and_the_other_goes_past_the_wrong_landmark() -> None:
    positions = np.array([[0.4, 0.0], [0.8, 0.0]])
    landmarks = np.array([[1.0, 0.0], [0.0, 0.0]])
    for goal, actions in ((0, [LEFT, RIGHT]), (1, [LEFT, RIGHT])):
        assert deceive(Scene(positions, np.zeros((2, 2)), landmarks, np.zeros(2), np.zeros(2), goal)) == actions
    at_rest = Scene(landmarks.copy(), np.zeros((2, 2)), landmarks, np.zeros(2), np.zeros(2), 0)
    assert deceive(at_rest) == [NONE, LEFT]


def test_steering_brakes_before_the_target() -> None:
    place, velocity = np.array([0.0, 0.0]), np.array([0.0, 0.0])
    target, speeds = np.array([1.0, 0.0]), []
    for _ in range(25):
        action = Motion().steer(place, velocity, target)
        place, velocity = place + 0.1 * velocity, velocity * 0.75 + 0.5 * DIRECTIONS[action]
        speeds.append(float(np.linalg.norm(velocity)))
    assert place == pytest.approx(target, abs=0.11)
    assert max(speeds) > 1
    assert speeds[-1] < 0.05


RANDOM_AND_SCRIPTED = [
    ("simple_spread_v3", {"N": 3}, (-90.0, -72.0), -40.0),
    ("simple_spread_v3", {"N": 6}, (-255.0, -205.0), -120.0),
    ("simple_tag_v3", {}, (0.0, 10.0), 80.0),
    ("simple_adversary_v3", {}, (-16.0, 3.0), 22.0),
]
"""Where the mean return of a random team lies (design: -80.9 +- 1.4 and about -234 for spread), and what a scripted
team reaches at least."""


@pytest.mark.parametrize(("world", "arguments", "chance", "least"), RANDOM_AND_SCRIPTED)
def test_returns_of_random_and_scripted_teams(
    world: str, arguments: Arguments, chance: tuple[float, float], least: float
) -> None:
    simulator, rng = made(world, arguments), np.random.default_rng(1)
    means = []
    for scripted, episodes in ((False, 80), (True, 25)):
        total = 0.0
        for seed in range(episodes):
            simulator.reset(seed)
            for _ in range(25):
                random = rng.integers(0, 5, simulator.n_agents).tolist()
                total += sum(simulator.step(simulator.scripted_actions(rng) if scripted else random).agent_rewards)
        means.append(total / episodes)
    assert chance[0] <= means[0] <= chance[1]
    assert means[1] > least
