"""`qredit fidelity`: does a credit function, or do potentials, rank the agents as the simulator does?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard

from qredit.api.artifacts import BUILTIN, find_mixer, find_potentials, potentials_folder
from qredit.api.subjects import load_subject
from qredit.artifact import CREDIT_GRAPH, load_artifact
from qredit.errors import ArtifactError, ConfigurationError
from qredit.files import read_untrusted
from qredit.graphs.kinds import Assignment, verify_program
from qredit.marl.truth_settings import TruthSettings
from qredit.sandbox import Accepted, Rejected, open_jail
from qredit.task import is_task_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.credit import CreditGraph
    from qredit.credit.fidelity import ActionFidelity, Fidelity, Placebos
    from qredit.marl.counterfactual import Alternatives
    from qredit.marl.potentials import Potentials
    from qredit.probes import Probes
    from qredit.sandbox import Jail
    from qredit.subject import Subject

FILE_LIMIT = 1_000_000
Function: TypeAlias = "CreditGraph | Potentials"
"""What gives credit."""


@dataclass(frozen=True)
class Truth:
    """What the functions are compared with."""

    source: Literal["shipped", "measured"]
    """Whether it ships with the task, or was measured now."""
    decisive: int
    """States in which some agent's action is seen to matter; only these count."""
    measured: int | None
    """States measured; `None` for a truth that ships."""
    simulator_steps: int | None
    """What that cost; `None` for a truth that ships."""
    settings: TruthSettings
    """How it was measured."""


@dataclass(frozen=True)
class FidelityResult:
    """What became of one function; the fields are the keys of the JSON line."""

    function: str
    """As the user named it."""
    task: str
    verdict: Literal["measured", "rejected"]
    """A file is checked first, as by `qredit check`."""
    stage: str | None = None
    message: str | None = None
    line: int | None = None
    fidelity: Fidelity | None = None
    """`None` if it was rejected."""
    placebos: Placebos | None = None
    """The same figures for credit that knows nothing."""
    truth: Truth | None = None
    actions: ActionFidelity | None = None
    """Of potentials: whether an agent's better actions earn it more; `None` for credit functions."""


def measure_fidelity(
    functions: Sequence[str],
    *,
    task: str | None = None,
    settings: TruthSettings | None = None,
    jail: str = "auto",
    sandbox_image: str | None = None,
    on_progress: Callable[[int, int], None] = lambda measured, decisive: None,
) -> list[FidelityResult]:
    """Compare credit functions, and placebos of each, with the credit that agents truly have.

    Args:
        functions: Python files (they end in `.py`), folders of artifacts or of runs, names of runs. Of potentials the
            credit is what an agent's step earns it.
        task: task (name or YAML file) that they are for; by default the one that the artifacts name.
        settings: how the truth is measured; with the defaults, a truth that ships with the task is used.
        jail: jail to check files in.
        sandbox_image: for the `docker` jail, the image with qredit in it.
        on_progress: told of (states measured, decisive ones among them).

    Raises:
        ConfigurationError: there is no simulator to measure in, or in no state does any agent's action matter.
        QreditError: names that do not exist, an artifact for another task, no jail, ...
    """
    settings = settings or TruthSettings()
    subject = load_subject(task or _task_of(functions))
    graphs = _graphs(functions, subject, jail, sandbox_image)
    if all(isinstance(graph, Rejected) for graph in graphs.values()):
        return [_result(name, graph, subject, None) for name, graph in graphs.items()]
    rewards = any(not isinstance(graph, Rejected) and _is_potentials(graph) for graph in graphs.values())
    found = _truth(subject, settings, on_progress, of_actions=rewards)
    return [_result(name, graph, subject, found) for name, graph in graphs.items()]


def _task_of(functions: Sequence[str]) -> str:
    """The task that the artifacts were made for."""
    artifacts = [name for name in functions if name != BUILTIN and not name.endswith(".py")]
    named = {load_artifact(potentials_folder(name)).task for name in artifacts}
    # A stranger's artifact must not make us read a file of its choice.
    if len(named) != 1 or any(is_task_file(name) for name in named):
        raise ConfigurationError(
            "what are the functions for",
            cause=f"the artifacts name {len(named)} tasks"
            if len(named) != 1
            else "the artifact names no built-in task",
            remedy="Give the task's name or its file with --task.",
        )
    return named.pop()


def _graphs(
    functions: Sequence[str], subject: Subject, jail: str, sandbox_image: str | None
) -> Mapping[str, Function | Rejected]:
    files = [name for name in functions if name.endswith(".py")]
    sources = {name: read_untrusted(Path(name), limit=FILE_LIMIT).decode("utf-8", "replace") for name in files}
    found: dict[str, Function | Rejected] = {
        name: _of_artifact(name, subject) for name in functions if name not in files
    }
    if files:
        with open_jail(jail, image=sandbox_image) as opened:
            found |= {name: _of_source(source, subject, opened) for name, source in sources.items()}
    return {name: found[name] for name in functions}


