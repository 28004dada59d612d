"""Where the files that ship with the built-in tasks stand."""

from __future__ import annotations

from pathlib import Path

ROOM = Path(__file__).parent


def recording_path(task: str, kind: str | None = None) -> Path:
    """The file of the recorded replies for a task; it need not exist.

    Args:
        task: name of the task.
        kind: kind of program, if it is another than the task's own.
    """
    folder = task if kind is None else f"{task}.{kind}"
    return ROOM / "recordings" / folder / "recording.jsonl"


def ranking_path(task: str) -> Path:
    """The folder of the recorded ranking of a task and of the potentials that came of it; it need not exist."""
    return ROOM / "rankings" / task


def probe_states_path(task: str) -> Path:
    """The file of the versioned probes of a task (`qredit.probes`); it need not exist."""
    return ROOM / "probe_states" / f"{task}.v2.npz"
