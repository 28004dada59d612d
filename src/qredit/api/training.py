"""`qredit train` and `qredit compare`: data in, learning curves out; no jail and no language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.api.artifacts import find_mixer, find_potentials
from qredit.marl.adapters import compile_ahead
from qredit.marl.algorithms import algorithm_of
from qredit.marl.settings import TrainSettings
from qredit.runs import Run, create_run, open_run
from qredit.task import Backend, load_task

if TYPE_CHECKING:
    from qredit.marl.comparison import Comparison
    from qredit.marl.contenders import Contender
    from qredit.marl.engines import EngineSettings
    from qredit.marl.jobs import JobProgress
    from qredit.marl.training import TrainResult
    from qredit.task import Task


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    run: Run
    """Its run folder."""
    result: TrainResult
    """What it ended with."""


def train(
    task_name: str,
    settings: TrainSettings,
    *,
    mixer: str | None = None,
    potentials: str | Path | None = None,
    backend: Backend | None = None,
    resume: str | Path | None = None,
    on_start: Callable[[Run], None] = lambda run: None,
    on_compile: Callable[[], None] = lambda: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trained:
    """Train one algorithm with one seed.

    Args:
        task_name: built-in task or task file, with an environment.
        settings: the settings.
        mixer: artifact for an algorithm that needs one: its folder, the run that made it, or `builtin`.
        potentials: artifact for rewards or a bias out of potentials: its folder, the run that made it, or `builtin`.
        backend: what plays the episodes: see `EnvironmentSpec.backend`; `None` for what the task says.
        resume: training run to go on with, exactly where its checkpoint stands.
        on_start: told of the run folder.
        on_compile: told when the environment has to be compiled first.
        on_progress: told of (environment steps done, in all).

    Raises:
        QreditError: names that do not exist, an artifact for another task, a checkpoint of other settings, ...
    """
    from qredit.marl import train as train_one
    from qredit.marl.artifact_hashes import artifact_hashes

    task = _task(task_name, backend)
    algorithm = algorithm_of(settings, has_credit=mixer is not None, has_potentials=potentials is not None)
    mixer_path = None if mixer is None else find_mixer(mixer, task).path
    potentials_path = None if potentials is None else find_potentials(potentials, task)
    record = {
        "task": task.model_dump(mode="json"),
        "training": asdict(algorithm.complete(settings)),
        **artifact_hashes(mixer_path, potentials_path),
    }
    run = open_run(resume, kind="train") if resume else create_run("train", f"{task.name}-{settings.algorithm}", record)
    on_start(run)
    compile_ahead(task, on_compile, recurrent=settings.recurrent)
    with run.writing():
        result = train_one(
            task,
            settings,
            run,
            mixer_path=mixer_path,
            potentials_path=potentials_path,
            resume=resume is not None,
            on_progress=on_progress,
        )
    return Trained(run, result)


def compare(
    task_name: str,
    algorithms: Sequence[str],
    seeds: Sequence[int],
    settings: TrainSettings,
    *,
    mixer: str | None = None,
    shares: str | None = None,
    potentials: str | Path | None = None,
    placebos: bool = False,
    engine: EngineSettings | None = None,
    backend: Backend | None = None,
    resume: str | Path | None = None,
    command: str | None = None,
    on_start: Callable[[Run], None] = lambda run: None,
    on_compile: Callable[[], None] = lambda: None,
    on_progress: Callable[[JobProgress], None] = lambda progress: None,
) -> Comparison:
    """Train several algorithms with identical settings and the same seeds.

    Args:
        task_name: built-in task or task file, with an environment.
        algorithms: contenders as `qredit.marl.contenders` writes them, such as `qllm` or `qllm+placebo=random`.
        seeds: the seeds.
        settings: the settings of all; algorithm and seed are replaced.
        mixer: artifact for algorithms that mix with a credit function: its folder, the run that made it, or `builtin`.
        shares: artifact for algorithms that learn from shares of the reward.
        potentials: artifact for those that learn from potentials: its folder, the run that made it, or `builtin`.
        placebos: whether each contender with a credit function brings its four placebos.
        engine: where the trainings run, and how many at a time; `None` for one per core here.
        backend: what plays the episodes: see `EnvironmentSpec.backend`; `None` for what the task says.
        resume: comparison run to go on with.
        command: the command line that asked for it, to be kept in the run folder.
        on_start: told of the run folder.
        on_compile: told when the environment has to be compiled first.
        on_progress: told about every training.

    Raises:
        QreditError: names that do not exist, an artifact for another task, settings that differ from the run's, ...
    """
    from qredit.marl.comparison_run import compare as compare_all

    task = _task(task_name, backend)
    contenders = _contenders(
        task, algorithms, settings, mixer=mixer, shares=shares, potentials=potentials, placebos=placebos
    )
    run = _comparison_run(task, seeds, resume, command)
    on_start(run)
    compile_ahead(task, on_compile, recurrent=any(contender.settings.recurrent for contender in contenders))
    with run.writing():
        return compare_all(task, contenders, seeds, run, engine=engine, on_progress=on_progress)


@dataclass(frozen=True)
class Submitted:
    """A comparison whose trainings wait in a cluster's queue."""

    run: Run
    """Its run folder; `compare` with `resume` collects it."""
    jobs: Mapping[str, str]
    """The cluster's name of each training, by its folder's name."""


def submit(
    task_name: str,
    algorithms: Sequence[str],
    seeds: Sequence[int],
    settings: TrainSettings,
    *,
    engine: EngineSettings,
    mixer: str | None = None,
    shares: str | None = None,
    potentials: str | Path | None = None,
    placebos: bool = False,
    backend: Backend | None = None,
    resume: str | Path | None = None,
    command: str | None = None,
) -> Submitted:
    """Queue the trainings of a comparison on a SLURM cluster and wait for none; for the arguments see `compare`.

    Raises:
        QreditError: as in `compare`, and for an engine that runs nothing without us.
    """
    from qredit.marl.comparison_run import submit as submit_all

    task = _task(task_name, backend)
    contenders = _contenders(
        task, algorithms, settings, mixer=mixer, shares=shares, potentials=potentials, placebos=placebos
    )
    run = _comparison_run(task, seeds, resume, command)
    with run.writing():
        return Submitted(run, submit_all(task, contenders, seeds, run, engine=engine))


def _task(name: str, backend: Backend | None) -> Task:
    task = load_task(name)
    return task if backend is None else task.with_backend(backend)


def _contenders(
    task: Task,
    algorithms: Sequence[str],
    settings: TrainSettings,
    *,
    mixer: str | None,
    shares: str | None,
    potentials: str | Path | None,
    placebos: bool,
) -> list[Contender]:
    from qredit.marl.contenders import parse_contender, with_placebos

    names = with_placebos(algorithms) if placebos else algorithms
    weights_path = find_mixer(mixer, task).path if mixer is not None else None
    shares_path = find_mixer(shares, task).path if shares is not None else None
    potentials_path = find_potentials(potentials, task) if potentials is not None else None
    return [
        parse_contender(name, settings, mixer=weights_path, shares=shares_path, potentials=potentials_path)
        for name in names
    ]


def _comparison_run(task: Task, seeds: Sequence[int], resume: str | Path | None, command: str | None) -> Run:
    run = open_run(resume, kind="compare") if resume else create_run("compare", task.name, {"seeds": list(seeds)})
    if command is not None:
        run.update(command=command)
    return run
