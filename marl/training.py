"""Train one algorithm on one task with one seed (QLLM, algorithm 1, part 2).

The run folder of a training:

    run.json      settings and status
    metrics.csv   one row per greedy evaluation (`qredit.marl.metrics`)
    tensorboard/  the same, for TensorBoard
    checkpoint/   everything needed to go on exactly
    result.json   written at the end
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qredit.artifact import CREDIT_GRAPH, load_artifact
from qredit.credit.statistics import differs_from_vdn
from qredit.errors import ConfigurationError
from qredit.files import write_json
from qredit.marl.adapters import make_environment
from qredit.marl.algorithms import algorithm_of
from qredit.marl.checkpoint import Counters, load_checkpoint, save_checkpoint
from qredit.marl.learner import Learner
from qredit.marl.metrics import Evaluation, MetricsLog
from qredit.marl.mixers import CreditMixer
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import Episodes, ReplayBuffer
from qredit.marl.rollout import Collector, greedy_returns
from qredit.marl.settings import TrainSettings
from qredit.marl.statistics import area_under_curve
from qredit.marl.streams import Stream, episode_seeds, generator

if TYPE_CHECKING:
    from qredit.runs import Run
    from qredit.task import Task

EVALUATION_ENVIRONMENTS = 20
VISITED_STATES = 10_000
OnProgress = Callable[[int, int], None]
"""Called with (environment steps done, environment steps in all)."""


@dataclass(frozen=True)
class TrainResult:
    """What a training ended with; the content of `result.json`."""

    algorithm: str
    """Its name."""
    task: str
    """Name of the task."""
    seed: int
    """The seed."""
    environment_steps: int
    """Environment steps trained."""
    seconds: float
    """Wall-clock seconds, evaluations included."""
    final_return: float
    """Undiscounted team return per episode, mean over the greedy evaluation episodes at the end."""
    area_under_curve: float
    """Time average of the greedy return over environment steps."""
    vdn_difference: float | None
    """Share of visited states in which the credit function differs from VDN; `None` for other mixers."""


def train(
    task: Task,
    settings: TrainSettings,
    run: Run,
    *,
    mixer_path: Path | None = None,
    resume: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> TrainResult:
    """Train, and write metrics, checkpoints and the result into the run folder; the caller holds its lock.

    Deterministic per seed on one device; a resumed training ends with the numbers of an undisturbed one. One thread
    of torch: several trainings side by side use the cores better than one training does.

    Args:
        task: a task with an environment.
        settings: algorithm, seed, lengths, rates.
        run: the run folder.
        mixer_path: the credit function's artifact, for `qllm`.
        resume: go on from the folder's checkpoint, if it has one.
        on_progress: told of the steps done after every collection.

    Raises:
        ConfigurationError, UnknownNameError, ArtifactError: what was asked for does not fit together.
        RunFolderError: the checkpoint cannot be used.
        StorageError: disk full.
    """
    training = Training(task, settings, run.path, mixer_path)
    if resume:
        training.load()
    return training.run(on_progress)


class Training:
    """The parts of a training and the loop over them."""

    def __init__(self, task: Task, settings: TrainSettings, folder: Path, mixer_path: Path | None) -> None:
        algorithm = algorithm_of(settings.algorithm, mixer_path)
        torch.set_num_threads(1)
        torch.manual_seed(settings.seed)
        self._device = _device(settings.device)
        self._task, self._settings, self._folder = task, settings, folder
        self._environment = make_environment(task, settings.n_environments)
        self._evaluation = make_environment(task, min(EVALUATION_ENVIRONMENTS, settings.evaluation_episodes))
        self._network = AgentNetwork(
            observation_size=self._environment.observation_size,
            n_agents=self._environment.n_agents,
            n_actions=self._environment.n_actions,
            hidden_size=settings.hidden_size,
            recurrent=settings.recurrent,
        ).to(self._device)
        mixer = algorithm.make_mixer(self._environment, settings, mixer_path).to(self._device)
        self._mixer = mixer
        self._learner = Learner(self._network, mixer, settings)
        credit_size = mixer.output_size if isinstance(mixer, CreditMixer) else 0
        self._replay = ReplayBuffer(settings.buffer_episodes, self._environment, credit_size=credit_size)
        self._collector = Collector(self._environment, self._network, self._device)
        self._identity = _identity(task, settings, mixer_path)
        self._counters = Counters()
        self._evaluations: tuple[Evaluation, ...] = ()
        self._loss = torch.tensor(self._counters.loss)

    def load(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = load_checkpoint(self._folder, learner=self._learner, replay=self._replay, identity=self._identity)
        if found is not None:
            self._counters, self._evaluations = found.counters, found.evaluations
            self._loss = torch.tensor(found.counters.loss)

    def run(self, on_progress: OnProgress) -> TrainResult:
        """Collect, learn, evaluate and save until the steps are done."""
        settings = self._settings
        with MetricsLog(self._folder, self._evaluations) as metrics:
            while True:
                if self._evaluation_is_due():
                    self._evaluations += (self._evaluate(),)
                    metrics.add(self._evaluations[-1])
                before = self._counters.environment_steps
                if before >= settings.total_steps:
                    break
                self._collect_and_learn()
                now = self._counters.environment_steps
                on_progress(min(now, settings.total_steps), settings.total_steps)
                if before // settings.checkpoint_interval < now // settings.checkpoint_interval:
                    self._save()
        return self._finish()

    def _evaluation_is_due(self) -> bool:
        """Before the first step, after the last, and whenever another interval is full."""
        if not self._evaluations:
            return True
        steps, latest = self._counters.environment_steps, self._evaluations[-1].environment_steps
        interval = self._settings.evaluation_interval
        return latest < steps and (steps >= self._settings.total_steps or latest // interval < steps // interval)

    def _collect_and_learn(self) -> None:
        started = time.perf_counter()
        settings, counters = self._settings, self._counters
        episodes = self._collector.collect(
            episode_seeds(Stream.TRAINING_EPISODES, settings.seed, counters.episodes, settings.n_environments),
            epsilon=settings.epsilon(counters.environment_steps),
            rng=generator(Stream.EXPLORATION, settings.seed, counters.collections),
        )
        self._replay.add(self._with_credit(episodes))
        self._learner.reward_scale.see(episodes.rewards, episodes.filled)
        updates = counters.updates
        if len(self._replay) >= settings.batch_episodes:
            for _ in range(settings.updates_per_collection):
                rng = generator(Stream.REPLAY, settings.seed, updates)
                batch = self._replay.sample(settings.batch_episodes, rng).to(self._device)
                self._loss = self._learner.update(batch)
                updates += 1
                if updates % settings.target_update_interval == 0:
                    self._learner.update_target()
        self._counters = replace(
            counters,
            environment_steps=counters.environment_steps + int(episodes.filled.sum()),
            episodes=counters.episodes + settings.n_environments,
            collections=counters.collections + 1,
            updates=updates,
            seconds=counters.seconds + time.perf_counter() - started,
        )

    def _with_credit(self, episodes: Episodes) -> Episodes:
        """Ask the credit function once per state and not once per update: an episode is learnt from many times."""
        if not isinstance(self._mixer, CreditMixer) or not self._mixer.output_size:
            return episodes
        credit = episodes.rewards.new_zeros(*episodes.states.shape[:-1], self._mixer.output_size)
        states = episodes.states[episodes.reached].to(self._device)
        credit[episodes.reached] = self._mixer.outputs(states).to(credit.device)
        return replace(episodes, credit=credit)

    def _evaluate(self) -> Evaluation:
        started = time.perf_counter()
        returns = greedy_returns(
            self._evaluation, self._network, episodes=self._settings.evaluation_episodes, device=self._device
        )
        counters = replace(self._counters, seconds=self._counters.seconds + time.perf_counter() - started)
        self._counters = counters
        return Evaluation(
            environment_steps=counters.environment_steps,
            seconds=round(counters.seconds, 3),
            episodes=counters.episodes,
            updates=counters.updates,
            epsilon=self._settings.epsilon(counters.environment_steps),
            loss=float(self._loss),
            greedy_return=float(returns.mean()),
            greedy_return_std=float(returns.std()),
        )

    def _save(self) -> None:
        save_checkpoint(
            self._folder,
            learner=self._learner,
            replay=self._replay,
            counters=replace(self._counters, loss=float(self._loss)),
            evaluations=self._evaluations,
            identity=self._identity,
        )

    def _finish(self) -> TrainResult:
        self._save()
        steps = np.array([row.environment_steps for row in self._evaluations])
        returns = np.array([row.greedy_return for row in self._evaluations])
        result = TrainResult(
            algorithm=self._settings.algorithm,
            task=self._task.name,
            seed=self._settings.seed,
            environment_steps=self._counters.environment_steps,
            seconds=round(self._counters.seconds, 3),
            final_return=float(returns[-1]),
            area_under_curve=area_under_curve(steps, returns),
            vdn_difference=self._vdn_difference(),
        )
        write_json(self._folder / "result.json", asdict(result))
        return result

    def _vdn_difference(self) -> float | None:
        """Share of the states in the replay buffer, the latest visited, in which the credit differs from VDN's."""
        if not isinstance(self._mixer, CreditMixer) or self._mixer.graph.header.form != "weights":
            return None
        weights = self._mixer.credit(self._replay.visited_states(VISITED_STATES).to(self._device))
        return float(differs_from_vdn(weights, self._mixer.graph.header.scale).double().mean())


def _identity(task: Task, settings: TrainSettings, mixer_path: Path | None) -> dict[str, Any]:
    """What a checkpoint must have been made with, as it is read from one."""
    graph = None if mixer_path is None else load_artifact(mixer_path).manifest["files"].get(CREDIT_GRAPH)
    identity: dict[str, Any] = {
        "task": task.model_dump(mode="json", exclude={"title", "description", "goal", "reward"}),
        "training": asdict(settings),
        "mixer_sha256": graph,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(identity))
    return as_read


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"device `{name}`", cause=str(error).split("\n")[0], remedy="Use --device cpu, or install torch with CUDA."
        ) from error
    return device
