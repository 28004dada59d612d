"""Everything that a training needs to go on exactly, as safetensors and JSON; no pickle.

    checkpoint/checkpoint.json         counters, evaluations, settings, and the name and hash of the tensors' file
    checkpoint/tensors-<hash>.safetensors

Replacing the JSON is what makes a checkpoint valid: whatever a kill leaves half-written beside it is never looked at,
and cleared away by the next one. Random numbers need no saving (`qredit.marl.streams`), nor does the simulator:
checkpoints fall between collections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError

from qredit.errors import ArtifactError, RunFolderError
from qredit.files import read_json_untrusted, read_untrusted, sha256, write_atomic, write_json
from qredit.marl.metrics import Evaluation

if TYPE_CHECKING:
    from torch import Tensor

    from qredit.marl.algorithms import Algorithm

SCHEMA = 4
FOLDER = "checkpoint"
NOTES = "checkpoint.json"
SIZE_LIMIT = 8_000_000_000
"""Bytes of a tensors' file."""
_NAME = re.compile(r"tensors-[0-9a-f]{16}\.safetensors")
_ADAM = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Counters:
    """How far a training is."""

    environment_steps: int = 0
    """Environment steps collected."""
    episodes: int = 0
    """Episodes collected."""
    collections: int = 0
    """Collections so far: the counter of exploration's random numbers."""
    updates: int = 0
    """Optimiser steps so far: the counter of replay's random numbers."""
    loss: float = float("nan")
    """Loss of the latest update; not a number before the first."""
    seconds: float = 0.0
    """Wall-clock seconds spent training and evaluating."""


@dataclass(frozen=True)
class Progress:
    """What a checkpoint says besides tensors."""

    counters: Counters
    """How far it is."""
    evaluations: tuple[Evaluation, ...]
    """The evaluations so far."""


def save_checkpoint(
    folder: Path,
    *,
    algorithm: Algorithm,
    counters: Counters,
    evaluations: Sequence[Evaluation],
    identity: Mapping[str, Any],
) -> None:
    """Write the checkpoint of a run folder; until it is complete the one before it stays.

    Args:
        identity: what it was made with: task, settings, credit function.

    Raises:
        StorageError: disk full; the checkpoint before this one stays.
    """
    tensors = dict(algorithm.more_tensors())
    for name, network in algorithm.networks.items():
        tensors |= {f"{name}.{key}": tensor for key, tensor in network.state_dict().items()}
    for name, optimiser in algorithm.optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{entry}": state[entry] for entry in _ADAM}
    data = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = sha256(data)
    name = f"tensors-{digest[:16]}.safetensors"
    scale = algorithm.reward_scale
    write_atomic(folder / FOLDER / name, data)
    write_json(
        folder / FOLDER / NOTES,
        {
            "schema": SCHEMA,
            "tensors": name,
            "sha256": digest,
            "counters": asdict(counters),
            "evaluations": [asdict(row) for row in evaluations],
            "reward_scale": [scale.count, scale.total, scale.total_square],
            "identity": dict(identity),
        },
    )
    _clear_others(folder / FOLDER, keep=name)


def load_checkpoint(folder: Path, *, algorithm: Algorithm, identity: Mapping[str, Any]) -> Progress | None:
    """Bring an algorithm to the state of the checkpoint; `None` if there is none.

    Raises:
        RunFolderError: damaged, of another version, or of other settings.
    """
    path = folder / FOLDER / NOTES
    if not path.exists():
        return None
    try:
        notes = read_json_untrusted(path, limit=100_000_000)
        _require(notes.get("schema") == SCHEMA, f"it has schema version {notes.get('schema')!r}")
        _require(notes["identity"] == identity, f"it was made with other settings: {_unequal(notes, identity)}")
        _require(_NAME.fullmatch(notes["tensors"]) is not None, "it names a file that is no checkpoint's")
        data = read_untrusted(path.with_name(notes["tensors"]), limit=SIZE_LIMIT)
        _require(sha256(data) == notes["sha256"], f"`{notes['tensors']}` does not match its SHA-256")
        counters = Counters(**notes["counters"])
        _restore(safetensors.torch.load(data), notes, algorithm, counters)
        return Progress(counters, tuple(Evaluation(**row) for row in notes["evaluations"]))
    except ArtifactError as error:
        raise _unusable(path, error.cause) from error
    except _UnusableError as error:
        raise _unusable(path, str(error)) from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}"[:500]) from error


class _UnusableError(Exception):
    """Why a checkpoint cannot be used."""


def _unusable(path: Path, cause: str) -> RunFolderError:
    remedy = "Repeat the settings of that time, or start a new run; the folder's metrics stay readable."
    return RunFolderError(f"checkpoint `{path}`", cause=cause, remedy=remedy)


def _restore(tensors: Mapping[str, Tensor], notes: Mapping[str, Any], algorithm: Algorithm, counters: Counters) -> None:
    for name, network in algorithm.networks.items():
        network.load_state_dict(_part(tensors, f"{name}."))
    for name, optimiser in algorithm.optimisers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _part(tensors, f"{name}.").items():
            index, _, entry = key.partition(".")
            moments.setdefault(int(index), {})[entry] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": moments, "param_groups": groups})
    algorithm.restore_more(tensors, counters)
    scale = algorithm.reward_scale
    scale.count, scale.total, scale.total_square = notes["reward_scale"]


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unequal(notes: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """Names of the settings that differ."""
    then, now = _flat(notes["identity"]), _flat(identity)
    return ", ".join(f"`{name}`" for name in sorted(set(then) | set(now)) if then.get(name) != now.get(name))


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, of all parts."""
    flat: dict[str, Any] = {}
    for part, value in identity.items():
        flat |= value if isinstance(value, dict) else {part: value}
    return flat


def _clear_others(folder: Path, keep: str) -> None:
    """Remove the tensors of earlier checkpoints and what kills have left half-written."""
    for path in folder.iterdir():
        if path.name != keep and path.name.startswith(("tensors-", ".tensors-", f".{NOTES}.")):
            path.unlink(missing_ok=True)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise _UnusableError(problem)
