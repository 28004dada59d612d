"""Level-Based Foraging, compared with the official simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest

from qredit.marl.environment import TimeStep
from qredit.marl.environments.batch import SimulatorBatch
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.lbf_official import make_official

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
SMALL = "Foraging-5x5-2p-1f-v3"
COOP = "Foraging-2s-8x8-2p-2f-coop-v3"
BOARDS = [SMALL, COOP, "Foraging-2s-10x10-3p-3f-v3", "Foraging-2s-15x15-4p-3f-v3", "Foraging-8x8-3p-2f-coop-v3"]


def official(environment_id: str, **arguments: Any) -> Any:
    """The package's own environment, untouched, as it registers it or, for another size, would have."""
    made = make_official(environment_id, arguments)
    if environment_id in gymnasium.registry:
        return gymnasium.make(environment_id, disable_env_checker=True, **arguments).unwrapped
    # The package checks its observations against bounds in which rows and columns have changed places.
    box = gymnasium.spaces.Box(-1, 99, made.observation_space[0].shape, np.float32)
    made.observation_space = gymnasium.spaces.Tuple([box] * len(made.players))
    return made


def start(simulator: Any, seed: int) -> tuple[Any, list[tuple[int, int]]]:
    """Reset an official environment; its observations and the cells of its foods."""
    for player in simulator.players:
        player.position = None
    observations, _ = simulator.reset(seed=seed)
    return observations, [(int(r), int(c)) for r, c in np.argwhere(simulator.field > 0)]


def batch(environment_id: str, n_environments: int, arguments: Mapping[str, Any] | None = None) -> SimulatorBatch:
    return SimulatorBatch([LevelBasedForaging(environment_id, arguments) for _ in range(n_environments)])


def simulators(environment: SimulatorBatch) -> list[Any]:
    """The official environments inside, for tests that reach into the world."""
    return [simulator.official for simulator in environment.simulators if isinstance(simulator, LevelBasedForaging)]


def named(environment: SimulatorBatch, now: TimeStep, b: int = 0) -> dict[str, Any]:
    """The state of one environment by field, as plain lists."""
    return {name: part.tolist() for name, part in environment.layout.named(now.states[b].copy()).items()}


def random_play(environment: SimulatorBatch, seeds: Sequence[int], rng: np.random.Generator) -> list[list[Any]]:
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
    environment = batch("Foraging-2s-10x10-3p-3f-v3", 2)
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


@pytest.mark.parametrize("board", BOARDS)
def test_values_stay_inside_the_ranges_of_the_layout(board: str) -> None:
    environment = batch(board, 4)
    rng = np.random.default_rng(3)
    rows = [states for _, states, *_ in random_play(environment, [1, 2, 3, 4], rng)]
    rows += [states for _, states, *_ in random_play(environment, [5, 6, 7, 8], rng)]
    states = np.concatenate(rows)
    for field, part in environment.layout.slices():
        assert states[:, part].min() >= field.low, field.name
        assert states[:, part].max() <= field.high, field.name
    assert np.array_equal(states, states.round())


def test_each_number_of_an_entity_reaches_its_own_place() -> None:
    """Finer than the field: the second agent's column, the second food's level, the second agent's action."""
    environment = batch("Foraging-2s-10x10-3p-3f-v3", 1)
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
        environment = batch(board, 1)
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
    ("Foraging-2s-11x6-4p-3f-v3", {}),
    ("Foraging-5x9-3p-2f-v3", {}),
]


@pytest.mark.parametrize(("board", "arguments"), LOCKSTEP)
def test_everything_shown_equals_the_official_simulator_in_lockstep(board: str, arguments: Mapping[str, Any]) -> None:
    seeds = [101, 102, 103, 104, 105, 106]
    environment = batch(board, len(seeds), arguments)
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
    environment: SimulatorBatch,
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
    environment = batch(SMALL, 1)
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
    environment = batch(COOP, 1)
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
    environment = batch(COOP, 1)
    state = named(environment, environment.reset([4]))
    (simulator,) = simulators(environment)
    put_beside(simulator, food_cells(simulator)[0])
    now = environment.step(actions_of(LOAD, LOAD))
    a, b = state["agent_level"]
    share = state["food_level"][0] / sum(state["food_level"])
    assert now.agent_rewards[0].tolist() == pytest.approx([share * a / (a + b), share * b / (a + b)])
    assert now.rewards[0] == pytest.approx(share)


def test_one_agent_alone_cannot_eat_a_food_that_needs_both() -> None:
    environment = batch(COOP, 1)
    environment.reset([4])
    (simulator,) = simulators(environment)
    put_beside(simulator, food_cells(simulator)[0])
    now = environment.step(actions_of(LOAD, NONE))
    assert now.rewards[0] == 0
    assert min(named(environment, now)["food_level"]) > 0


def test_the_time_limit_truncates_and_does_not_terminate() -> None:
    environment = batch(COOP, 2)
    now = environment.reset([1, 2])
    for t in range(environment.time_limit):
        assert not now.ended.any(), t
        now = environment.step(np.zeros((2, 2), dtype=np.int64))
    assert now.truncated.tolist() == [True, True]
    assert now.terminated.tolist() == [False, False]
    assert now.ended.tolist() == [True, True]


def test_the_last_food_eaten_at_the_time_limit_is_the_end_of_the_world() -> None:
    environment = batch(COOP, 1)
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


# Seeds


def test_a_start_does_not_depend_on_where_the_agents_stood_before() -> None:
    """On a small board, where the package's habit of avoiding the old cells would show soon."""
    used = LevelBasedForaging(SMALL)
    for seed in range(40):
        fresh = LevelBasedForaging(SMALL)
        fresh.reset(seed)
        used.reset(seed)
        assert used.state().tolist() == fresh.state().tolist(), seed


def test_different_seeds_start_differently() -> None:
    environment = batch(COOP, 30)
    states = environment.reset(list(range(30))).states
    assert len({tuple(row) for row in states.tolist()}) == 30


def test_agents_never_start_on_one_another_or_on_food() -> None:
    environment = batch("Foraging-8x8-3p-2f-coop-v3", 40)
    now = environment.reset(list(range(40)))
    for b in range(40):
        state = named(environment, now, b)
        cells = [tuple(cell) for cell in state["agent_position"] + state["food_position"] if cell != [-1, -1]]
        assert len(set(cells)) == len(cells)
