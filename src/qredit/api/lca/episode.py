"""Experiment 4: the individual rewards of one episode of a trained team, step by step, under pictures of the episode.

As in the paper's appendix A. Shapes: `T` steps, `N` agents, `S` numbers in the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qredit.api.artifacts import find_potentials
from qredit.errors import ConfigurationError, RunFolderError
from qredit.marl.adapters import make_simulator
from qredit.marl.algorithms import Problem, algorithm_of
from qredit.marl.artifact_hashes import artifact_hashes
from qredit.marl.checkpoint import load_checkpoint
from qredit.marl.choosing import greedy
from qredit.marl.choosing import sampled as sampled_actions
from qredit.marl.environments.batch import SimulatorBatch
from qredit.marl.environments.rooms import FloorPlan, Rooms
from qredit.marl.environments.rooms.world import Saved
from qredit.marl.potentials import PotentialReward, Potentials, load_potentials
from qredit.marl.scoring import Scorer
from qredit.marl.settings import TrainSettings
from qredit.marl.streams import Stream, episode_seeds, generator
from qredit.runs import Run, open_run
from qredit.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.networks import AgentNetwork

MOST_PICTURES = 10
_CPU = torch.device("cpu")
_TEXTS = ("title", "description", "goal", "reward")
"""Of a task: what no training depends on, so that trainings of comparisons do not record it."""


@dataclass(frozen=True)
class Episode:
    """One episode; step `t` leads from world `t - 1` to world `t`, and its reward is plotted at `t`."""

    task: str
    """Name of the task."""
    run: str
    """Name of the training's run folder."""
    algorithm: str
    """What has been trained."""
    seed: int
    """Which of the evaluation's episodes it is, and the seed of sampled actions."""
    sampled: bool
    """Whether actions were drawn from the policy; else the most probable ones were taken."""
    plan: FloorPlan
    """The rooms."""
    action_names: tuple[str, ...]
    """Of each action."""
    worlds: tuple[Saved, ...]
    """`T + 1` of them."""
    states: NDArray[np.float32]
    """`[T + 1, S]`"""
    actions: NDArray[np.int64]
    """`[T, N]`"""
    team_rewards: NDArray[np.float64]
    """Sum over the agents, `[T]`."""
    individual_rewards: NDArray[np.float64]
    """Out of the potentials, as in the training, `[T, N]`."""
    completed: bool
    """Whether the task was completed; else the time was over."""

    @property
    def steps(self) -> int:
        """`T`."""
        return len(self.actions)

    @property
    def landmarks(self) -> list[int]:
        """Steps with an event: a thing was done, or an agent arrived."""
        marks = [(world.done, world.arrived) for world in self.worlds]
        return [t for t in range(1, len(marks)) if marks[t] != marks[t - 1]]

    @property
    def pictured(self) -> list[int]:
        """The first world, landmarks and the last; while there is room, steps with the largest individual rewards."""
        chosen = {0, *self.landmarks, self.steps}
        largest = np.argsort(-np.abs(self.individual_rewards).max(axis=1), kind="stable") + 1
        others = [t for t in largest.tolist() if t not in chosen]
        return sorted(chosen | set(others[: max(0, MOST_PICTURES - len(chosen))]))

    def to_json(self) -> dict[str, Any]:
        """All numbers as JSON."""
        names = ("task", "run", "algorithm", "seed", "sampled", "completed", "steps", "landmarks", "pictured")
        rows = zip(self.actions.tolist(), self.team_rewards.tolist(), self.individual_rewards.tolist(), strict=True)
        return {
            **{name: getattr(self, name) for name in names},
            "agents": list(self.plan.agents),
            "team_return": round(float(self.team_rewards.sum()), 6),
            "individual_returns": np.round(self.individual_rewards.sum(axis=0), 6).tolist(),
            "actions": [[self.action_names[number] for number in actions] for actions, _, _ in rows],
            "team_rewards": np.round(self.team_rewards, 6).tolist(),
            "individual_rewards": np.round(self.individual_rewards, 6).tolist(),
            "states": self.states.tolist(),
        }


