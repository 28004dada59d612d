"""Level-Based Foraging behind the batched interface, compared with the official simulator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environment import TimeStep
from qredit.marl.lbf import LevelBasedForaging

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
SMALL = "Foraging-5x5-2p-1f-v3"
COOP = "Foraging-2s-8x8-2p-2f-coop-v3"
BOARDS = [SMALL, COOP, "Foraging-2s-10x10-3p-3f-v3", "Foraging-2s-15x15-4p-3f-v3", "Foraging-8x8-3p-2f-coop-v3"]


def official(environment_id: str, **arguments: Any) -> Any:
    """The package's own environment; its players are told to forget their cells, so that only the seed counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lbforaging  # noqa: F401 (registers the environments)
    return gymnasium.make(environment_id, disable_env_checker=True, **arguments).unwrapped


def start(simulator: Any, seed: int) -> tuple[Any, list[tuple[int, int]]]:
    """Reset an official environment; its observations and the cells of its foods."""
    for player in simulator.players:
        player.position = None
    observations, _ = simulator.reset(seed=seed)
    return observations, [(int(r), int(c)) for r, c in np.argwhere(simulator.field > 0)]


def simulators(environment: LevelBasedForaging) -> list[Any]:
    """The simulators inside, for tests that reach into the world."""
    return environment._simulators


def named(environment: LevelBasedForaging, now: TimeStep, b: int = 0) -> dict[str, Any]:
    """The state of one environment by field, as plain lists."""
    return {name: part.tolist() for name, part in environment.layout.named(now.states[b].copy()).items()}


def random_play(environment: LevelBasedForaging, seeds: Sequence[int], rng: np.random.Generator) -> list[list[Any]]:
    """Everything that is shown in an episode of random actions, as copies."""
    now = environment.reset(seeds)
    story = [_copies(now)]
    while not now.ended.all():
        now = environment.step(rng.integers(0, 6, (environment.n_environments, environment.n_agents)))
        story.append(_copies(now))
    return story


def _copies(now: TimeStep) -> list[Any]:
    return [np.array(array).copy() for array in (now.observations, now.states, now.rewards, now.agent_rewards)] + [
        now.terminated.copy(),
        now.truncated.copy(),
    ]


def actions_of(*chosen: int) -> NDArray[np.int64]:
    """`actions [1, N]`."""
    return np.array([chosen])


def around(simulator: Any, cell: tuple[int, int]) -> list[tuple[int, int]]:
    """The free cells beside a food; foods stand never at the edge."""
    row, column = cell
    beside = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return [(r, c) for r, c in beside if simulator.field[r, c] == 0]


def put_beside(simulator: Any, cell: tuple[int, int]) -> None:
    """Put every agent beside a food."""
    for player, place in zip(simulator.players, around(simulator, cell), strict=False):
        player.position = place
    simulator._gen_valid_moves()


def food_cells(simulator: Any) -> list[tuple[int, int]]:
    return [(int(r), int(c)) for r, c in np.argwhere(simulator.field > 0)]


# Sizes and layout


def test_sizes_and_layout_of_a_board() -> None:
    environment = LevelBasedForaging("Foraging-2s-10x10-3p-3f-v3", 2)
    assert (environment.n_environments, environment.n_agents, environment.n_actions) == (2, 3, 6)
    assert environment.observation_size == 3 * 3 + 3 * 3
    assert environment.time_limit == 50
    shapes = {field.name: field.shape for field in environment.layout.fields}
    assert shapes == {
        "agent_position": (3, 2),
        "agent_level": (3,),
        "food_position": (3, 2),
        "food_level": (3,),
        "last_action": (3,),
    }
    assert environment.layout.size == 6 + 3 + 6 + 3 + 3
    ranges = {field.name: (field.low, field.high) for field in environment.layout.fields}
    assert ranges == {
        "agent_position": (0, 9),
        "agent_level": (1, 2),
        "food_position": (-1, 9),
        "food_level": (0, 6),  # three agents of level 2
        "last_action": (-1, 5),
    }


