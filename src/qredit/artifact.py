"""An artifact: a folder of data with a manifest that names the SHA-256 of every file in it.

A hash is integrity, not trust: whoever forges a file can forge the manifest too. So the payload is only ever parsed as
data (`qredit.credit`), and the language model's Python that lies beside it is for people to read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qredit.errors import ArtifactError
from qredit.files import read_json_untrusted, read_untrusted, sha256, write_atomic, write_json

SCHEMA = 1
MANIFEST = "artifact.json"
CREDIT_GRAPH = "credit.graph.json"
FILE_NAMES = frozenset(
    {CREDIT_GRAPH, "credit.py", "describe.py", "texts.json", "program.py", "payload.json", "CARD.md", "layout.json"}
    | {"potentials.safetensors"}
)
SIZE_LIMIT = 16_000_000
BUNDLED = Path(__file__).parent / "prompts"
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: every byte matches the manifest."""

    path: Path
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def kind(self) -> str:
        """Kind of the payload, such as `credit`."""
        return str(self.manifest["kind"])

    @property
    def task(self) -> str:
        """Name of the task it was made for."""
        return str(self.manifest["task"])


def save_artifact(folder: Path, *, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Artifact:
    """Write the files, then the manifest with their hashes: without the manifest there is no artifact.

    Args:
        folder: where to; made if missing.
        manifest: `kind`, `task` and what else is known of its origin (models, prompts, checks, spend, parents).
        files: file name -> content; only names in `FILE_NAMES`.

    Raises:
        StorageError: disk full or no permission.
    """
    unknown = set(files) - FILE_NAMES
    if unknown:
        raise ValueError(f"files {sorted(unknown)} have no place in an artifact")
    for name, content in files.items():
        write_atomic(folder / name, content)
    complete = {"schema": SCHEMA, **manifest, "files": {name: sha256(files[name]) for name in sorted(files)}}
    write_json(folder / MANIFEST, complete)
    return load_artifact(folder)


def bundled_artifacts() -> dict[str, Path]:
    """The artifacts that ship with qredit, by task: of recorded runs, and of those traced again for other tasks."""
    transferred = {path.parent.name: path.parent for path in BUNDLED.glob(f"transferred/*/{MANIFEST}")}
    recorded = {path.parents[1].name: path.parent for path in BUNDLED.glob(f"recordings/*/artifact/{MANIFEST}")}
    return transferred | recorded


def bundled_artifact(task: str) -> Path:
    """The artifact that ships with qredit for a task.

    Raises:
        ArtifactError: none ships for this task.
    """
    found = bundled_artifacts().get(task)
    if found is None:
        raise ArtifactError(
            f"credit for task `{task}`",
            cause="none ships with qredit yet",
            remedy=f"Generate it with `qredit generate {task}`, or take that of a task like it with `qredit transfer`.",
        )
    return found


def load_artifact(path: Path | str) -> Artifact:
    """Load an artifact folder, or the artifact of a finished run folder, and compare every hash.

    Raises:
        ArtifactError: missing, damaged, of another version, or with a payload file that its manifest does not name.
    """
    folder = Path(path)
    if (folder / "artifact" / MANIFEST).is_file():
        folder = folder / "artifact"
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(
            f"no artifact at `{path}`",
            cause=f"there is no `{MANIFEST}`",
            remedy="Give the folder of an artifact or of a finished run; `qredit runs` lists them.",
        )
    manifest = read_json_untrusted(folder / MANIFEST)
    _check_manifest(folder, manifest)
    files = {}
    for name, expected in manifest["files"].items():
        files[name] = read_untrusted(folder / name, limit=SIZE_LIMIT)
        if sha256(files[name]) != expected:
            raise ArtifactError(
                f"artifact `{folder}`",
                cause=f"`{name}` does not match its SHA-256: the file was changed or damaged",
                remedy="Copy or generate the artifact again.",
            )
    return Artifact(folder, manifest, files)


def _check_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    files = manifest.get("files")
    problem = None
    if manifest.get("schema") != SCHEMA:
        problem = f"schema version {manifest.get('schema')!r}, this qredit reads {SCHEMA}"
    elif not isinstance(manifest.get("kind"), str) or not isinstance(manifest.get("task"), str):
        problem = "`kind` or `task` is missing"
    elif not isinstance(files, dict) or not set(files) <= FILE_NAMES:
        problem = "`files` names a file that no artifact has"
    elif manifest["kind"] == "credit" and CREDIT_GRAPH not in files:
        problem = f"`files` lacks `{CREDIT_GRAPH}`"
    elif unlisted := sorted(name for name in FILE_NAMES - set(files) if (folder / name).exists()):
        problem = f"`{unlisted[0]}` lies there, but `files` does not name it"
    elif not all(isinstance(h, str) and _HASH.fullmatch(h) for h in files.values()):
        problem = "`files` holds something that is no SHA-256"
    if problem:
        raise ArtifactError(
            f"artifact `{folder}`", cause=problem, remedy="Use the version that wrote it, or generate it again."
        )
