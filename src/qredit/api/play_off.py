"""The play-off: candidates of a round and VDN train for a short time, so that an evaluator sees learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import qredit
from qredit.artifact import save_artifact
from qredit.errors import ConfigurationError
from qredit.prompts import figure

if TYPE_CHECKING:
    from qredit.graphs.engine import PlayOff
    from qredit.graphs.kinds import Kind
    from qredit.runs import Run
    from qredit.sandbox import Accepted
    from qredit.task import Task

SEEDS = (0, 1)
EVALUATIONS = 4
FOLDER = "play-off"


def require_trainable(kind: Kind, task: Task) -> None:
    """Make sure that a play-off is possible.

    Raises:
        ConfigurationError: the kind is not for value decomposition, or the task has no environment.
    """
    if task.environment is None:
        raise ConfigurationError(
            f"a play-off on `{task.name}`", cause="it has no environment", remedy="Leave --play-off out."
        )
    if kind.name not in ("weights", "general"):
        raise ConfigurationError(
            f"a play-off of kind `{kind.name}`",
            cause="only value decomposition trains with its programs, not yet policy gradients",
            remedy="Leave --play-off out, or generate `weights`.",
        )


def play_off_of(kind: Kind, task: Task, n_agents: int, steps: int, run: Run) -> PlayOff:
    """A play-off of `steps` environment steps per candidate and seed; trainings are kept in the run folder."""
    from qredit.marl.comparison_run import compare
    from qredit.marl.contenders import Contender
    from qredit.marl.settings import TrainSettings
    from qredit.runs import Run as RunFolder

    folder = run.path / FOLDER
    settings = TrainSettings(
        total_steps=steps,
        epsilon_anneal_steps=max(1, steps // 3),
        evaluation_interval=max(1, steps // EVALUATIONS),
        checkpoint_interval=steps,
    )

    def play(finalists: Mapping[int, Accepted]) -> str:
        contenders = {"VDN": Contender("vdn", replace(settings, algorithm="vdn"))}
        for number, accepted in finalists.items():
            artifact = _artifact(folder / "artifacts", kind, task, n_agents, accepted)
            name = f"qllm-{accepted.payload_sha256[:16]}"
            contenders[f"candidate {number}"] = Contender(name, replace(settings, algorithm="qllm"), artifact)
        compare(task, list(contenders.values()), SEEDS, RunFolder(folder))
        lines = [f"Greedy return after so many environment steps, mean of {len(SEEDS)} seeds:"]
        return "\n".join([*lines, *(f"{who}: {_curve(folder, c.name)}" for who, c in contenders.items())])

    return play


def _curve(folder: Path, name: str) -> str:
    """The mean learning curve of one contender in words."""
    from qredit.marl.comparison import read_training

    curves = [read_training(folder / f"{name}-seed{seed}").curve for seed in SEEDS]
    steps = zip(*(curve.environment_steps for curve in curves), strict=False)
    returns = zip(*(curve.greedy_return for curve in curves), strict=False)
    points = zip(steps, returns, strict=False)
    return ", ".join(f"{sum(t) / len(t):.0f}: {figure(float(sum(r) / len(r)))}" for t, r in points)


def _artifact(folder: Path, kind: Kind, task: Task, n_agents: int, accepted: Accepted) -> Path:
    """The artifact to train with, made once."""
    path = folder / accepted.payload_sha256[:16]
    if not path.exists():
        manifest = {
            "kind": kind.artifact_kind,
            "task": task.name,
            "qredit": qredit.__version__,
            "form": accepted.form,
            "n_agents": n_agents,
        }
        save_artifact(path, manifest=manifest, files={kind.payload_file: accepted.payload})
    return path