def test_every_field_says_what_it_is() -> None:
    for field in LevelBasedForaging(SMALL, 1).layout.fields:
        assert field.meaning.endswith(".")
        assert field.unit
        assert field.entities


@pytest.mark.parametrize("board", BOARDS)
def test_values_stay_inside_the_ranges_of_the_layout(board: str) -> None:
    environment = LevelBasedForaging(board, 4)
    rng = np.random.default_rng(3)
    rows = [states for _, states, *_ in random_play(environment, [1, 2, 3, 4], rng)]
    rows += [states for _, states, *_ in random_play(environment, [5, 6, 7, 8], rng)]
    states = np.concatenate(rows)
    for field, part in environment.layout.slices():
        assert states[:, part].min() >= field.low, field.name
        assert states[:, part].max() <= field.high, field.name
    assert np.array_equal(states, states.round())


@pytest.mark.parametrize(
    ("change", "entity"),
    [("agent_position", "agent_position"), ("agent_level", "agent_level"), ("food", "food"), ("action", "action")],
)
@pytest.mark.parametrize("board", [COOP, "Foraging-2s-10x10-3p-3f-v3"])
def test_exactly_the_declared_fields_follow_a_change_in_the_world(board: str, change: str, entity: str) -> None:
    states = []
    for changed in (False, True):
        environment = LevelBasedForaging(board, 1)
        environment.reset([11])
        (simulator,) = simulators(environment)
        actions = [NONE] * environment.n_agents
        if changed:
            _change_the_world(simulator, change, actions)
        states.append(environment.step(actions_of(*actions)).states[0].copy())
    plain, other = states
    for field, part in environment.layout.slices():
        assert (plain[part] != other[part]).any() == (entity in field.entities), field.name


def _change_the_world(simulator: Any, change: str, actions: list[int]) -> None:
    player = simulator.players[0]
    if change == "agent_position":
        taken = {p.position for p in simulator.players} | set(food_cells(simulator))
        player.position = next((r, c) for r in range(5) for c in range(5) if (r, c) not in taken)
    elif change == "agent_level":
        player.level = 3 - player.level
    elif change == "food":
        simulator.field[food_cells(simulator)[0]] = 0
    else:
        # What is impossible changes nothing in the world, but the choice is remembered.
        possible = [action.value for action in simulator._valid_actions[player]]
        actions[0] = next(action for action in range(6) if action not in possible)


def test_each_number_of_an_entity_reaches_its_own_place() -> None:
    """Finer than the field: the second agent's column, the second food's level, the second agent's action."""
    environment = LevelBasedForaging("Foraging-2s-10x10-3p-3f-v3", 1)
    environment.reset([11])
    (simulator,) = simulators(environment)
    before = named(environment, environment.step(actions_of(NONE, NONE, NONE)))
    cells = food_cells(simulator)
    simulator.field[cells[1]] += 1
    simulator.players[1].level = 3 - simulator.players[1].level
    after = named(environment, environment.step(actions_of(NONE, LOAD, NONE)))
    assert [i for i in range(3) if before["food_level"][i] != after["food_level"][i]] == [1]
    assert [i for i in range(3) if before["agent_level"][i] != after["agent_level"][i]] == [1]
    assert after["last_action"] == [NONE, LOAD, NONE]
    assert before["agent_position"] == after["agent_position"]
    assert before["food_position"] == after["food_position"]


@pytest.mark.parametrize("board", [SMALL, "Foraging-2s-10x10-3p-3f-v3"])
def test_renumbering_the_players_renumbers_what_the_layout_says(board: str) -> None:
    """The agents as entities in the simulator change places; nothing else may tell the two worlds apart."""
    states = []
    for exchanged in (False, True):
        environment = LevelBasedForaging(board, 1)
        order = [*range(1, environment.n_agents), 0] if exchanged else [*range(environment.n_agents)]
        environment.reset([11])
        (simulator,) = simulators(environment)
        simulator.players[0].level = 3 - simulator.players[1].level
        simulator.players = [simulator.players[agent] for agent in order]
        simulator._gen_valid_moves()
        actions = [[NONE, LOAD, LOAD][agent] for agent in order]
        states.append(environment.step(actions_of(*actions)).states[0].copy())
    assert states[0].tolist() != states[1].tolist()
    assert environment.layout.renumbered(states[0], order).tolist() == states[1].tolist()


