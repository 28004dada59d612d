"""`qredit transfer`: a function that was written for one task, traced again for another one with the same fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qredit.api.artifacts import load_named
from qredit.api.checking import save_checked
from qredit.api.subjects import load_subject
from qredit.artifact import Artifact
from qredit.errors import ArtifactError
from qredit.graphs.kinds import Assignment, Kind, kind_named
from qredit.runs import create_run
from qredit.sandbox import Accepted, Rejected, open_jail


@dataclass(frozen=True)
class Transferred:
    """What became of a function on another task."""

    taken_from: str
    """The task that it was written for."""
    rejected: Rejected | None = None
    """Why it does not do for the other task, if so."""
    artifact: Artifact | None = None
    """The artifact for the other task."""


def transfer(
    source: str, task: str, *, folder: Path | None = None, jail: str = "auto", sandbox_image: str | None = None
) -> Transferred:
    """Check the Python of an artifact on another task, and make an artifact for that one.

    A function reads named fields, whose sizes follow from its tensors: it can do for other numbers of agents and other
    boards. Whether it still gives good credit there is measured, not assumed: the card says.

    Args:
        source: folder of an artifact or of a run, name of a run, or a task whose artifact ships with qredit.
        task: built-in task or task file to trace it for.
        folder: where to write the artifact; a new run folder if `None`.
        jail: jail to run in.
        sandbox_image: for the `docker` jail, the image with qredit in it; by default this machine's Python is mounted.

    Raises:
        UnknownNameError: no such artifact or task.
        ArtifactError: it is damaged, or its manifest lacks what the checks need.
        JailUnavailableError: no jail works on this machine; nothing was executed.
    """
    made = load_named(source)
    kind, code = source_of(made)
    assignment = Assignment(load_subject(task), scale=made.manifest["scale"], igm=made.manifest["igm"])
    with open_jail(jail, image=sandbox_image) as opened:
        verdict = kind.check(code, assignment, opened)
    if not isinstance(verdict, Accepted):
        return Transferred(made.task, rejected=verdict)
    save = partial(save_checked, jail=opened.name, asked=task, taken_from=made.task)
    if folder is not None:
        return Transferred(made.task, artifact=save(folder, code, verdict, kind, assignment))
    run = create_run("transfer", assignment.subject.name, {"task": task, "taken_from": made.task})
    with run.writing():
        return Transferred(made.task, artifact=save(run.path / "artifact", code, verdict, kind, assignment))


def source_of(artifact: Artifact) -> tuple[Kind, str]:
    """The Python of an artifact, for people so far, and the kind that can check it again.

    Raises:
        ArtifactError: it holds none, or its manifest does not say how it was checked.
        UnknownNameError: its kind is not installed.
    """
    manifest = artifact.manifest
    if not {"program", "scale", "igm"} <= set(manifest):
        raise _unusable(artifact, "its manifest does not say how it was checked")
    kind = kind_named(str(manifest["program"]))
    if kind.source_file not in artifact.files:
        raise _unusable(artifact, f"it holds no `{kind.source_file}`")
    return kind, artifact.files[kind.source_file].decode("utf-8", "replace")


def _unusable(artifact: Artifact, cause: str) -> ArtifactError:
    return ArtifactError(
        f"artifact `{artifact.path}`", cause=cause, remedy="Give one that `qredit generate` or `qredit check` made."
    )
