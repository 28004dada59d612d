"""What the worker processes of a comparison do; see `qredit.marl.comparison_run`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qredit.files import write_json
from qredit.marl.comparison import RESULT
from qredit.marl.settings import TrainSettings
from qredit.marl.worker import Report
from qredit.runs import Run
from qredit.task import Task

_SEED = 0
"""The random policy has one stream of its own, whatever seeds the algorithms are trained with."""


def train_one(arguments: Mapping[str, Any], report: Report) -> None:
    """Train in a folder of its own, from where an earlier attempt left off.

    Args:
        arguments: `task`, `training` (the settings), `mixer_path` and `potentials_path` (or `None`), `folder`,
            `wandb` (a project, or `None`).
    """
    from qredit.marl.training import train

    mixer, potentials = (arguments[name] for name in ("mixer_path", "potentials_path"))
    run = Run(Path(arguments["folder"]))
    with run.writing():
        train(
            Task.model_validate(arguments["task"]),
            TrainSettings(**arguments["training"]),
            run,
            mixer_path=None if mixer is None else Path(mixer),
            potentials_path=None if potentials is None else Path(potentials),
            resume=True,
            wandb=arguments["wandb"],
            on_progress=report,
        )


def evaluate_random(arguments: Mapping[str, Any], report: Report) -> None:
    """Play a random policy on the episodes that all algorithms are evaluated on.

    Args:
        arguments: `task`, `episodes`, `folder`.
    """
    from qredit.marl.random_policy import random_policy_returns

    run = Run(Path(arguments["folder"]))
    with run.writing():
        returns = random_policy_returns(
            Task.model_validate(arguments["task"]), episodes=arguments["episodes"], seed=_SEED
        )
        result = {"mean_return": float(returns.mean()), "return_std": float(returns.std()), "episodes": len(returns)}
        write_json(run.path / RESULT, result)
    report(len(returns), len(returns))
