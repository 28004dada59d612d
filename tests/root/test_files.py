"""Writing that is whole or not at all, and reading of files that a stranger made."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import ArtifactError, StorageError
from qredit.files import (
    AppendOnlyLines,
    read_json_lines,
    read_json_untrusted,
    read_untrusted,
    sha256,
    write_atomic,
    write_json,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.text(), values, max_size=4)


def raising(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """As if the disk were full: no file of this process may grow beyond `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# write_atomic


def test_atomic_writes_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with file_size_limit(1000), pytest.raises(StorageError, match="cannot write"):
        write_atomic(path, b"x" * 5000)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space and run the same command with `--resume`."),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "QREDIT_RUNS=DIR"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_the_remedy_fits_the_cause(number: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raising(number))
    with pytest.raises(StorageError) as caught:
        write_atomic(tmp_path / "file", b"data")
    assert os.strerror(number) in caught.value.cause
    assert remedy in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"data")
    assert list(tmp_path.iterdir()) == []


def test_atomic_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(victim)
    write_atomic(tmp_path / "file", b"data")
    assert victim.read_bytes() == b"precious"


# JSON


@given(records)
def test_json_reads_back(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "data.json"
    write_json(path, data)
    assert read_json_untrusted(path) == data


def test_a_lone_surrogate_is_kept_in_a_file_that_is_utf8(tmp_path: Path) -> None:
    reply = {"text": "caf\u00e9 \udc80"}
    write_json(tmp_path / "a.json", reply)
    lines = AppendOnlyLines(tmp_path / "a.jsonl")
    lines.append(reply)
    lines.close()
    assert read_json_untrusted(tmp_path / "a.json") == reply
    assert read_json_lines(tmp_path / "a.jsonl") == [reply]
    for path in tmp_path.glob("a.*"):
        assert "caf\u00e9" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 200_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=cause):
        read_json_untrusted(tmp_path / "a.json")


# JSON lines


@given(st.lists(records, max_size=5))
def test_lines_read_back(tmp_path_factory: pytest.TempPathFactory, data: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    for record in data:  # opened anew each time, as by `--resume`
        lines = AppendOnlyLines(path)
        lines.append(record)
        lines.close()
    lines = AppendOnlyLines(path)
    assert lines.records() == data
    lines.close()


def test_every_torn_last_line_is_dropped(tmp_path: Path) -> None:
    """kill -9 or a power cut can end the file at any byte; what was whole stays, and the next record is whole."""
    path = tmp_path / "a.jsonl"
    whole = b'{"n":1}\n{"n":2}\n'
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = [{"n": 1}, {"n": 2}][: whole[:cut].count(b"\n")]
        assert read_json_lines(path) == kept
        lines = AppendOnlyLines(path)
        lines.append({"n": 3})
        assert lines.records() == [*kept, {"n": 3}]
        lines.close()


@pytest.mark.parametrize("line", [b"{", b"\xff", b"3", b"[" * 200_000])
def test_a_damaged_line_in_the_middle_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n' + line + b'\n{"n":2}\n')
    with pytest.raises(ArtifactError, match="line 2"):
        read_json_lines(path)


def test_a_full_disk_tears_nothing_and_later_records_follow(tmp_path: Path) -> None:
    """No byte of the record that failed may turn up later: it would corrupt the line of its retry."""
    lines = AppendOnlyLines(tmp_path / "a.jsonl")
    lines.append({"n": 1})
    with file_size_limit(100), pytest.raises(StorageError, match="cannot write"):
        lines.append({"n": "x" * 200})
    assert lines.path.read_bytes() == b'{"n":1}\n'
    lines.append({"n": 3})
    assert lines.records() == [{"n": 1}, {"n": 3}]
    lines.close()


def test_a_record_that_could_not_be_flushed_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = AppendOnlyLines(tmp_path / "a.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", raising(errno.ENOSPC))
        with pytest.raises(StorageError, match="--resume"):
            lines.append({"n": 1})
    assert lines.records() == []
    lines.close()


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from qredit.files import AppendOnlyLines\n"
        "lines = AppendOnlyLines(Path(sys.argv[1])); lines.append({'n': 1}); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.jsonl"], check=False)
    assert done.returncode == -9
    assert read_json_lines(tmp_path / "a.jsonl") == [{"n": 1}]


def test_lines_are_not_appended_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.jsonl").symlink_to(victim)
    with pytest.raises(StorageError):
        AppendOnlyLines(tmp_path / "a.jsonl")
    assert victim.read_bytes() == b"precious"


# reading what a stranger made


def test_the_limit_is_exact(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_untrusted(tmp_path / "a", limit=5) == b"12345"
    with pytest.raises(ArtifactError, match="it has 5 bytes, more than 4"):
        read_untrusted(tmp_path / "a", limit=4)


def test_a_large_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ArtifactError, match="more than 1000"):
        read_untrusted(tmp_path / "a", limit=1000)


def make_link(path: Path) -> None:
    (path.parent / "target").write_bytes(b"secret")
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (make_link, "symbolic link"),
        (Path.mkdir, "no regular file"),
        (os.mkfifo, "no regular file"),
        (lambda path: None, "No such file"),
    ],
    ids=["link", "folder", "fifo", "missing"],
)
def test_only_regular_files_are_read(make: Callable[[Path], object], cause: str, tmp_path: Path) -> None:
    make(tmp_path / "a")
    open_before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with pytest.raises(ArtifactError, match=cause):
        read_untrusted(tmp_path / "a", limit=1000)
    if open_before:
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_sha256() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads(f'"{sha256(b"")}"') == sha256(b"")