# Against the official simulator


LOCKSTEP: list[tuple[str, Mapping[str, Any]]] = [
    *((board, {}) for board in BOARDS),
    ("Foraging-10x10-3p-3f-v3", {"sight": 1}),
    (SMALL, {"observe_agent_levels": False}),
    (COOP, {"penalty": 0.1}),
    (SMALL, {"normalize_reward": False}),
]


@pytest.mark.parametrize(("board", "arguments"), LOCKSTEP)
def test_everything_shown_equals_the_official_simulator_in_lockstep(board: str, arguments: Mapping[str, Any]) -> None:
    seeds = [101, 102, 103, 104, 105, 106]
    environment = LevelBasedForaging(board, len(seeds), arguments)
    twins = [official(board, **arguments) for _ in seeds]
    now = environment.reset(seeds)
    cells = []
    for b, (twin, seed) in enumerate(zip(twins, seeds, strict=True)):
        observations, found = start(twin, seed)
        cells.append(found)
        assert np.array_equal(now.observations[b], np.stack(observations))
        _assert_state(environment, now, b, twin, found, [-1] * environment.n_agents)
    rng = np.random.default_rng(0)
    while not now.ended.all():
        playing = ~now.ended
        actions = rng.integers(0, 6, (len(seeds), environment.n_agents))
        now = environment.step(actions)
        for b in np.flatnonzero(playing).tolist():
            observations, rewards, done, _, _ = twins[b].step(actions[b].tolist())
            assert np.array_equal(now.observations[b], np.stack(observations))
            assert now.agent_rewards[b].tolist() == pytest.approx(rewards)
            assert now.rewards[b] == pytest.approx(sum(rewards))
            assert now.ended[b] == done
            assert now.terminated[b] == (not twins[b].field.any())
            _assert_state(environment, now, b, twins[b], cells[b], actions[b].tolist())


def _assert_state(
    environment: LevelBasedForaging,
    now: TimeStep,
    b: int,
    twin: Any,
    cells: list[tuple[int, int]],
    last_actions: list[int],
) -> None:
    left = [twin.field[cell] > 0 for cell in cells]
    gone = twin.max_num_food - len(cells)
    assert named(environment, now, b) == {
        "agent_position": [list(player.position) for player in twin.players],
        "agent_level": [player.level for player in twin.players],
        "food_position": [list(c) if on else [-1, -1] for c, on in zip(cells, left, strict=True)] + [[-1, -1]] * gone,
        "food_level": [int(twin.field[c]) for c in cells] + [0] * gone,
        "last_action": last_actions,
    }


def test_all_actions_are_available_and_the_official_simulator_turns_impossible_ones_into_none() -> None:
    environment = LevelBasedForaging(SMALL, 1)
    now = environment.reset([5])
    assert now.available_actions.all()
    assert now.available_actions.shape == (1, 2, 6)
    (simulator,) = simulators(environment)
    simulator.players[0].position = (0, 0)
    simulator.players[1].position = (4, 4)
    simulator._gen_valid_moves()
    state = named(environment, environment.step(actions_of(NORTH, EAST)))
    assert state["agent_position"] == [[0, 0], [4, 4]]
    assert state["last_action"] == [NORTH, EAST]


# Food, rewards and ends


