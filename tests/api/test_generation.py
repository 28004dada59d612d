"""Which settings a replay takes from its recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.api.generation import generate
from qredit.api.settings import Request
from qredit.errors import RecordingError
from qredit.prompts import recording_path

TASK = "mpe-adversary"


def test_a_recording_with_settings_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings in their place would replay something else; nothing is started."""
    monkeypatch.setenv("QREDIT_RUNS", str(tmp_path / "runs"))
    header, *rest = recording_path(TASK).read_text(encoding="utf-8").splitlines()
    changed = json.loads(header)
    changed["settings"]["candidatez"] = 3
    path = tmp_path / "recording.jsonl"
    path.write_text("\n".join([json.dumps(changed), *rest]) + "\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="settings that this qredit does not have: candidatez"):
        generate(Request(TASK, model="replay"), recording=path)
    assert not (tmp_path / "runs").exists()
