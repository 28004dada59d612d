"""The paper's three worlds, with its numbers of pairs and steps, and potentials out of their heuristic rankers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from qredit.marl.adapters import layout_of
from qredit.marl.curves import read_columns
from qredit.marl.potentials import Fit, FitSettings, best_potentials, save_potentials
from qredit.marl.potentials.heuristics import answers_with_errors, heuristic_answers, rankings_of
from qredit.marl.potentials.transitions import Transitions, sample_transitions
from qredit.marl.statistics import Floats
from qredit.task import load_task


@dataclass(frozen=True)
class World:
    """One of the three."""

    task: str
    """Name of the task."""
    pairs: int
    """Ranked transitions, for all agents together."""
    groups: Sequence[Sequence[int]]
    """Agents that share a model."""
    steps: int
    """Environment steps of a training."""
    completion: float | None
    """What completing the task adds to half of the team's return on the scale of the paper's figures; `None` where
    they show the team's return itself."""
    optimum: float | None
    """Mean return of the best policy on the scale of the figures, where it is known (decision 0017)."""
    evaluation_episodes: int = 100
    """Episodes per evaluation."""

    def plotted(self, team_returns: Floats, completed: Floats) -> Floats:
        """Returns on the scale of the paper's figures."""
        return team_returns if self.completion is None else team_returns / 2 + self.completion * completed


WORLDS: Mapping[str, World] = {
    world.task: world
    for world in (
        World("two-switch", 4400, [[0, 1]], 250_000, 1.0, 4.7285),
        World("victim-rubble", 4000, [[0], [1]], 210_000, 1.0, 6.7407),
        World("pistonball", 1000, [[0, 1, 2, 3, 4]], 18_000, None, None, evaluation_episodes=20),
    )
}


def potentials_by_rule(
    world: World, folder: Path, *, pairs: int | None = None, accuracy: float = 1.0, queries: int = 1, seed: int = 0
) -> Fit:
    """Rank transitions by the heuristic, with errors if wanted, and teach potentials; saves an artifact.

    Args:
        world: the world.
        folder: where the artifact goes.
        pairs: how many transitions; by default as many as in the paper.
        accuracy: how many of the answers are right.
        queries: answers per pair.
        seed: of the transitions, the errors and the weights.
    """
    task = load_task(world.task)
    transitions, right = _ranked(world.task, world.pairs if pairs is None else pairs, seed)
    answers = answers_with_errors(right, accuracy=accuracy, queries=queries, seed=seed)
    settings = FitSettings(seed=seed, most_epochs=1000)
    potentials, fit = best_potentials(layout_of(task), world.groups, rankings_of(transitions, answers), settings)
    origin = {"rankings": "heuristic", "pairs": len(right), "accuracy": accuracy, "queries": queries, "seed": seed}
    save_potentials(folder, potentials, task=world.task, fit=fit, origin=origin)
    return fit


@lru_cache(maxsize=4)  # cells of one seed differ in their errors alone
def _ranked(task_name: str, pairs: int, seed: int) -> tuple[Transitions, Tensor]:
    task = load_task(task_name)
    transitions = sample_transitions(task, pairs, seed)
    return transitions, heuristic_answers(task, transitions)


@dataclass(frozen=True)
class Curve:
    """A training's evaluations on the scale of the paper's figures."""

    steps: Floats
    """Environment steps, `[P]`."""
    seconds: Floats
    """Wall-clock seconds, `[P]`."""
    returns: Floats
    """Of sampled actions where the policy is a distribution, else of greedy ones, `[P]`."""
    greedy: Floats
    """Of greedy actions, `[P]`."""

    @property
    def area(self) -> float:
        """Mean over the steps."""
        return float(np.trapezoid(self.returns, self.steps) / (self.steps[-1] - self.steps[0]))

    @property
    def final(self) -> float:
        """Mean of the last three evaluations."""
        return float(self.returns[-3:].mean())


def curve_of(world: World, folder: Path) -> Curve:
    """The curve of a train run folder.

    Raises:
        RunFolderError: it is damaged.
    """
    columns = read_columns(folder)
    greedy = world.plotted(columns["greedy_return"], columns["greedy_completed"])
    if "sampled_return" not in columns:
        return Curve(columns["environment_steps"], columns["seconds"], greedy, greedy)
    sampled = world.plotted(columns["sampled_return"], columns["sampled_completed"])
    return Curve(columns["environment_steps"], columns["seconds"], sampled, greedy)