def play_episode(run: str | Path, potentials: str | Path, *, seed: int = 0, sampled: bool = True) -> Episode:
    """Play one episode of a finished training on potentials in a world of rooms; nothing is learned or changed.

    Args:
        run: the training's run folder, or its name.
        potentials: the artifact that it trained with, or the run that made it.
        seed: which of the evaluation's episodes, from 0 on, and of sampled actions.
        sampled: whether actions are drawn from the policy; else the most probable ones are taken.

    Raises:
        ConfigurationError: the training is not finished, of another world, without potentials, or with others.
        UnknownNameError, RunFolderError, ArtifactError: the folders are missing or damaged.
    """
    folder = open_run(run, kind="train")
    trained = _trained(folder, potentials)
    settings, rooms = trained.settings, trained.rooms
    batch, scorer = SimulatorBatch([rooms], mask_actions=settings.mask_actions), Scorer(trained.actor, _CPU)
    choose = sampled_actions if sampled else greedy
    rng = generator(Stream.SAMPLED_EVALUATION, seed)
    now = batch.reset(episode_seeds(Stream.EVALUATION_EPISODES, 0, seed, 1))
    worlds, states, actions, rewards = [rooms.save()], [now.states[0].copy()], [], []
    while not now.ended[0]:
        actions.append(choose(scorer.scores(now), now.available_actions, rng)[0].copy())
        now = batch.step(actions[-1][None])
        worlds.append(rooms.save())
        states.append(now.states[0].copy())
        rewards.append(float(now.rewards[0]))
    seen, chosen = np.stack(states), np.stack(actions)
    return Episode(
        task=trained.task.name,
        run=folder.path.name,
        algorithm=settings.algorithm,
        seed=seed,
        sampled=sampled,
        plan=rooms.plan,
        action_names=trained.task.actions,
        worlds=tuple(worlds),
        states=seen,
        actions=chosen,
        team_rewards=np.array(rewards),
        individual_rewards=_individual_rewards(trained, seen, chosen),
        completed=bool(now.terminated[0]),
    )


@dataclass(frozen=True)
class _Trained:
    """A finished training, as its folder has it."""

    task: Task
    settings: TrainSettings
    rooms: Rooms
    actor: AgentNetwork
    potentials: Potentials


def _trained(run: Run, artifact: str | Path) -> _Trained:
    record = run.record
    recorded, task, settings = _recorded(run, record)
    if record.get("status") != "finished":
        raise _unsuitable(
            run, f"its status is `{record.get('status')}`, not `finished`", "Finish it with `qredit train --resume`."
        )
    spec = task.environment
    # Looked at first: a stranger's folder must not name code of its own for us to load.
    if spec is None or spec.adapter != "rooms" or spec.inert_agents:
        raise _unsuitable(
            run,
            f"its task `{task.name}` is no plain world of rooms, and there are pictures of these alone",
            "Give a training on `two-switch` or `victim-rubble`.",
        )
    if settings.rewards != "potentials":
        raise _unsuitable(
            run,
            f"it learned from rewards of the kind `{settings.rewards}`",
            "Train with --rewards potentials --potentials ARTIFACT.",
        )
    path = find_potentials(artifact, task)
    if artifact_hashes(None, path)["potentials_sha256"] != recorded.get("potentials_sha256"):
        raise ConfigurationError(
            f"potentials `{path}`",
            cause=f"the training `{run.path}` had others",
            remedy="Give the artifact that it trained with.",
        )
    rooms, potentials = make_simulator(task), load_potentials(path)
    assert isinstance(rooms, Rooms)  # the adapter's
    kind = algorithm_of(settings, has_credit=False, has_potentials=True)
    algorithm = kind(Problem(rooms, replace(settings, device="cpu"), _CPU, None, potentials, task.noop_number))
    # What the checkpoint must have been made with is what the run's own record says.
    identity = {**recorded, "task": {k: v for k, v in recorded["task"].items() if k not in _TEXTS}}
    if load_checkpoint(run.path, algorithm=algorithm, identity=identity) is None:
        raise _unsuitable(run, "it has no checkpoint", "Train again, or copy the whole folder.")
    return _Trained(task, settings, rooms, algorithm.actor, potentials)


def _recorded(run: Run, record: Mapping[str, Any]) -> tuple[Mapping[str, Any], Task, TrainSettings]:
    """The settings that a run was recorded with, and the task and the training that they describe."""
    try:
        recorded = record["settings"]
        task = Task.model_validate({**dict.fromkeys(_TEXTS, ""), **recorded["task"]})
        return recorded, task, TrainSettings(**recorded["training"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"run `{run.path}`",
            cause=f"its record is damaged or of another version ({type(error).__name__}: {error})"[:500],
            remedy="Train again.",
        ) from error


def _unsuitable(run: Run, cause: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"training `{run.path}`", cause=cause, remedy=remedy)


def _individual_rewards(
    trained: _Trained, states: NDArray[np.float32], actions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What each step was worth to each agent in the training, `[T, N]`, before rewards are standardised."""
    before, after, chosen = (torch.from_numpy(part) for part in (states[:-1], states[1:], actions))
    reward = PotentialReward(trained.potentials, gamma=trained.settings.potential_gamma)
    rule, noop = trained.settings.still, trained.task.noop_number
    found: NDArray[np.float64] = reward.earned(before, chosen, after, still=rule, noop=noop).double().numpy()
    return found
