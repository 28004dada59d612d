"""Grid worlds of rooms: LCA's Two-Switch and Victim-Rubble."""

from qredit.marl.environments.rooms.plan import FloorPlan, Kind
from qredit.marl.environments.rooms.plans import PLANS
from qredit.marl.environments.rooms.world import Rooms

__all__ = ["PLANS", "FloorPlan", "Kind", "Rooms"]
