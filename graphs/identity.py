"""What a run is about, so that a resumed run cannot silently be another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qredit.agents.messages import Identity, canonical
from qredit.errors import RunFolderError
from qredit.files import sha256
from qredit.graphs.settings import GenerationSettings
from qredit.prompts import template_hashes

if TYPE_CHECKING:
    from qredit.contracts import States
    from qredit.layout import StateLayout
    from qredit.runs import Run
    from qredit.task import Task

ENTRY = "generation"


def generation_identity(
    task: Task, layout: StateLayout, states: States, model: Identity, settings: GenerationSettings
) -> dict[str, Any]:
    """All that decides what a generation asks, as data for `run.json`."""
    return {
        "task": task.name,
        "task_sha256": sha256(canonical(task.model_dump(mode="json"))),
        "layout_sha256": sha256(canonical(layout.to_json())),
        "states_sha256": sha256(repr(states.shape).encode() + states.astype("<f4").tobytes()),
        "endpoint": model.endpoint,
        "model": model.model,
        "parameters": dict(model.parameters),
        "settings": settings.defining(),
        "prompts_sha256": sha256(canonical(template_hashes())),
    }


def check_identity(run: Run, identity: dict[str, Any]) -> None:
    """Note the identity in a new run, or compare it with that of the run which goes on.

    The endpoint in the folder is only compared with, never used: a key goes to no URL out of a file.

    Raises:
        RunFolderError: the folder holds another run; the message names what differs.
    """
    noted = run.record.get(ENTRY)
    if noted is None:
        run.update(**{ENTRY: identity})
        return
    different = [name for name in identity if not isinstance(noted, dict) or noted.get(name) != identity[name]]
    if different:
        shown = ", ".join(f"`{name}`" for name in different)
        raise RunFolderError(
            f"run `{run.path}`",
            cause=f"it was started with another {shown}",
            remedy="Resume it with the settings it was started with, or start a new run.",
        )
