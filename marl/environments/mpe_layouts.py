"""The named state of the particle worlds: the team's observations, taken apart and sorted by meaning.

A field holds one part of the observation for all agents, `[N, ...]`, and the fields stand in the order in which the
package's observation functions write the parts. So the flat state is a permutation of the concatenated observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qredit.layout import StateField, StateLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH, SPEED = "length (agents start between -1 and 1)", "length per time unit (a step lasts 0.1)"
TOP_SPEED = 2.0
"""An agent without a speed limit that chooses one action all the time comes near this speed."""
PREDATOR_SPEED, PREY_SPEED = 1.0, 1.3
CONTACT_SPEED, CONTACT_LENGTH = 10.0, 4.0
"""Bounds of the speed that agents get and of the way that they are thrown when they touch, more than was ever seen."""

TYPICAL = 1.0
"""Magnitude of most lengths and speeds: agents and landmarks start between -1 and 1, where there is reason to stay."""


@dataclass(frozen=True)
class Counts:
    """What a world has."""

    agents: int
    """`N`, of the team."""
    landmarks: int
    time_limit: int
    """Steps."""

    def reach(self, speed: float) -> float:
        """Largest coordinate of an agent that moves away at `speed` all the time."""
        return 1.0 + 0.1 * speed * self.time_limit


def spread_layout(counts: Counts) -> StateLayout:
    """`simple_spread_v3`: 18 numbers per agent when there are three, 36 when there are six."""
    reach = counts.reach(TOP_SPEED) + CONTACT_LENGTH
    others = counts.agents - 1
    return _layout(
        _own("velocity", counts, CONTACT_SPEED),
        _own("position", counts, reach),
        _offsets("landmark", counts, (counts.landmarks,), reach + 1.0, ("landmark_position", "agent_position")),
        _offsets("other_agent", counts, (others,), 2 * reach, ("agent_position",)),
        StateField(
            "message",
            (counts.agents, others, 2),
            "signal",
            0,
            0,
            "What each agent hears from the others; in this task nobody speaks, so it is always 0.",
            ("message",),
            (0,),
            1,
        )
        if others
        else None,
    )


def tag_layout(counts: Counts) -> StateLayout:
    """`simple_tag_v3`, of which the predators are the team: 16 numbers for each of three."""
    reach, prey_reach = counts.reach(PREDATOR_SPEED), counts.reach(PREY_SPEED)
    return _layout(
        _own("velocity", counts, PREDATOR_SPEED),
        _own("position", counts, reach),
        _offsets("obstacle", counts, (counts.landmarks,), reach + 1.0, ("obstacle_position", "agent_position")),
        _offsets("other_agent", counts, (counts.agents - 1,), 2 * reach, ("agent_position",)),
        _offsets("prey", counts, (), reach + prey_reach, ("prey_position", "agent_position")),
        StateField(
            "prey_velocity",
            (counts.agents, 2),
            SPEED,
            -PREY_SPEED,
            PREY_SPEED,
            "Velocity of the prey, x and y, as each agent sees it: the same in every row.",
            ("prey_velocity",),
            (0,),
            typical=TYPICAL,
        ),
    )


def adversary_layout(counts: Counts) -> StateLayout:
    """`simple_adversary_v3`, of which the good agents are the team: 10 numbers for each of two."""
    reach = counts.reach(TOP_SPEED)
    to_landmarks = ("landmark_position", "agent_position")
    return _layout(
        _offsets("goal", counts, (), reach + 1.0, ("goal", *to_landmarks)),
        _offsets("landmark", counts, (counts.landmarks,), reach + 1.0, to_landmarks),
        _offsets("adversary", counts, (), 2 * reach, ("adversary_position", "agent_position")),
        _offsets("other_agent", counts, (counts.agents - 1,), 2 * reach, ("agent_position",)),
    )


def observed_at(layout: StateLayout, n_agents: int) -> NDArray[np.intp]:
    """Where each number of the state stands in the concatenated observations of the team, `[S]`."""
    observation_size = layout.size // n_agents
    agents = np.arange(n_agents)[:, None] * observation_size
    places, start = [], 0
    for field in layout.fields:
        width = field.size // n_agents
        places.append((agents + np.arange(start, start + width)).reshape(-1))
        start += width
    return np.concatenate(places)


def _layout(*fields: StateField | None) -> StateLayout:
    return StateLayout(tuple(field for field in fields if field is not None))


def _own(what: str, counts: Counts, bound: float) -> StateField:
    return StateField(
        f"own_{what}",
        (counts.agents, 2),
        SPEED if what == "velocity" else LENGTH,
        -bound,
        bound,
        f"{what.capitalize()} of each agent, x (right is positive) and y (up is positive).",
        (f"agent_{what}",),
        (0,),
        typical=TYPICAL,
    )


def _offsets(
    what: str, counts: Counts, number: tuple[int, ...], bound: float, entities: tuple[str, ...]
) -> StateField | None:
    """Offsets from each agent to one thing, or to each of a number of things; `None` when there are none."""
    if 0 in number:
        return None
    thing = what.replace("_", " ")
    which = f"each {thing}" if number else f"the {thing}"
    order = ""
    if what == "other_agent":
        order = "; the others in the order of their numbers, without the agent itself"
    elif number:
        order = f"; the {thing}s in the same order for every agent"
    return StateField(
        f"{what}_offset",
        (counts.agents, *number, 2),
        LENGTH,
        -bound,
        bound,
        f"Position of {which} minus the position of the agent of this row, x and y{order}.",
        entities,
        (0,),
        1 if what == "other_agent" else None,
        TYPICAL,
    )
