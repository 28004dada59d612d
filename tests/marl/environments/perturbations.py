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


def inside(changes: Mapping[str, Change]) -> Mapping[str, Change]:
    """The same changes, of the simulator inside one with inert agents."""

    def of_the_inner(change: Change) -> Change:
        return lambda simulator: change(simulator.simulator)

    return {entity: of_the_inner(change) for entity, change in changes.items()}
