"""From a task to its environment: one line per adapter."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.layout import StateLayout

if TYPE_CHECKING:
    from qredit.marl.environment import BatchedEnvironment
    from qredit.marl.environments.simulator import Simulator
    from qredit.marl.kernels.batch import CompiledBatch
    from qredit.task import EnvironmentSpec, Task


def _lbf(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.lbf import LevelBasedForaging

    return LevelBasedForaging(spec.id, spec.arguments)


def _matrix(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.matrix import MatrixGame

    return MatrixGame(spec.id, spec.arguments)


def _mpe(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.mpe import make_mpe

    return make_mpe(spec)


def _rooms(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.rooms import Rooms

    return Rooms(spec.id, spec.arguments)


def _pistonball(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.pistonball import Pistonball

    return Pistonball(spec.id, spec.arguments)


def _rware(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.rware import Warehouse

    return Warehouse(spec.id, spec.arguments)


def _own(task: Task, spec: EnvironmentSpec) -> Simulator:
    from qredit.marl.environments.own import make_own

    return make_own(spec, task)


ADAPTERS: Mapping[str, Callable[[Task, EnvironmentSpec], Simulator]] = {
    "gymnasium": _own,
    "lbf": _lbf,
    "matrix": _matrix,
    "mpe": _mpe,
    "pettingzoo": _own,
    "pistonball": _pistonball,
    "rooms": _rooms,
    "rware": _rware,
}
"""Adapter's name in a task file -> (task, its environment) -> simulator; an adapter's packages load when it is used."""
COMPILED: Mapping[str, str] = {
    "lbf": "qredit.marl.kernels.lbf:CompiledForaging",
    "matrix": "qredit.marl.kernels.matrix:CompiledMatrixGame",
    "mpe": "qredit.marl.kernels.mpe:compiled_particles",
    "rooms": "qredit.marl.kernels.rooms:CompiledRooms",
    "rware": "qredit.marl.kernels.rware:CompiledWarehouse",
}
"""Adapters whose worlds are compiled: name -> module and what makes a batch out of (simulator, copies)."""
ENTRY_POINTS = "qredit.environments"
"""Group under which an installed package registers an adapter of its own: a function like those above."""


def adapter_named(name: str) -> Callable[[Task, EnvironmentSpec], Simulator]:
    """A built-in adapter, or one of an installed package.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name in ADAPTERS:
        return ADAPTERS[name]
    others = {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if name not in others:
        raise UnknownNameError("environment adapter", name, [*ADAPTERS, *others])
    adapter: Callable[[Task, EnvironmentSpec], Simulator] = others[name].load()
    return adapter


def make_simulator(task: Task) -> Simulator:
    """Make one environment of a task, with the inert agents that the task adds.

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
    simulator = adapter_named(spec.adapter)(task, spec)
    if spec.inert_agents:
        from qredit.marl.environments.inert import InertAgents

        simulator = InertAgents(simulator, spec.inert_agents)
    _check(task, spec, simulator)
    return simulator


def make_environment(
    task: Task, n_environments: int, *, mask_actions: bool = True, n_threads: int = 1
) -> BatchedEnvironment:
    """Make `n_environments` copies of a task's environment that step together.

    Args:
        task: a task with an environment, whose `backend` says what plays it.
        n_environments: `B`.
        mask_actions: whether their available actions are shown; else all are.
        n_threads: over how many threads compiled environments are divided.

    Raises:
        QreditError: see `make_simulator`.
        ConfigurationError: a compiled environment is asked for where there is none.
    """
    simulator = make_simulator(task)
    if _is_compiled(task):
        return _compiled(task, simulator, n_environments, n_threads)
    from qredit.marl.environments.batch import SimulatorBatch

    others = [make_simulator(task) for _ in range(n_environments - 1)]
    return SimulatorBatch([simulator, *others], mask_actions=mask_actions)


def compile_ahead(task: Task, on_compile: Callable[[], None], *, recurrent: bool = False) -> None:
    """Compile what training on a task needs, so that the processes which train find it on disk.

    Args:
        task: a task with an environment.
        on_compile: told when something has to be compiled, which takes some ten seconds.
        recurrent: whether networks have a GRU.
    """
    if task.environment is None or not _is_compiled(task):
        return
    from qredit.marl.kernels.acting import compile_acting
    from qredit.marl.kernels.compiling import watch_compiling
    from qredit.marl.recurrence import compile_recurrence

    with watch_compiling(on_compile):
        environment = make_environment(task, 1)
        environment.reset([0])
        environment.step(np.zeros((1, environment.n_agents), dtype=np.int64))
        compile_acting()
        if recurrent:
            compile_recurrence()


def _is_compiled(task: Task) -> bool:
    assert task.environment is not None
    adapter, backend = task.environment.adapter, task.environment.backend
    if backend == "compiled" and adapter not in COMPILED:
        raise ConfigurationError(
            f"environment `{task.environment.id}` with `backend: compiled`",
            cause=f"the adapter `{adapter}` has no compiled form, only {', '.join(COMPILED)} have",
            remedy="Use `backend: official`, or leave it out.",
        )
    return backend != "official" and adapter in COMPILED


def _compiled(task: Task, simulator: Simulator, n_environments: int, n_threads: int) -> BatchedEnvironment:
    from qredit.marl.environments.inert import InertAgents
    from qredit.marl.kernels.inert import InertBatch

    assert task.environment is not None
    module, _, name = COMPILED[task.environment.adapter].partition(":")
    make = getattr(importlib.import_module(module), name)
    inner = simulator.simulator if isinstance(simulator, InertAgents) else simulator
    batch: CompiledBatch = make(inner, n_environments, n_threads=n_threads)
    return InertBatch(simulator, batch) if isinstance(simulator, InertAgents) else batch


def layout_of(task: Task) -> StateLayout:
    """The layout of a task's global state, from its environment or, without one, from its file.

    Raises:
        QreditError: see `make_simulator`.
    """
    own = task.own_layout()
    return own if own is not None and task.environment is None else make_simulator(task).layout


def _check(task: Task, spec: EnvironmentSpec, simulator: Simulator) -> None:
    facts = {"n_agents": simulator.n_agents, "time_limit": simulator.time_limit}
    wrong = {
        name: f"`{name}: {getattr(task, name)}`, it has {found}"
        for name, found in facts.items()
        if getattr(task, name) != found
    }
    if len(task.actions) != simulator.n_actions:
        wrong["actions"] = f"{len(task.actions)} `actions`, it has {simulator.n_actions}"
    if wrong:
        raise TaskFileError(
            task.where(*wrong),
            cause=f"the task contradicts the environment `{spec.id}`: {'; '.join(wrong.values())}",
            remedy="Correct the task file: the language model reads it.",
        )
