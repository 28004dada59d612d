"""`qredit reproduce`: is an artifact what its recorded replies, or its code, lead to?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.agents import export_recording
from qredit.agents.recording import FILE_NAME as RECORDING
from qredit.api.generation import Generated, generate
from qredit.api.settings import Request
from qredit.api.transfer import transfer
from qredit.artifact import Artifact, load_artifact
from qredit.errors import ArtifactError, ConfigurationError
from qredit.graphs import GenerationSettings
from qredit.runs import Run
from qredit.task import is_task_file

if TYPE_CHECKING:
    from qredit.graphs import Event


@dataclass(frozen=True)
class Reproduction:
    """What came out when an artifact's generation was repeated."""

    same: bool
    """Whether the very same program was chosen, with the same result of the checks."""
    expected_sha256: str
    """SHA-256 of the artifact's payload."""
    found_sha256: str | None
    """SHA-256 of the payload that came out; `None` where the checks rejected it."""
    generated: Generated | None = None
    """The repeated generation, with how many prompts differ from the recorded ones; `None` where no model wrote it
    for this task: then its code was traced once more."""


def reproduce(
    path: str | Path,
    *,
    task: str | None = None,
    jail: str = "auto",
    on_event: Callable[[Event], None] = lambda event: None,
) -> Reproduction:
    """Repeat the generation of an artifact with its recorded replies, and compare.

    An artifact that `transfer` made is traced once more from its own code.

    Args:
        path: the artifact's folder or the run's; for a generated one, the run must still be around it.
        task: its task, if that is a file: a stranger's artifact must not make us read a file of its choice.
        jail: jail that candidates run in.
        on_event: told of everything that happens.

    Raises:
        ArtifactError: no artifact, or nothing recorded beside it.
        ConfigurationError: its task is a file, and nobody but the artifact says which.
        QreditError: what the repeated generation raises.
    """
    artifact = load_artifact(path)
    run = Run(artifact.path.parent)
    manifest = artifact.manifest
    try:
        expected, task = str(manifest["checks"]["payload_sha256"]), task or _named_task(manifest["task_argument"])
        if manifest.get("taken_from"):
            return _traced_again(artifact, task, expected, jail)
        settings = GenerationSettings(**manifest["settings"])
        request = Request(
            task,
            model="replay",
            kind=str(manifest["program"]),
            jail=jail,
            scale=manifest["scale"],
            igm=manifest["igm"],
        )
    except (KeyError, TypeError) as error:
        raise _not_repeatable(artifact.path, f"its manifest lacks what a repetition needs ({error!r})") from error
    with tempfile.TemporaryDirectory() as scratch:
        generated = generate(
            request,
            settings=settings,
            recording=_recording(run, Path(scratch)),
            probes=run.path / "probes.npz",
            on_event=on_event,
        )
    found = generated.result.verdict.payload_sha256
    same = found == expected and generated.result.chosen == manifest["chosen"]
    return Reproduction(same, expected, found, generated)


def _named_task(name: object) -> str:
    if not isinstance(name, str) or is_task_file(name):
        raise ConfigurationError(
            "what the artifact was made for",
            cause=f"it names no built-in task but the file `{name}`",
            remedy="Give the task's file with --task.",
        )
    return name


def _traced_again(artifact: Artifact, task: str, expected: str, jail: str) -> Reproduction:
    """The artifact beside what its own code leads to."""
    with tempfile.TemporaryDirectory() as scratch:
        made = transfer(str(artifact.path), task, folder=Path(scratch), jail=jail).artifact
    found = None if made is None else str(made.manifest["checks"]["payload_sha256"])
    return Reproduction(found == expected, expected, found)


def _recording(run: Run, scratch: Path) -> Path:
    """The recorded replies of a run, as a recording."""
    if (run.path / RECORDING).is_file():
        return run.path / RECORDING
    if (run.path / "replies.jsonl").is_file():
        return export_recording(run, scratch)
    raise _not_repeatable(run.path / "artifact", f"neither `{RECORDING}` nor `replies.jsonl` lies beside it")


def _not_repeatable(folder: Path, cause: str) -> ArtifactError:
    return ArtifactError(
        f"artifact `{folder}`",
        cause=cause,
        remedy="Generate anew with a live model: the command stands in its `CARD.md`.",
    )
