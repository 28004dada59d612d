"""Recordings: the replies of a live run, addressed by position, so that a run can be shown without a model.

A recording is `recording.jsonl`: first a header, then one record per reply, in the order of the positions.

    {"schema": 2, "kind": "recording", "task", "models": {role: {"model", "parameters"}}, "settings": {...},
     "ranking": {...} (only of runs that rank)}
    {"position": {"role", "round", "candidate", "attempt"}, "prompt_sha256", "reply": {...}}

Schema 1 had one `model` with its `parameters` for all roles, and is still read.

A reply is served by its position also when the prompt has changed since; the reply then says `prompt_differs`, and
the run reports `k of n prompts differ from the recording`. A recording may come from a stranger: it is data with a
size cap, and what it says is treated like the words of any model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from qredit.agents.messages import Identity, Message, Position, Reply, ReplySchema, Role, canonical, prompt_sha256
from qredit.agents.store import FILE_NAME as REPLIES
from qredit.agents.store import read_replies
from qredit.agents.team import ROLES
from qredit.errors import ArtifactError, RecordingError
from qredit.files import read_json_lines, write_atomic
from qredit.runs import Run

SCHEMA = 2
FILE_NAME = "recording.jsonl"


@dataclass(frozen=True)
class Drift:
    """How far a replayed run is from its recording."""

    differing: int
    """Prompts that differ from the recorded ones."""
    total: int
    """Prompts in all."""

    def __str__(self) -> str:
        return f"{self.differing} of {self.total} prompts differ from the recording"


@dataclass(frozen=True)
class RecordedModel:
    """A model that answered when the recording was made."""

    model: str
    """Its name."""
    parameters: Mapping[str, float | int | str | bool]
    """Its sampling parameters."""


@dataclass(frozen=True)
class Recording:
    """The recorded replies of one run."""

    task: str
    """Name of the task."""
    models: Mapping[Role, RecordedModel]
    """Which model answered, by role; a role that was never asked is missing."""
    settings: Mapping[str, Any]
    """Settings of the recorded run: use the same number of candidates and rounds to replay it."""
    ranking: Mapping[str, Any]
    """What was ranked, if it was a run that ranks."""
    replies: Mapping[Position, tuple[str, Reply]]
    """By position: the SHA-256 of the prompt, and the reply."""


class ReplayModel:
    """A chat model that serves a recording; in each role it is the model that answered in it."""

    def __init__(self, recording: Recording, role: Role = "coder") -> None:
        self.recording = recording
        self._role = role

    @property
    def identity(self) -> Identity:
        """The recorded model; the endpoint is `recording:<task>`."""
        models = self.recording.models
        model = models.get(self._role) or next(iter(models.values()))
        return Identity(f"recording:{self.recording.task}", model.model, dict(model.parameters))

    def in_role(self, role: Role) -> ReplayModel:
        """The model that answered in this role, from the same recording."""
        return ReplayModel(self.recording, role)

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """The recorded reply for this position.

        Raises:
            RecordingError: nothing was recorded for it.
        """
        await asyncio.sleep(0)
        if position not in self.recording.replies:
            settings = ", ".join(f"{k} = {v}" for k, v in self.recording.settings.items()) or "unknown settings"
            raise RecordingError(
                f"call `{position}`",
                cause=f"the recording of task `{self.recording.task}` has no reply for it: the run left the recorded "
                "path, because settings, prompts or checks differ",
                remedy=f"Replay with the recorded settings ({settings}), or generate with a live model.",
            )
        recorded_prompt, reply = self.recording.replies[position]
        return replace(reply, prompt_differs=recorded_prompt != prompt_sha256(messages))


def load_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        RecordingError: missing, damaged, or of another version.
    """
    try:
        header, *records = read_json_lines(path) or [{}]
        if header.get("schema") not in (1, SCHEMA) or header.get("kind") != "recording":
            raise ValueError(f"no recording of schema 1 to {SCHEMA}")
        return Recording(
            task=str(header["task"]),
            models=_models_of(header),
            settings=dict(header["settings"]),
            ranking=dict(header.get("ranking", {})),
            replies={
                Position(**record["position"]): (str(record["prompt_sha256"]), Reply.from_json(record["reply"]))
                for record in records
            },
        )
    except ArtifactError as error:
        raise RecordingError(error.what, cause=error.cause, remedy="Get the recording again.") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise RecordingError(
            f"recording `{path}`",
            cause=f"it cannot be read ({type(error).__name__}: {error})",
            remedy="Get the recording again.",
        ) from error


def export_recording(
    run: Run,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    ranking: Mapping[str, Any] | None = None,
) -> Path:
    """Write the answered calls of a run as `<folder>/recording.jsonl` and return its path.

    Args:
        run: a generation run, usually a finished one.
        folder: where to, such as `prompts/recordings/<task>`; made if missing.
        settings: settings to note in the header; by default those that the generation noted in `run.json`.
        ranking: what was ranked, to note in the header.

    Raises:
        RecordingError: the run has no answered call, or in one role several models answered.
    """
    records = read_replies(run.path / REPLIES) if (run.path / REPLIES).exists() else []
    run_record = run.record
    noted = run_record.get("generation", {})
    header = {
        "schema": SCHEMA,
        "kind": "recording",
        "task": noted.get("task", run_record.get("name", "")),
        "models": {role: asdict(model) for role, model in _models_that_answered(run, records).items()},
        "settings": dict(settings if settings is not None else noted.get("settings", {})),
        **({} if ranking is None else {"ranking": dict(ranking)}),
    }
    by_position = {Position(**record["position"]): record for record in records}  # the last one of a position counts
    lines = [header]
    for position in sorted(by_position, key=lambda p: (p.round, p.role, p.candidate, p.attempt)):
        record = by_position[position]
        lines.append({name: record[name] for name in ("position", "prompt_sha256", "reply")})
    path = folder / FILE_NAME
    write_atomic(path, b"".join(canonical(line) + b"\n" for line in lines))
    return path


def drift_of(replies: Sequence[Reply]) -> Drift | None:
    """The drift over the replies that a run used; `None` when none of them was recorded."""
    recorded = [reply.prompt_differs for reply in replies if reply.prompt_differs is not None]
    return Drift(sum(recorded), len(recorded)) if recorded else None


def _models_of(header: Mapping[str, Any]) -> dict[Role, RecordedModel]:
    if header["schema"] == 1:
        return dict.fromkeys(ROLES, RecordedModel(str(header["model"]), dict(header["parameters"])))
    noted = header["models"]
    models = {
        role: RecordedModel(str(noted[role]["model"]), dict(noted[role]["parameters"]))
        for role in get_args(Role)
        if role in noted
    }
    if not models:
        raise ValueError("no model is named")
    return models


def _models_that_answered(run: Run, records: Sequence[Mapping[str, Any]]) -> dict[Role, RecordedModel]:
    models: dict[Role, RecordedModel] = {}
    for record in records:
        role = Position(**record["position"]).role
        model = RecordedModel(record["identity"]["model"], record["identity"]["parameters"])
        if models.setdefault(role, model) != model:
            raise RecordingError(
                f"run `{run.path}`",
                cause=f"the replies of its {role} come from several models",
                remedy="Record a run in which one model answered in each role.",
            )
    if not models:
        raise RecordingError(f"run `{run.path}`", cause="it has no answered call", remedy="Record a finished run.")
    return models
