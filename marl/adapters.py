"""From a task to its environment: one line per adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.layout import StateLayout
from qredit.marl.lbf import LevelBasedForaging

if TYPE_CHECKING:
    from qredit.contracts import StateSource
    from qredit.marl.environment import BatchedEnvironment
    from qredit.task import Task

ADAPTERS: Mapping[str, Callable[[str, int, Mapping[str, Any]], BatchedEnvironment]] = {
    "lbf": LevelBasedForaging,
}
"""Adapter's name in a task file -> (environment id, number of environments, arguments) -> environments."""


def make_environment(task: Task, n_environments: int) -> BatchedEnvironment:
    """Make `n_environments` copies of a task's environment.

    Raises:
        ConfigurationError: the task has no environment to train in.
        UnknownNameError: no such adapter or environment.
        TaskFileError: the task file contradicts the environment.
    """
    spec = task.environment
    if spec is None:
        raise ConfigurationError(
            f"task `{task.name}`",
            cause="it brings a state layout and sample states, but no environment to train in",
            remedy="Train in your own code with `qredit.load_mixer(ARTIFACT)`, or name an `environment` in the file.",
        )
    if spec.adapter not in ADAPTERS:
        raise UnknownNameError("environment adapter", spec.adapter, ADAPTERS)
    environment = ADAPTERS[spec.adapter](spec.id, n_environments, spec.arguments)
    facts = {"n_agents": environment.n_agents, "time_limit": environment.time_limit}
    wrong = [
        f"`{name}: {getattr(task, name)}`, it has {found}"
        for name, found in facts.items()
        if getattr(task, name) != found
    ]
    if len(task.actions) != environment.n_actions:
        wrong.append(f"{len(task.actions)} `actions`, it has {environment.n_actions}")
    if wrong:
        raise TaskFileError(
            f"task `{task.name}`",
            cause=f"the file contradicts the environment `{spec.id}`: {'; '.join(wrong)}",
            remedy="Correct the task file: the language model reads it.",
        )
    return environment


def layout_of(task: Task) -> StateLayout:
    """The layout of a task's global state, from its environment or from its file.

    Raises:
        QreditError: see `make_environment`.
    """
    return task.own_layout() or make_environment(task, 1).layout


def state_source(task: Task) -> StateSource:
    """Where states of a task with an environment come from: a random policy.

    Raises:
        QreditError: see `make_environment`.
    """
    from qredit.marl.random_policy import RandomPolicyStates

    return RandomPolicyStates(task)
