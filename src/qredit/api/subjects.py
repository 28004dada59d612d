"""From what the user named to the subject of a generation or a check."""

from __future__ import annotations

from pathlib import Path

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.probes import Probes, load_probes
from qredit.prompts import probe_states_path
from qredit.subject import Subject
from qredit.task import Task, is_task_file, read_task

N_PROBE_STATES = 256
PROBE_SEED = 0


def load_subject(name_or_path: str) -> Subject:
    """Load a task with its layout and probes.

    Built-in tasks use the probes that ship with qredit, so that prompts are the same on every machine; other tasks
    with an environment sample theirs from rollouts, and tasks without one bring a file.

    Raises:
        UnknownNameError: no such task, adapter or environment.
        TaskFileError: the task file or its states cannot be used.
    """
    source = read_task(name_or_path)
    task = source.task
    layout = task.own_layout()
    if layout is not None and task.states is not None:
        return _subject(task, layout, _load((source.folder or Path()) / task.states, task, layout))
    from qredit.marl import layout_of, sample_probes

    layout = layout_of(task)
    shipped = probe_states_path(task.name)
    if not is_task_file(name_or_path) and shipped.is_file():
        return _subject(task, layout, _load(shipped, task, layout))
    return _subject(task, layout, sample_probes(task, N_PROBE_STATES, PROBE_SEED))


def flat_subject(
    *, n_agents: int, state_dim: int, n_actions: int | None = None, states_path: Path | None = None
) -> Subject:
    """A subject known by its sizes only: one field `state [S]`, probed with the given states or standard normal ones.

    Raises:
        ConfigurationError: a size is out of range.
        TaskFileError: the states cannot be used.
    """
    import numpy as np

    if not 1 <= n_agents <= 256 or not 1 <= state_dim <= 100_000:
        raise ConfigurationError(
            f"{n_agents} agents and a state of {state_dim} numbers",
            cause="agents must be 1 to 256 and the state 1 to 100000 numbers",
            remedy="Correct --agents or --state-dim.",
        )
    field = StateField("state", (state_dim,), "unknown", -1.0, 1.0, "The flat global state.")
    layout = StateLayout((field,))
    if states_path is not None:
        probes = load_probes(states_path, size=state_dim, n_agents=n_agents, n_actions=n_actions)
    else:
        normal = np.random.default_rng(PROBE_SEED).standard_normal((N_PROBE_STATES, state_dim))
        probes = Probes(normal.astype(np.float32))
    return Subject(f"{n_agents} agents, state of {state_dim}", n_agents, layout, probes, n_actions=n_actions)


def _subject(task: Task, layout: StateLayout, probes: Probes) -> Subject:
    return Subject(task.name, task.n_agents, layout, probes, task, len(task.actions))


def _load(path: Path, task: Task, layout: StateLayout) -> Probes:
    return load_probes(path, size=layout.size, n_agents=task.n_agents, n_actions=len(task.actions))
