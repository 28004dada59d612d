"""Compiled rooms, in lockstep with the rules as they are written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qredit.marl.environments.rooms import PLANS, Rooms
from qredit.marl.environments.rooms.duties import next_action
from qredit.marl.environments.rooms.world import ACT, Saved, faced
from qredit.marl.environments.simulator import StepResult
from qredit.marl.kernels import rooms
from tests.marl.kernels.mutants import mutant
from tests.marl.kernels.parity import LONG, STEPS, ParityError, lockstep


class Curious(Rooms):
    """Its scripted team tries to do everything, also what an agent cannot do."""

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """Half of the time as if everybody could do everything, `[N]`."""
        everybody = tuple(range(self.n_agents))
        kinds = tuple(replace(kind, operators=everybody) for kind in self.plan.kinds)
        if rng.random() < 0.5:
            return [next_action(replace(self.plan, kinds=kinds), self.save(), i) for i in everybody]
        return super().scripted_actions(rng)


def events(before: Saved, actions: list[int], result: StepResult, after: Saved) -> dict[str, int]:
    """What happened in a step, by the positions before and after it."""
    walking = [i for i, action in enumerate(actions) if 0 < action < ACT]
    stuck = [i for i in walking if before.positions[i] == after.positions[i]]
    ahead = [faced(after, i) for i in range(2)]
    return {
        "thing done": sum(after.done) - sum(before.done),
        "act in vain": actions.count(ACT) - (sum(after.done) - sum(before.done)),
        "walk": len(walking) - len(stuck),
        "blocked by an agent": sum(ahead[i] == before.positions[1 - i] for i in stuck),
        "both want one cell": int(len(stuck) == 2 and ahead[0] == ahead[1]),
        "end": int(result.terminated),
    }


@pytest.mark.parametrize("name", PLANS)
def test_rooms_in_lockstep(name: str) -> None:
    world = Curious(name)
    # The team seldom gets through all the rubble, hence twice the steps.
    counts = lockstep(world, rooms.CompiledRooms(world, 3), steps=2 * STEPS, seed=0, events=events)
    print(name, dict(counts))
    least = 200 if LONG else 1
    for event in (
        "thing done",
        "act in vain",
        "walk",
        "blocked by an agent",
        "both want one cell",
        "end",
        "truncation",
    ):
        assert counts[event] >= least, f"{event}: {counts[event]}"


MISTAKES: dict[str, tuple[str, str]] = {
    "south is north": (
        "positions[b, i, 0] + int(actions[b, i] == SOUTH) - int(actions[b, i] == NORTH)",
        "positions[b, i, 0] + int(actions[b, i] == NORTH) - int(actions[b, i] == SOUTH)",
    ),
    "agents do not block": ("                free = False\n", "                pass\n"),
    "two enter one cell": ("                alone = False\n", "                pass\n"),
    "anybody can do anything": ("k >= 0 and operators[k, i] and not", "k >= 0 and not"),
    "things pay twice": (" and not done[b, k]:", ":"),
    "doors are never shut": ("return not _all_done(done, b)", "return False"),
    "what is done still blocks": ("or not done[b, what - FIRST_THING]", "or True"),
    "who is blocked does not turn": (
        "        if NORTH <= actions[b, i] <= EAST:\n",
        "        if NORTH <= actions[b, i] <= EAST and (wanted[b, i] != positions[b, i]).any():\n",
    ),
    "arrival is no event": ("                w.events[b, i] += 1\n", "                pass\n"),
    "the end pays nothing": ("w.events[b, i] + over - penalty", "w.events[b, i] - penalty"),
    "a step later": ("w.steps[b] >= rules.time_limit", "w.steps[b] > rules.time_limit"),
    "starts may be shared": ("w.free[b, p] = w.free[b, p + 1]", "pass"),
}

IN_TWO_SWITCH = ("arrival is no event", "doors are never shut", "things pay twice", "the end pays nothing")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_kernel_is_noticed(mistake: str) -> None:
    old, new = MISTAKES[mistake]
    name = "two-switch" if mistake in IN_TWO_SWITCH else "victim-rubble"
    with mutant(rooms, old, new) as wrong, pytest.raises(ParityError):
        lockstep(Curious(name), wrong.CompiledRooms(Rooms(name), 1), steps=1500, seed=0)