def test_an_eaten_food_leaves_its_slot_empty_and_the_other_stays_in_its_own() -> None:
    environment = LevelBasedForaging(COOP, 1)
    start_state = named(environment, environment.reset([4]))
    (simulator,) = simulators(environment)
    levels, cells = start_state["food_level"], food_cells(simulator)
    assert start_state["food_position"] == [list(cell) for cell in cells]
    put_beside(simulator, cells[0])
    now = environment.step(actions_of(LOAD, LOAD))
    state = named(environment, now)
    assert state["food_position"] == [[-1, -1], list(cells[1])]
    assert state["food_level"] == [0, levels[1]]
    assert not now.ended.any()
    assert now.rewards[0] == pytest.approx(levels[0] / sum(levels))
    put_beside(simulator, cells[1])
    now = environment.step(actions_of(LOAD, LOAD))
    assert named(environment, now)["food_position"] == [[-1, -1], [-1, -1]]
    assert named(environment, now)["food_level"] == [0, 0]
    assert now.rewards[0] == pytest.approx(levels[1] / sum(levels))
    assert (now.terminated.tolist(), now.truncated.tolist()) == ([True], [False])


def test_the_team_reward_is_the_sum_of_the_agents_rewards_by_hand() -> None:
    environment = LevelBasedForaging(COOP, 1)
    state = named(environment, environment.reset([4]))
    (simulator,) = simulators(environment)
    put_beside(simulator, food_cells(simulator)[0])
    now = environment.step(actions_of(LOAD, LOAD))
    a, b = state["agent_level"]
    share = state["food_level"][0] / sum(state["food_level"])
    assert now.agent_rewards[0].tolist() == pytest.approx([share * a / (a + b), share * b / (a + b)])
    assert now.rewards[0] == pytest.approx(share)


def test_one_agent_alone_cannot_eat_a_food_that_needs_both() -> None:
    environment = LevelBasedForaging(COOP, 1)
    environment.reset([4])
    (simulator,) = simulators(environment)
    put_beside(simulator, food_cells(simulator)[0])
    now = environment.step(actions_of(LOAD, NONE))
    assert now.rewards[0] == 0
    assert min(named(environment, now)["food_level"]) > 0


def test_the_time_limit_truncates_and_does_not_terminate() -> None:
    environment = LevelBasedForaging(COOP, 2)
    now = environment.reset([1, 2])
    for t in range(environment.time_limit):
        assert not now.ended.any(), t
        now = environment.step(np.zeros((2, 2), dtype=np.int64))
    assert now.truncated.tolist() == [True, True]
    assert now.terminated.tolist() == [False, False]
    assert now.ended.tolist() == [True, True]


def test_the_last_food_eaten_at_the_time_limit_is_the_end_of_the_world() -> None:
    environment = LevelBasedForaging(COOP, 1)
    environment.reset([4])
    (simulator,) = simulators(environment)
    first, second = food_cells(simulator)
    put_beside(simulator, first)
    environment.step(actions_of(LOAD, LOAD))
    for _ in range(environment.time_limit - 2):
        environment.step(actions_of(NONE, NONE))
    put_beside(simulator, second)
    now = environment.step(actions_of(LOAD, LOAD))
    assert (now.terminated.tolist(), now.truncated.tolist()) == ([True], [False])
    assert now.rewards[0] > 0


def test_an_ended_environment_is_frozen_while_the_others_play_on() -> None:
    environment = LevelBasedForaging(COOP, 2)
    environment.reset([4, 5])
    simulator, _ = simulators(environment)
    for cell in food_cells(simulator):
        put_beside(simulator, cell)
        now = environment.step(np.array([[LOAD, LOAD], [NONE, NONE]]))
    assert now.ended.tolist() == [True, False]
    assert now.rewards[0] > 0
    frozen = [now.observations[0].copy(), now.states[0].copy()]
    for action in (EAST, SOUTH, LOAD):
        now = environment.step(np.full((2, 2), action))
        assert now.rewards[0] == 0
        assert not now.agent_rewards[0].any()
        assert now.terminated[0]
        assert not now.truncated[0]
        assert np.array_equal(now.observations[0], frozen[0])
        assert np.array_equal(now.states[0], frozen[1])
        assert named(environment, now, 1)["last_action"] == [action, action]


