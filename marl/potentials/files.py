"""Potentials as files: weights as safetensors, all else as JSON, both checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from qredit.artifact import load_artifact, save_artifact
from qredit.errors import ArtifactError, ConfigurationError, TaskFileError
from qredit.layout import StateLayout
from qredit.marl.potentials.card import card
from qredit.marl.potentials.fitting import Fit
from qredit.marl.potentials.model import Potentials

KIND = "potentials"
WEIGHTS = "potentials.safetensors"


def save_potentials(
    folder: Path,
    potentials: Potentials,
    *,
    task: str,
    fit: Fit,
    origin: Mapping[str, Any],
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write an artifact.

    Args:
        folder: where to; made if missing.
        potentials: the models.
        task: name of the task that they are for.
        fit: what held-out pairs say about them.
        origin: where the rankings come from.
        files: what lies beside them, for people to read.

    Raises:
        StorageError: disk full or no permission.
    """
    manifest = {
        "kind": KIND,
        "task": task,
        "layout": potentials.layout.to_json(),
        "groups": [list(group) for group in potentials.groups],
        "hidden_size": potentials.hidden_size,
        "whole": list(potentials.whole),
        "fit": asdict(fit),
        "origin": dict(origin),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in potentials.state_dict().items()}
    text = card(potentials, task=task, fit=fit, origin=origin).encode("utf-8", "replace")
    payload = {WEIGHTS: safetensors.torch.save(weights), "CARD.md": text}
    save_artifact(folder, manifest=manifest, files={**files, **payload})


def load_potentials(folder: Path | str) -> Potentials:
    """Read an artifact; `PotentialReward(load_potentials(folder))` then gives `[..., N]` rewards in any code.

    Raises:
        ArtifactError: damaged, of another kind, or malformed.
    """
    artifact = load_artifact(Path(folder))
    if artifact.kind != KIND:
        raise ArtifactError(
            f"artifact `{folder}`",
            cause=f"it is of the kind `{artifact.kind}`, not `{KIND}`",
            remedy="Give an artifact that `save_potentials` wrote.",
        )
    try:
        manifest = artifact.manifest
        made = Potentials(
            StateLayout.from_json(manifest["layout"]),
            [[int(agent) for agent in group] for group in manifest["groups"]],
            hidden_size=int(manifest["hidden_size"]),
            whole=[str(name) for name in manifest["whole"]],
        )
        made.load_state_dict(safetensors.torch.load(artifact.files[WEIGHTS]))
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError, ConfigurationError, TaskFileError) as error:
        raise ArtifactError(
            f"artifact `{folder}`",
            cause=f"its potentials cannot be read: {type(error).__name__}: {error}"[:500],
            remedy="Make it anew; it was changed by hand or by another version.",
        ) from error
    return made.requires_grad_(False).eval()
