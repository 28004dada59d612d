"""Artifacts: written whole, verified byte by byte, refused when forged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.artifact import CREDIT_GRAPH, FILE_NAMES, MANIFEST, SIZE_LIMIT, Artifact, load_artifact, save_artifact
from qredit.errors import ArtifactError
from qredit.files import sha256

FILES = {CREDIT_GRAPH: b'{"format": 1}', "credit.py": b"def credit(state): ...\n", "CARD.md": b"# Card\n"}


@pytest.fixture
def saved(tmp_path: Path) -> Artifact:
    return save_artifact(
        tmp_path / "artifact", manifest={"kind": "credit", "task": "lbf", "models": ["m"]}, files=FILES
    )


def edit_manifest(artifact: Artifact, **changes: Any) -> None:
    path = artifact.path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_saved_is_loaded(saved: Artifact) -> None:
    loaded = load_artifact(saved.path)
    assert loaded == saved
    assert (loaded.kind, loaded.task, dict(loaded.files)) == ("credit", "lbf", FILES)
    assert loaded.manifest["files"] == {name: sha256(content) for name, content in FILES.items()}
    assert loaded.manifest["models"] == ["m"]


def test_a_run_folder_leads_to_its_artifact(saved: Artifact) -> None:
    assert load_artifact(saved.path.parent) == saved


@given(st.data())
def test_one_flipped_bit_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("flip")
    saved = save_artifact(folder, manifest={"kind": "credit", "task": "lbf"}, files=FILES)
    name = data.draw(st.sampled_from(sorted(FILES)))
    content = bytearray(FILES[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (saved.path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"`{name}` does not match its SHA-256"):
        load_artifact(saved.path)


@given(st.data())
def test_a_damaged_manifest_never_ends_in_another_exception(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    save_artifact(folder, manifest={"kind": "credit", "task": "lbf"}, files=FILES)
    content = bytearray((folder / MANIFEST).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / MANIFEST).write_bytes(content)
    try:
        loaded = load_artifact(folder)
    except ArtifactError:
        return
    assert dict(loaded.files) == FILES


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"schema": 2}, "schema version 2, this qredit reads 1"),
        ({"schema": "1"}, "schema version '1'"),
        ({"kind": 3}, "`kind` or `task` is missing"),
        ({"task": None}, "`kind` or `task` is missing"),
        ({"files": []}, "names a file that no artifact has"),
        ({"files": {"../../secret": "0" * 64}}, "names a file that no artifact has"),
        ({"files": {"/etc/passwd": "0" * 64}}, "names a file that no artifact has"),
        ({"files": {MANIFEST: "0" * 64}}, "names a file that no artifact has"),
        ({"files": {}}, f"lacks `{CREDIT_GRAPH}`"),
        ({"files": {CREDIT_GRAPH: sha256(FILES[CREDIT_GRAPH])}}, "lies there, but `files` does not name it"),
        ({"files": dict.fromkeys(FILES, "0" * 63)}, "no SHA-256"),
        ({"files": dict.fromkeys(FILES, 7)}, "no SHA-256"),
    ],
)
def test_a_forged_manifest_is_refused(changes: dict[str, Any], cause: str, saved: Artifact) -> None:
    edit_manifest(saved, **changes)
    with pytest.raises(ArtifactError) as caught:
        load_artifact(saved.path)
    assert cause in caught.value.cause


def link_to_secret(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(FILES[CREDIT_GRAPH])  # the very bytes: only the link itself gives it away
    path.unlink()
    path.symlink_to(secret)


def grow(path: Path) -> None:
    path.write_bytes(b" " * (SIZE_LIMIT + 1))


@pytest.mark.parametrize(
    ("harm", "cause"),
    [(link_to_secret, "symbolic link"), (grow, "more than"), (Path.unlink, "No such file")],
)
def test_links_and_oversized_and_missing_files_are_refused(
    harm: Callable[[Path], None], cause: str, saved: Artifact
) -> None:
    harm(saved.path / CREDIT_GRAPH)
    with pytest.raises(ArtifactError) as caught:
        load_artifact(saved.path)
    assert cause in caught.value.cause


def test_an_empty_folder_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact at"):
        load_artifact(tmp_path)


def test_without_the_manifest_there_is_no_artifact(saved: Artifact) -> None:
    """The manifest is written last, so that a crash before it leaves nothing that loads."""
    (saved.path / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match=f"there is no `{MANIFEST}`"):
        load_artifact(saved.path)


def test_only_known_names_are_saved(tmp_path: Path) -> None:
    assert "weights.pkl" not in FILE_NAMES
    with pytest.raises(ValueError, match=r"weights\.pkl"):
        save_artifact(tmp_path, manifest={"kind": "credit", "task": "lbf"}, files={"weights.pkl": b""})
    assert list(tmp_path.iterdir()) == []
