"""The two floor plans of LCA's grid worlds; the paper gives pictures only, so sizes and places are our own.

(Decision 0017 fixed them before the first training.)
"""

from __future__ import annotations

from collections.abc import Mapping

from qredit.marl.environments.rooms.plan import FloorPlan, Kind

TWO_SWITCH = FloorPlan(
    drawing=(
        "###########",
        "#+++++++++#",
        "#+++++++++#",
        "s+++++++++s",
        "#+++++++++#",
        "#+++++++++#",
        "#####D#####",
        "#.........#",
        "#.........#",
        "#....T....#",
        "###########",
    ),
    agents=("green agent", "orange agent"),
    kinds=(Kind("s", "switch", "switches", "switch_on", "trigger", (0, 1), stays=True),),
    time_limit=50,
)
"""Two switches in the walls of the upper room; once both are on, the door to the lower room and its target opens."""

VICTIM_RUBBLE = FloorPlan(
    drawing=(
        "##############",
        "#v.......r...#",
        "##########...#",
        "#v..#++++#...#",
        "#....++++r...#",
        "#...#++++#...#",
        "#...#++++#..r#",
        "##############",
    ),
    agents=("healer", "remover"),
    kinds=(
        Kind("v", "victim", "victims", "victim_healed", "heal", (0,), stays=False),
        Kind("r", "piece of rubble", "pieces of rubble", "rubble_cleared", "clear", (1,), stays=False),
    ),
    time_limit=110,
)
"""A victim at the end of a corridor behind two pieces of rubble, one in reach, and rubble that blocks nothing."""

PLANS: Mapping[str, FloorPlan] = {"two-switch": TWO_SWITCH, "victim-rubble": VICTIM_RUBBLE}
"""By the environment's id."""
