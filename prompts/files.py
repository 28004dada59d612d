"""Where the files that ship with the built-in tasks stand."""

from __future__ import annotations

from pathlib import Path

ROOM = Path(__file__).parent


def recording_path(task: str) -> Path:
    """The file of the recorded replies for a task; it need not exist."""
    return ROOM / "recordings" / task / "recording.jsonl"


def probe_states_path(task: str) -> Path:
    """The file of the versioned probe states of a task, an array `states [M, S]`; it need not exist."""
    return ROOM / "probe_states" / f"{task}.v1.npz"
