"""Everything that a training needs to go on exactly: one safetensors file, written atomically, no pickle.

Random numbers need no saving (`qredit.marl.streams`), nor does the simulator: checkpoints fall between collections.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError, safe_open

from qredit.errors import RunFolderError
from qredit.files import sha256, write_atomic

if TYPE_CHECKING:
    from torch import Tensor

    from qredit.marl.learner import Learner
    from qredit.marl.replay import ReplayBuffer

SCHEMA = 1
FILE = "checkpoint/checkpoint.safetensors"
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
    """Updates so far: the counter of replay's random numbers."""
    seconds: float = 0.0
    """Wall-clock seconds spent training and evaluating."""


def save_checkpoint(
    folder: Path,
    *,
    learner: Learner,
    replay: ReplayBuffer,
    counters: Counters,
    metrics: list[dict[str, float]],
    settings: dict[str, Any],
) -> None:
    """Write the checkpoint of a run folder; until it is complete the one before it stays.

    Raises:
        StorageError: disk full.
    """
    tensors = {f"online.{k}": v for k, v in learner.online.state_dict().items()}
    tensors |= {f"target.{k}": v for k, v in learner.target.state_dict().items()}
    for index, state in learner.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": state[name] for name in _ADAM}
    tensors |= {f"replay.{name}": tensor for name, tensor in replay.contents().items()}
    scale = learner.reward_scale
    notes = {
        "schema": SCHEMA,
        "settings": settings,
        "counters": asdict(counters),
        "metrics": metrics,
        "replay_added": replay.added,
        "reward_scale": [scale.count, scale.total, scale.total_square],
    }
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(plain, metadata={"notes": json.dumps(notes), "sha256": _digest(notes)})
    write_atomic(folder / FILE, data)


def load_checkpoint(
    folder: Path, *, learner: Learner, replay: ReplayBuffer, settings: dict[str, Any]
) -> tuple[Counters, list[dict[str, float]]] | None:
    """Bring learner and replay to the state of the checkpoint; `None` if there is none.

    Raises:
        RunFolderError: damaged, of another version, or of other settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            notes = json.loads(metadata["notes"])
            _require(notes.get("schema") == SCHEMA, f"schema version {notes.get('schema')!r}")
            _require(metadata["sha256"] == _digest(notes), "its notes do not match their hash")
            _require(notes["settings"] == settings, "it was made with other settings")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        _restore(tensors, notes, learner, replay)
        return Counters(**notes["counters"]), notes["metrics"]
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise RunFolderError(
            f"checkpoint `{path}`",
            cause=str(error)[:500],
            remedy="Start a new run; the folder's metrics stay readable.",
        ) from error


def _restore(tensors: dict[str, Tensor], notes: dict[str, Any], learner: Learner, replay: ReplayBuffer) -> None:
    learner.online.load_state_dict(_part(tensors, "online."))
    learner.target.load_state_dict(_part(tensors, "target."))
    adam: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "adam.").items():
        index, _, entry = name.partition(".")
        adam.setdefault(int(index), {})[entry] = tensor
    groups = learner.optimiser.state_dict()["param_groups"]
    learner.optimiser.load_state_dict({"state": adam, "param_groups": groups})
    replay.restore(_part(tensors, "replay."), int(notes["replay_added"]))
    scale = learner.reward_scale
    scale.count, scale.total, scale.total_square = notes["reward_scale"]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _digest(notes: dict[str, Any]) -> str:
    return sha256(json.dumps(notes, sort_keys=True).encode())


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)
