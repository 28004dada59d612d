"""What a run is about, so that a resumed run cannot silently be another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qredit.agents.messages import Identity, Role, canonical
from qredit.errors import ConfigurationError, RunFolderError
from qredit.files import sha256
from qredit.graphs.kinds.kind import Assignment, Kind
from qredit.graphs.settings import GenerationSettings, continues
from qredit.prompts import template_hashes
from qredit.subject import Subject
from qredit.task import Task

if TYPE_CHECKING:
    from qredit.probes import Probes
    from qredit.runs import Run

ENTRY = "generation"


def generation_identity(
    kind: Kind, assignment: Assignment, identities: Mapping[Role, Identity], settings: GenerationSettings
) -> dict[str, Any]:
    """All that decides what a generation asks, as data for `run.json`.

    Raises:
        ConfigurationError: the subject has no task text.
    """
    subject = assignment.subject
    return {
        "kind": kind.name,
        "task": subject.name,
        "task_sha256": sha256(canonical(task_of(subject).model_dump(mode="json"))),
        "layout_sha256": sha256(canonical(subject.layout.to_json())),
        "probes_sha256": _probes_sha256(subject.probes),
        "scale": assignment.scale,
        "igm": assignment.igm,
        "models": {role: asdict(identity) for role, identity in sorted(identities.items())},
        "settings": settings.defining(),
        "prompts_sha256": sha256(canonical(template_hashes(kind.templates))),
    }


def check_identity(run: Run, identity: dict[str, Any]) -> bool:
    """Note the identity in a new run, or compare it with that of the run which goes on.

    The endpoint in the folder is only compared with, never used: a key goes to no URL out of a file.

    Returns:
        Whether the run goes on with the very same settings; `False` if it may do more than it was started with.

    Raises:
        RunFolderError: the folder holds another run; the message names what differs.
    """
    noted = run.record.get(ENTRY)
    if noted is None:
        run.update(**{ENTRY: identity})
        return True
    if not isinstance(noted, dict):
        noted = {}
    plain = [name for name in identity if name not in ("settings", "models")]
    different = [name for name in plain if noted.get(name) != identity[name]]
    different += _differing_models(noted.get("models"), identity["models"])
    settings = noted.get("settings")
    if not isinstance(settings, dict) or not continues(settings, identity["settings"]):
        different.append("settings")
    if different:
        shown = ", ".join(f"`{name}`" for name in different)
        raise RunFolderError(
            f"run `{run.path}`",
            cause=f"it was started with another {shown}",
            remedy="Resume it with the settings it was started with, or start a new run; only rounds and attempts may "
            "become more.",
        )
    if settings == identity["settings"]:
        return True
    run.update(**{ENTRY: identity})
    return False


def _differing_models(noted: Any, models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of the models differs in some role: `endpoint`, `model`, `parameters`."""
    before = noted if isinstance(noted, dict) else {}
    roles = [(before.get(role), model) for role, model in models.items()]
    pairs = [(old if isinstance(old, dict) else {}, new) for old, new in roles]
    return [name for name in ("endpoint", "model", "parameters") if any(o.get(name) != n[name] for o, n in pairs)]


def task_of(subject: Subject) -> Task:
    """The task of a subject that has one.

    Raises:
        ConfigurationError: only sizes are known.
    """
    if subject.task is None:
        raise ConfigurationError(subject.name, cause="there is no task text", remedy="Give a task's name or its file.")
    return subject.task


def _probes_sha256(probes: Probes) -> str:
    arrays = (probes.states, probes.actions, probes.next_states, probes.rewards, probes.true_credit)
    parts = (b"none" if a is None else repr(a.shape).encode() + a.astype("<f4").tobytes() for a in arrays)
    return sha256(b"".join(parts))
