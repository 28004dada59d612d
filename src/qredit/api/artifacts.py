"""Which artifact a name means."""

from __future__ import annotations

import json
from pathlib import Path

from qredit.artifact import CREDIT_GRAPH, MANIFEST, Artifact, bundled_artifact, bundled_artifacts, load_artifact
from qredit.errors import ArtifactError, TaskFileError, UnknownNameError
from qredit.layout import StateLayout
from qredit.prompts import ranking_path
from qredit.runs import list_runs, runs_root
from qredit.task import Task

BUILTIN = "builtin"


def find_mixer(name: str, task: Task) -> Artifact:
    """The artifact that the user named, made for a state of this very layout.

    Args:
        name: folder of an artifact or of a run, name of a run, or `builtin`.
        task: the task to train on.

    Raises:
        UnknownNameError: no such artifact.
        ArtifactError: damaged, or made for another layout of the state.
    """
    from qredit.marl import layout_of

    artifact = load_artifact(bundled_artifact(task.name) if name == BUILTIN else artifact_folder(name))
    if artifact.kind != "credit" or CREDIT_GRAPH not in artifact.files:
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its kind is `{artifact.kind}`, training needs `credit`",
            remedy="Give an artifact that `qredit generate` made.",
        )
    made_for, has = own_layout(artifact), layout_of(task)
    if made_for != has:
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"it was made for the state of task `{artifact.task}`, which differs from that of `{task.name}`",
            remedy=f"Generate one with `qredit generate {task.name}`.",
        )
    return artifact


def find_potentials(name: str | Path, task: Task) -> Path:
    """The artifact of potentials that the user named, made for a state of this very layout.

    Args:
        name: folder of an artifact or of a run, name of a run, or `builtin`.
        task: the task to train on.

    Raises:
        UnknownNameError: no such artifact.
        ArtifactError: none ships, damaged, of another kind, or made for another layout of the state.
    """
    from qredit.marl import layout_of
    from qredit.marl.potentials import load_potentials

    path = load_artifact(_bundled_potentials(task) if name == BUILTIN else potentials_folder(str(name))).path
    if load_potentials(path).layout != layout_of(task):
        raise ArtifactError(
            f"artifact `{path}`",
            cause=f"its potentials were made for another state than that of `{task.name}`",
            remedy=f"Rank transitions of this task: `qredit rank {task.name}`.",
        )
    return path


def _bundled_potentials(task: Task) -> Path:
    folder = ranking_path(task.name) / "potentials"
    if not folder.is_dir():
        raise ArtifactError(
            f"potentials for task `{task.name}`",
            cause="none ship with qredit yet",
            remedy=f"Let a model rank: `qredit rank {task.name}`.",
        )
    return folder


def load_named(name: str) -> Artifact:
    """The artifact that ships for the task of this name, or that of a folder or run.

    Raises:
        UnknownNameError: no such artifact.
        ArtifactError: damaged.
    """
    return load_artifact(bundled_artifacts().get(name) or artifact_folder(name))


def artifact_folder(name: str) -> Path:
    """The folder of an artifact or of a run, by its path or by the run's name.

    Raises:
        UnknownNameError: there is no such folder.
    """
    path = next((p for p in (Path(name), runs_root() / name) if p.is_dir()), None)
    if path is None:
        made = [r.path.name for r in list_runs() if (r.path / "artifact").is_dir()]
        raise UnknownNameError("artifact", name, [*made, BUILTIN])
    return path


def potentials_folder(name: str) -> Path:
    """The same, and of a run that ranked the folder of its potentials.

    Raises:
        UnknownNameError: there is no such folder.
    """
    folder = artifact_folder(name)
    inner = folder / "potentials"
    return inner if (inner / MANIFEST).exists() else folder


def own_layout(artifact: Artifact) -> StateLayout | None:
    """The layout that an artifact brings; None if it has none.

    Raises:
        ArtifactError: it is malformed.
    """
    data = artifact.files.get("layout.json")
    if data is None:
        return None
    try:
        return StateLayout.from_json(json.loads(data))
    except (ValueError, RecursionError, TaskFileError) as error:
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its `layout.json` is no state layout ({error})",
            remedy="Copy or generate the artifact again.",
        ) from error
