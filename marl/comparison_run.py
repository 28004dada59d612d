"""`compare`: train several algorithms with the same settings and the same seeds, and say what that shows.

The run folder of a comparison:

    random-policy/    what a random policy reaches
    vdn-seed0/ ...    one train run folder per algorithm and seed
    comparison.json   the rows, as data
    comparison.csv    one line per training
    learning_curves.png

Every training is resumable, so a comparison is too: called again with the same arguments it keeps what is finished,
goes on with what is half done, and ends with the same numbers.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qredit
from qredit.errors import ConfigurationError, RunFolderError
from qredit.files import read_json_untrusted, write_atomic, write_json
from qredit.marl.artifact_hashes import artifact_hashes
from qredit.marl.comparison import RESULT, Comparison, Training, read_training, rows_of
from qredit.marl.contenders import Contender, algorithm_for, as_read, check_artifact, check_comparable, differences
from qredit.marl.cores import usable_cores
from qredit.marl.engines import EngineSettings, SlurmEngine, make_engine
from qredit.marl.finished import training_folder
from qredit.marl.jobs import Job, JobProgress, OnProgress
from qredit.marl.wandb_sink import require_wandb
from qredit.runs import SCHEMA, Run

if TYPE_CHECKING:
    from qredit.task import Task

RANDOM_EPISODES = 100
PICTURE = "learning_curves.png"
TRAIN = "qredit.marl.comparison_jobs:train_one"
EVALUATE_RANDOM = "qredit.marl.comparison_jobs:evaluate_random"
_RANDOM = "random-policy"


def compare(
    task: Task,
    contenders: Sequence[Contender],
    seeds: Sequence[int],
    run: Run,
    *,
    jobs: int | None = None,
    engine: EngineSettings | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Comparison:
    """Train every contender with every seed, and write table, data and picture into the run folder.

    Args:
        task: a task with an environment.
        contenders: what to compare; all with the same settings but for the algorithm.
        seeds: each stands for one initialisation and one environment stream, the same for all contenders.
        run: the comparison's run folder; whatever it already holds is kept and continued. The caller holds its lock.
        jobs: trainings at the same time; `None` for what `engine` says.
        engine: where the trainings run; on this machine if nothing is said.
        on_progress: told about every training, in this thread.

    Raises:
        ConfigurationError: contenders that cannot be compared, an engine that cannot be had.
        RunFolderError: the folder holds trainings with other settings.
        QreditError: whatever a training raises; the others stop, and all can be resumed.
    """
    settings = engine or EngineSettings()
    settings = settings if jobs is None else dataclasses.replace(settings, jobs=jobs)
    runner = make_engine(settings, run.path)
    work = _jobs(task, contenders, seeds, run, settings)
    unfinished = [job for job in work if not _is_finished(job, on_progress)]
    runner.run(unfinished, workers=settings.jobs, on_progress=on_progress)
    trainings = {
        c.name: {seed: read_training(training_folder(run.path, c.name, seed)) for seed in seeds} for c in contenders
    }
    steps = max(contender.settings.total_steps for contender in contenders)
    at_once = settings.jobs or (usable_cores() if settings.engine == "local" else len(work))
    return _conclude(task, trainings, run, environment_steps=steps, jobs=at_once)


def submit(
    task: Task, contenders: Sequence[Contender], seeds: Sequence[int], run: Run, *, engine: EngineSettings
) -> Mapping[str, str]:
    """Queue the trainings of a comparison on a SLURM cluster and wait for none; `compare` collects them later.

    Returns:
        SLURM's name for each training that is not finished, by its folder's name.

    Raises:
        ConfigurationError: another engine, or as in `compare`.
        QreditError: as in `compare`.
    """
    runner = make_engine(engine, run.path)
    if not isinstance(runner, SlurmEngine):
        raise ConfigurationError(
            f"detaching from the engine `{engine.engine}`",
            cause="what it runs ends with the process that waits for it",
            remedy="Use --engine slurm, or leave --detach out.",
        )
    work = _jobs(task, contenders, seeds, run, engine)
    unfinished = [job for job in work if not _is_finished(job, lambda progress: None)]
    return runner.submit(unfinished, workers=engine.jobs)


def _jobs(
    task: Task, contenders: Sequence[Contender], seeds: Sequence[int], run: Run, engine: EngineSettings
) -> list[Job]:
    """All that has to be done, with a folder for each, once everything is known to fit together."""
    check_comparable(contenders, seeds)
    for contender in contenders:
        check_artifact(contender)
    if engine.wandb is not None:
        require_wandb()
    trainings = [
        _train_job(task, c, seed, training_folder(run.path, c.name, seed), engine.wandb)
        for c in contenders
        for seed in seeds
    ]
    return [_random_job(task, run), *trainings]


def _random_job(task: Task, run: Run) -> Job:
    folder = run.path / _RANDOM
    record = {"task": _facts(task), "episodes": RANDOM_EPISODES}
    arguments = {**record, "task": task.model_dump(mode="json"), "folder": str(folder.absolute())}
    log = folder.absolute() / "worker.log"
    job = Job(_RANDOM, EVALUATE_RANDOM, arguments, total=RANDOM_EPISODES, log=log, facts=as_read(record))
    _open_folder(job, kind="evaluate", name=task.name)
    return job


def _train_job(task: Task, contender: Contender, seed: int, folder: Path, wandb: str | None) -> Job:
    settings = dataclasses.replace(contender.settings, seed=seed)
    algorithm = algorithm_for(contender)
    mixer, potentials = contender.mixer_path, contender.potentials_path
    record = {
        "task": _facts(task),
        "training": dataclasses.asdict(algorithm.complete(settings)),
        **artifact_hashes(mixer, potentials),
    }
    arguments = {
        "task": task.model_dump(mode="json"),
        "training": record["training"],
        "mixer_path": None if mixer is None else str(mixer.absolute()),
        "potentials_path": None if potentials is None else str(potentials.absolute()),
        "folder": str(folder.absolute()),
        "wandb": wandb,
    }
    log = folder.absolute() / "worker.log"
    job = Job(folder.name, TRAIN, arguments, total=settings.total_steps, log=log, facts=as_read(record))
    _open_folder(job, kind="train", name=task.name)
    return job


def _facts(task: Task) -> dict[str, Any]:
    """What of a task a training depends on: not the texts for the language model."""
    return task.model_dump(mode="json", exclude={"title", "description", "goal", "reward"})


def _open_folder(job: Job, *, kind: str, name: str) -> None:
    """Make the run folder of one job, or make sure that an existing one is of the same job."""
    folder = job.log.parent
    if not (folder / "run.json").exists():
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = {"schema": SCHEMA, "qredit": qredit.__version__, "kind": kind, "name": name, "status": "waiting"}
        write_json(
            folder / "run.json", {**head, "created": created, "job_sha256": job.sha256, "settings": dict(job.facts)}
        )
        return
    record = Run(folder).record
    found = record.get("settings")
    different = differences(job.facts, found if isinstance(found, dict) else {})
    if different:
        raise RunFolderError(
            f"cannot go on with `{folder}`",
            cause=f"it was started with other settings: {different}",
            remedy="Repeat the settings of that time, or start a new comparison without `--resume`.",
        )
    if record.get("job_sha256") != job.sha256:
        raise RunFolderError(
            f"cannot go on with `{folder}`",
            cause=f"qredit {record.get('qredit')} has started it, with which the same settings lead to other numbers",
            remedy="Use that version, or start a new comparison without `--resume`.",
        )


def _is_finished(job: Job, on_progress: OnProgress) -> bool:
    finished = (Path(job.arguments["folder"]) / RESULT).exists()
    if finished:
        on_progress(JobProgress(job.name, "kept", job.total, job.total))
    return finished


def _conclude(
    task: Task, trainings: Mapping[str, Mapping[int, Training]], run: Run, *, environment_steps: int, jobs: int
) -> Comparison:
    """Rows, files and picture from finished trainings."""
    # Late: matplotlib takes a while to load, and whoever mistypes a setting need not wait for it.
    from qredit.marl.plots import learning_curves_figure, save_learning_curves

    random_return = float(read_json_untrusted(run.path / _RANDOM / RESULT)["mean_return"])
    comparison = Comparison(
        task=task.name,
        seeds=tuple(next(iter(trainings.values()))),
        environment_steps=environment_steps,
        jobs=jobs,
        random_episodes=RANDOM_EPISODES,
        rows=rows_of(trainings, random_return=random_return, optimum=task.optimum),
        folder=run.path,
        picture=run.path / PICTURE,
    )
    curves = {name: [training.curve for training in by_seed.values()] for name, by_seed in trainings.items()}
    figure = learning_curves_figure(curves, task=task.name, random_return=random_return, optimum=task.optimum)
    save_learning_curves(comparison.picture, figure)
    write_atomic(run.path / "comparison.csv", comparison.to_csv().encode())
    write_json(run.path / "comparison.json", comparison.to_json())
    return comparison
