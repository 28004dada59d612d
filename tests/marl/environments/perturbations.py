"""Changes of exactly one entity in a simulator: what the fields of a layout say that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Change = Callable[[Any], None]
"""Changes one entity of a simulator (its adapter, not the package's object) in place."""


def _move_an_agent(simulator: Any) -> None:
    official = simulator.official
    taken = {player.position for player in official.players}
    free = [(r, c) for r in range(5) for c in range(5) if (r, c) not in taken and not official.field[r, c]]
    official.players[0].position = free[0]


def _change_a_level(simulator: Any) -> None:
    player = simulator.official.players[0]
    player.level = 3 - player.level


def _eat_a_food(simulator: Any) -> None:
    field = simulator.official.field
    field.flat[field.argmax()] = 0


def _remember_other_actions(simulator: Any) -> None:
    first, *others = simulator._last_actions
    simulator._last_actions = ((first + 1) % 6, *others)


LBF: Mapping[str, Change] = {
    "agent_position": _move_an_agent,
    "agent_level": _change_a_level,
    "food": _eat_a_food,
    "action": _remember_other_actions,
}


def _remember_another_pair(simulator: Any) -> None:
    simulator._last = ((simulator._last[0] + 1) % 3, simulator._last[1])


MATRIX: Mapping[str, Change] = {"action": _remember_another_pair}


def _in_the_world(change: Change) -> Change:
    """A change of the package's objects; the restored snapshot makes the adapter look at them again."""

    def changed(simulator: Any) -> None:
        change(simulator)
        simulator.restore(simulator.save())

    return changed


def _team(simulator: Any) -> Any:
    return simulator._team[0].state


def _opponent(simulator: Any) -> Any:
    return simulator._opponents[0].state


def _landmarks(simulator: Any) -> None:
    for landmark in simulator.official.world.landmarks:
        landmark.state.p_pos += (0.25, -0.5)


def _position(whose: Callable[[Any], Any]) -> Change:
    def move(simulator: Any) -> None:
        whose(simulator).p_pos += (0.25, -0.5)

    return _in_the_world(move)


def _velocity(whose: Callable[[Any], Any]) -> Change:
    def push(simulator: Any) -> None:
        whose(simulator).p_vel += (0.25, -0.5)

    return _in_the_world(push)


def _say_something(simulator: Any) -> None:
    _team(simulator).c += (0.0, 1.0)


def _take_the_other_goal(simulator: Any) -> None:
    world = simulator.official.world
    goal = next(landmark for landmark in world.landmarks if landmark is not world.agents[0].goal_a)
    for agent in world.agents:
        agent.goal_a = goal


SPREAD: Mapping[str, Change] = {
    "agent_velocity": _velocity(_team),
    "agent_position": _position(_team),
    "landmark_position": _in_the_world(_landmarks),
    "message": _in_the_world(_say_something),
}
TAG: Mapping[str, Change] = {
    "agent_velocity": _velocity(_team),
    "agent_position": _position(_team),
    "obstacle_position": _in_the_world(_landmarks),
    "prey_position": _position(_opponent),
    "prey_velocity": _velocity(_opponent),
}
ADVERSARY: Mapping[str, Change] = {
    "agent_position": _position(_team),
    "landmark_position": _in_the_world(_landmarks),
    "adversary_position": _position(_opponent),
    "goal": _in_the_world(_take_the_other_goal),
}


def carry_a_request(simulator: Any) -> None:
    """In a warehouse, agent 0 picks up the first requested shelf: only then are all entities to be seen."""
    agent, shelf = simulator.official.agents[0], simulator.official.request_queue[0]
    agent.x, agent.y, agent.carrying_shelf = shelf.x, shelf.y, shelf


def _move_a_robot(simulator: Any) -> None:
    robot = simulator.official.agents[1]
    robot.x = (robot.x + 1) % simulator.official.grid_size[1]


def _turn_a_robot(simulator: Any) -> None:
    robot = simulator.official.agents[1]
    robot.dir = robot.dir.__class__((robot.dir.value + 1) % 4)


def _put_the_shelf_down(simulator: Any) -> None:
    simulator.official.agents[0].carrying_shelf = None


def _request_another_shelf(simulator: Any) -> None:
    official = simulator.official
    official.request_queue[0] = next(shelf for shelf in official.shelfs if shelf not in official.request_queue)


def _move_a_requested_shelf(simulator: Any) -> None:
    simulator.official.request_queue[1].y -= 1


def _move_a_goal(simulator: Any) -> None:
    (x, y), *others = simulator.official.goals
    simulator.official.goals = [(x - 1, y), *others]


def _remember_other_orders(simulator: Any) -> None:
    first, *others = simulator._last_actions
    simulator._last_actions = ((first + 1) % 5, *others)


WAREHOUSE: Mapping[str, Change] = {
    "agent_position": _move_a_robot,
    "agent_direction": _turn_a_robot,
    "load": _put_the_shelf_down,
    "request": _request_another_shelf,
    "shelf_position": _move_a_requested_shelf,
    "goal": _move_a_goal,
    "action": _remember_other_orders,
}


def inside(changes: Mapping[str, Change]) -> Mapping[str, Change]:
    """The same changes, of the simulator inside one with inert agents."""

    def of_the_inner(change: Change) -> Change:
        return lambda simulator: change(simulator.simulator)

    return {entity: of_the_inner(change) for entity, change in changes.items()}