def _of_artifact(name: str, subject: Subject) -> Function:
    from qredit.credit import parse_graph
    from qredit.marl.potentials import KIND, load_potentials

    if subject.task is None:
        raise ConfigurationError(subject.name, cause="there is no task", remedy="Give a task's name or its file.")
    if name != BUILTIN and load_artifact(potentials_folder(name)).kind == KIND:
        return load_potentials(find_potentials(name, subject.task))
    artifact = find_mixer(name, subject.task)
    graph = parse_graph(artifact.files[CREDIT_GRAPH])
    size, n_agents = subject.layout.size, subject.n_agents
    expected = 2 * size + n_agents if graph.header.form == "shares" else size
    if (graph.header.n_agents, graph.header.state_size) != (n_agents, expected):
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its graph is for {graph.header.n_agents} agents and {graph.header.state_size} numbers, its task "
            f"`{subject.name}` has {n_agents} and {expected}",
            remedy="Copy or generate the artifact again.",
        )
    return graph


def _of_source(source: str, subject: Subject, jail: Jail) -> CreditGraph | Rejected:
    from qredit.credit import parse_graph

    igm = subject.task.igm if subject.task is not None else "enforce"
    verdict = verify_program(source, Assignment(subject, igm=igm), jail)
    return parse_graph(verdict.payload) if isinstance(verdict, Accepted) else verdict


@dataclass(frozen=True)
class _Found:
    """A truth with its numbers."""

    truth: Truth
    probes: Probes
    alternatives: tuple[Alternatives, ...] = ()


def _truth(
    subject: Subject, settings: TruthSettings, on_progress: Callable[[int, int], None], *, of_actions: bool
) -> _Found:
    """A truth that ships knows the agents' shares alone, and nothing of single actions."""
    from qredit.credit.fidelity import known_rows
    from qredit.marl.counterfactual import measure_probes

    decisive = len(known_rows(subject.probes))
    if decisive and settings == TruthSettings() and not of_actions:
        return _Found(Truth("shipped", decisive, None, None, settings), subject.probes)
    if subject.task is None or subject.task.environment is None:
        raise ConfigurationError(
            f"task `{subject.name}`",
            cause="it has no simulator in which the true credit could be measured",
            remedy="Name an `environment` in the task file, or add an array `true_credit` [M, N] to its sample states.",
        )
    found = measure_probes(subject.task, settings, on_progress)
    if not found.decisive:
        raise ConfigurationError(
            f"task `{subject.name}`",
            cause=f"in none of {found.measured} states is any agent's action seen to matter",
            remedy="Raise --continuations, --horizon or --visited.",
        )
    truth = Truth("measured", found.decisive, found.measured, found.simulator_steps, settings)
    return _Found(truth, found.probes, found.alternatives)


def _result(name: str, graph: Function | Rejected, subject: Subject, found: _Found | None) -> FidelityResult:
    truth = None if found is None else found.truth
    if isinstance(graph, Rejected):
        return FidelityResult(name, subject.name, "rejected", graph.stage, graph.message, graph.line, truth=truth)
    from qredit.credit.fidelity import compare, known_rows, placebos

    assert found is not None
    probes = found.probes
    assert probes.true_credit is not None
    rows = known_rows(probes)
    weights, shares = _credit(graph, probes, subject)[rows], probes.true_credit[rows]
    return FidelityResult(
        name,
        subject.name,
        "measured",
        fidelity=compare(weights, shares),
        placebos=placebos(weights, shares),
        truth=truth,
        actions=_of_actions(graph, found.alternatives, subject) if _is_potentials(graph) else None,
    )


def _is_potentials(function: Function) -> TypeGuard[Potentials]:
    from qredit.marl.potentials import Potentials

    return isinstance(function, Potentials)


def _of_actions(potentials: Potentials, alternatives: Sequence[Alternatives], subject: Subject) -> ActionFidelity:
    import numpy as np

    from qredit.credit.fidelity import ActionFidelity, Choice, compare_actions

    states: list[list[Choice]] = []
    for one in alternatives:
        before = np.broadcast_to(one.state, one.next_states.shape).copy()
        earned = _earned(potentials, before, one.actions, one.next_states, subject)
        mine = np.take_along_axis(earned, one.egos[:, None], axis=1)[:, 0]
        rows = [one.egos == agent for agent in range(subject.n_agents)]
        states.append(
            [Choice(mine[at], one.returns[at], float(share)) for at, share in zip(rows, one.shares, strict=True)]
        )
    chance = [[replace(choice, rewards=np.zeros_like(choice.rewards)) for choice in choices] for choices in states]
    return ActionFidelity(compare_actions(states), compare_actions(chance))


def _credit(function: Function, probes: Probes, subject: Subject) -> NDArray[np.float32]:
    """`[M, N]`."""
    from qredit.credit.fidelity import credit_of, need_transitions
    from qredit.marl.potentials import Potentials

    if not isinstance(function, Potentials):
        found: NDArray[np.float32] = credit_of(function, probes).numpy()
        return found
    need_transitions(probes)
    assert probes.actions is not None
    assert probes.next_states is not None
    return _earned(function, probes.states, probes.actions, probes.next_states, subject)


def _earned(
    potentials: Potentials,
    states: NDArray[np.float32],
    actions: NDArray[np.int64],
    next_states: NDArray[np.float32],
    subject: Subject,
) -> NDArray[np.float32]:
    """Rewards of transitions, `[M, N]`."""
    import torch

    from qredit.marl.potentials import PotentialReward

    assert subject.task is not None
    step = (torch.from_numpy(part) for part in (states, actions, next_states))
    rewards = PotentialReward(potentials).earned(*step, still="noop", noop=subject.task.noop_number)
    earned: NDArray[np.float32] = rewards.numpy()
    return earned
