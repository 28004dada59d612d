"""The heuristic ranker of rooms: which of two states is better for an agent, as a person with the plan would say."""

from __future__ import annotations

from dataclasses import replace

from qredit.marl.environments.rooms.duties import actions_left, duties
from qredit.marl.environments.rooms.plan import FloorPlan
from qredit.marl.environments.rooms.world import Saved, faced

AFTER, BEFORE, UNSURE = 1.0, 0.0, 0.5


def rank(plan: FloorPlan, before: Saved, after: Saved, ego: int) -> float:
    """Whether the state after a step is better from the ego's point of view: 1, 0, or 1/2 for unsure.

    Its duty is found before the step, as if the teammates did their best. A thing that a teammate does is none of
    its merit.
    """
    for thing, was, is_now in zip(plan.things, before.done, after.done, strict=True):
        if is_now and not was and ego in thing.kind.operators and faced(before, ego) == thing.cell:
            return AFTER
    duty = duties(plan, before)[ego]
    if duty is None:
        return UNSURE
    left = actions_left(plan, before, ego, duty)
    then = actions_left(plan, replace(after, done=before.done), ego, duty)
    return UNSURE if then == left else AFTER if then < left else BEFORE
