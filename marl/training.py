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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qredit.errors import ConfigurationError
from qredit.files import write_json
from qredit.marl.adapters import make_environment
from qredit.marl.algorithms import Problem, algorithm_of
from qredit.marl.artifact_checks import check_credit, check_potentials
from qredit.marl.artifact_hashes import artifact_hashes
from qredit.marl.checkpoint import Counters, load_checkpoint, save_checkpoint
from qredit.marl.choosing import Choose, epsilon_greedy, sampled
from qredit.marl.metrics import Evaluation, MetricsLog
from qredit.marl.mixers.credit import load_graph
from qredit.marl.potentials import load_potentials
from qredit.marl.process import prepare_process
from qredit.marl.rollout import Collector, Played, evaluate
from qredit.marl.settings import TrainSettings
from qredit.marl.statistics import area_under_curve
from qredit.marl.streams import Stream, episode_seeds, generator
from qredit.marl.wandb_sink import WandbRun

if TYPE_CHECKING:
    from qredit.runs import Run
    from qredit.task import Task

EVALUATION_ENVIRONMENTS = 20
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
    final_sampled_return: float | None = None
    """The same as `final_return` with actions drawn from the policy; `None` where the policy is no distribution."""


def train(
    task: Task,
    settings: TrainSettings,
    run: Run,
    *,
    mixer_path: Path | None = None,
    potentials_path: Path | None = None,
    resume: bool = False,
    wandb: str | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> TrainResult:
    """Train, and write metrics, checkpoints and the result into the run folder; the caller holds its lock.

    Deterministic per seed on one device; a resumed training ends with the numbers of an undisturbed one. One thread
    of torch: several trainings side by side use the cores better than one training does.

    Args:
        task: a task with an environment.
        settings: algorithm, seed, lengths, rates.
        run: the run folder.
        mixer_path: the credit function's artifact, for algorithms that need one.
        potentials_path: that of the agents' potentials, for rewards or a bias out of them.
        resume: go on from the folder's checkpoint, if it has one.
        wandb: project at Weights & Biases that mirrors the evaluations.
        on_progress: told of the steps done after every collection.

    Raises:
        ConfigurationError, UnknownNameError, ArtifactError: what was asked for does not fit together.
        RunFolderError: the checkpoint cannot be used.
        StorageError: disk full.
    """
    training = Training(task, settings, run.path, mixer_path, potentials_path)
    if resume:
        training.load()
    return training.run(on_progress, wandb=None if wandb is None else WandbRun.of(run, wandb))


class Training:
    """The parts of a training and the loop over them."""

    def __init__(
        self,
        task: Task,
        settings: TrainSettings,
        folder: Path,
        mixer_path: Path | None,
        potentials_path: Path | None,
    ) -> None:
        has_credit, has_potentials = mixer_path is not None, potentials_path is not None
        kind = algorithm_of(settings, has_credit=has_credit, has_potentials=has_potentials)
        settings = kind.complete(settings)
        prepare_process()
        torch.manual_seed(settings.seed)
        self._device = _device(settings.device)
        self._task, self._settings, self._folder = task, settings, folder
        self._environment, self._evaluation = (
            make_environment(task, count, mask_actions=settings.mask_actions)
            for count in (settings.n_environments, min(EVALUATION_ENVIRONMENTS, settings.evaluation_episodes))
        )
        graph = None if mixer_path is None else load_graph(mixer_path, forms=kind.credit_forms(settings))
        if graph is not None:
            check_credit(graph, self._environment, mixer_path)
        potentials = None if potentials_path is None else load_potentials(potentials_path).to(self._device)
        if potentials is not None:
            check_potentials(potentials, self._environment, potentials_path)
        problem = Problem(self._environment, settings, self._device, graph, potentials, task.noop_number)
        self._algorithm = kind(problem)
        self._collector = Collector(self._environment, self._algorithm.actor, self._device)
        self._identity = _identity(task, settings, artifact_hashes(mixer_path, potentials_path))
        self._counters = Counters()
        self._evaluations: tuple[Evaluation, ...] = ()
        self._loss = torch.tensor(self._counters.loss)

    def load(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = load_checkpoint(self._folder, algorithm=self._algorithm, identity=self._identity)
        if found is not None:
            self._counters, self._evaluations = found.counters, found.evaluations
            self._loss = torch.tensor(found.counters.loss)

    def run(self, on_progress: OnProgress, *, wandb: WandbRun | None = None) -> TrainResult:
        """Collect, learn, evaluate and save until the steps are done."""
        settings = self._settings
        with MetricsLog(self._folder, self._evaluations, wandb=wandb) as metrics:
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
            choose=self._algorithm.explore(counters.environment_steps),
            rng=generator(Stream.EXPLORATION, settings.seed, counters.collections),
        )
        learned = self._algorithm.learn(episodes, counters)
        self._loss = learned.loss
        self._counters = replace(
            counters,
            environment_steps=counters.environment_steps + int(episodes.filled.sum()),
            episodes=counters.episodes + settings.n_environments,
            collections=counters.collections + 1,
            updates=learned.updates,
            seconds=counters.seconds + time.perf_counter() - started,
        )

    def _evaluate(self) -> Evaluation:
        started = time.perf_counter()
        best = self._play(epsilon_greedy(self._settings.evaluation_epsilon), Stream.GREEDY_EVALUATION)
        drawn = self._play(sampled, Stream.SAMPLED_EVALUATION) if self._algorithm.stochastic else None
        counters = replace(self._counters, seconds=self._counters.seconds + time.perf_counter() - started)
        self._counters = counters
        return Evaluation(
            environment_steps=counters.environment_steps,
            seconds=round(counters.seconds, 3),
            episodes=counters.episodes,
            updates=counters.updates,
            epsilon=0.0 if self._algorithm.stochastic else self._settings.epsilon(counters.environment_steps),
            loss=float(self._loss),
            greedy_return=float(best.returns.mean()),
            greedy_return_std=float(best.returns.std()),
            sampled_return=None if drawn is None else float(drawn.returns.mean()),
            greedy_completed=float(best.completed.mean()),
            sampled_completed=None if drawn is None else float(drawn.completed.mean()),
        )

    def _play(self, choose: Choose, stream: Stream) -> Played:
        """The evaluation episodes."""
        settings = self._settings
        return evaluate(
            self._evaluation,
            self._algorithm.actor,
            episodes=settings.evaluation_episodes,
            device=self._device,
            choose=choose,
            rng=generator(stream, settings.seed, len(self._evaluations)),
        )

    def _save(self) -> None:
        save_checkpoint(
            self._folder,
            algorithm=self._algorithm,
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
            vdn_difference=self._algorithm.vdn_difference(),
            final_sampled_return=self._evaluations[-1].sampled_return,
        )
        write_json(self._folder / "result.json", asdict(result))
        return result


def _identity(task: Task, settings: TrainSettings, hashes: Mapping[str, str | None]) -> dict[str, Any]:
    """What a checkpoint must have been made with, as it is read from one."""
    identity: dict[str, Any] = {
        "task": task.model_dump(mode="json", exclude={"title", "description", "goal", "reward"}),
        "training": asdict(settings),
        **hashes,
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