def test_a_reset_with_fewer_seeds_leaves_the_rest_ended_and_out_of_the_way() -> None:
    environment = LevelBasedForaging(SMALL, 3)
    random_play(environment, [1, 2, 3], np.random.default_rng(0))
    now = environment.reset([7])
    assert now.ended.tolist() == [False, True, True]
    assert not now.rewards.any()
    now = environment.step(np.zeros((3, 2), dtype=np.int64))
    assert now.ended.tolist() == [False, True, True]
    assert not now.rewards[1:].any()


# Seeds


@pytest.mark.parametrize("board", [SMALL, "Foraging-2s-10x10-3p-3f-v3"])
def test_an_episode_is_a_function_of_its_seed_alone(board: str) -> None:
    """Whatever was played before, in whichever of how many environments."""
    fresh = LevelBasedForaging(board, 1)
    plain = random_play(fresh, [7], np.random.default_rng(1))
    used = LevelBasedForaging(board, 1)
    for seed in range(20, 26):
        random_play(used, [seed], np.random.default_rng(seed))
    again = random_play(used, [7], np.random.default_rng(1))
    assert len(plain) == len(again)
    for a, b in zip(plain, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    several = LevelBasedForaging(board, 3)
    random_play(several, [1, 2, 3], np.random.default_rng(2))
    starts = several.reset([8, 9, 7])
    assert np.array_equal(starts.states[2], plain[0][1][0])
    assert np.array_equal(starts.observations[2], plain[0][0][0])


def test_different_seeds_start_differently() -> None:
    environment = LevelBasedForaging(COOP, 30)
    states = environment.reset(list(range(30))).states
    assert len({tuple(row) for row in states.tolist()}) == 30


def test_agents_never_start_on_one_another_or_on_food() -> None:
    environment = LevelBasedForaging("Foraging-8x8-3p-2f-coop-v3", 40)
    now = environment.reset(list(range(40)))
    for b in range(40):
        state = named(environment, now, b)
        cells = [tuple(cell) for cell in state["agent_position"] + state["food_position"] if cell != [-1, -1]]
        assert len(set(cells)) == len(cells)


# Mistakes


@pytest.mark.parametrize("name", ["Foraging-5x5-2p-1f-v99", "CartPole-v1", "", "foraging-5x5-2p-1f-v3"])
def test_an_unknown_id_is_refused_with_suggestions(name: str) -> None:
    with pytest.raises(UnknownNameError, match="foraging environment") as caught:
        LevelBasedForaging(name, 1)
    assert all(s.startswith("Foraging") for s in caught.value.suggestions)


def test_a_near_miss_is_told_the_right_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        LevelBasedForaging("Foraging-5x5-2p-1f-v2", 1)
    assert any("5x5-2p-1f" in suggestion for suggestion in caught.value.suggestions)


@pytest.mark.parametrize("name", ["os:Foraging-5x5-2p-1f-v3", "antigravity:Foraging-5x5-2p-1f-v3"])
def test_an_id_cannot_make_gymnasium_import_a_module(name: str) -> None:
    with pytest.raises(UnknownNameError):
        LevelBasedForaging(name, 1)


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # gymnasium's, about pictures
@pytest.mark.parametrize("arguments", [{"no_such_argument": 1}, {"grid_observation": True}])
def test_arguments_that_cannot_be_used_are_refused(arguments: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LevelBasedForaging(SMALL, 1, arguments)
    assert SMALL in caught.value.what
    assert "arguments" in caught.value.remedy


def test_arguments_reach_the_simulator() -> None:
    environment = LevelBasedForaging(SMALL, 1, {"max_episode_steps": 7})
    assert environment.time_limit == 7
    environment.reset([0])
    for _ in range(7):
        now = environment.step(actions_of(NONE, NONE))
    assert now.truncated.tolist() == [True]
