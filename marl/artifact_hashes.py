"""What of its artifacts decides a training."""

from __future__ import annotations

from pathlib import Path

from qredit.artifact import CREDIT_GRAPH, load_artifact
from qredit.marl.potentials.files import WEIGHTS


def artifact_hashes(mixer_path: Path | None, potentials_path: Path | None) -> dict[str, str | None]:
    """Hashes of the credit function and of the potentials, as records keep them; `None` without one.

    Raises:
        ArtifactError: one of them is damaged.
    """
    return {"mixer_sha256": _sha256(mixer_path, CREDIT_GRAPH), "potentials_sha256": _sha256(potentials_path, WEIGHTS)}


def _sha256(path: Path | None, file: str) -> str | None:
    found: str | None = None if path is None else load_artifact(path).manifest["files"].get(file)
    return found
