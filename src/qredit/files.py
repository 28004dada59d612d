"""Files that are never half-written, and reading of files that a stranger may have made."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qredit.errors import ArtifactError, StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of writing `path` into a `StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        remedies = {
            errno.ENOSPC: "Free some space and run the same command with `--resume`.",
            errno.EDQUOT: "Free some of your quota and run the same command with `--resume`.",
            errno.EACCES: "Choose a folder that you may write to, for example with QREDIT_RUNS=DIR.",
            errno.EROFS: "Choose a folder that you may write to, for example with QREDIT_RUNS=DIR.",
        }
        raise StorageError(
            f"cannot write `{path}`",
            cause=os.strerror(error.errno) if error.errno else str(error),
            remedy=remedies.get(error.errno or 0, "Check the disk and the permissions of this folder."),
        ) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: a temporary file beside it, flushed to disk, then renamed.

    Raises:
        StorageError: disk full or no permission; an older version of the file stays as it was.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically, indented, keys in the given order."""
    write_atomic(path, _utf8(json.dumps(data, indent=2, ensure_ascii=False)) + b"\n")


class AppendOnlyLines:
    """A JSON-lines file: every record is flushed to disk before `append` returns.

    A last line cut short by a crash is dropped when the file is opened again, since nothing can have used it.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            StorageError: no permission, or a symbolic link: a stranger's folder must not make us write elsewhere.
        """
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            # Without a buffer: after a full disk no remainder of the failed record may reach the file later.
            self._file = io.FileIO(os.open(path, flags, 0o644), "rb+")
            self._drop_torn_tail()

    def _drop_torn_tail(self) -> None:
        content = self._file.readall()
        if content and not content.endswith(b"\n"):
            self._file.truncate(content.rfind(b"\n") + 1)

    def records(self) -> list[dict[str, Any]]:
        """All records so far, oldest first."""
        return read_json_lines(self.path)

    def append(self, record: dict[str, Any]) -> None:
        """Append one record and flush it to disk.

        Raises:
            StorageError: disk full; what was there stays readable.
        """
        rest = memoryview(_utf8(json.dumps(record, ensure_ascii=False, separators=(",", ":"))) + b"\n")
        with storage_errors(self.path):
            size = self._file.seek(0, os.SEEK_END)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(size)
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file; a last line that a crash cut short is left out.

    Raises:
        ArtifactError: a line in the middle is damaged.
    """
    records = []
    for number, line in enumerate(read_untrusted(path, limit=200_000_000).split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(
                f"`{path}`, line {number}", cause="it is not JSON", remedy="Delete this line or the whole folder."
            ) from error
        if not isinstance(record, dict):
            raise ArtifactError(
                f"`{path}`, line {number}",
                cause="it is not a JSON object",
                remedy="Delete this line or the whole folder.",
            )
        records.append(record)
    return records


def read_untrusted(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes without following a symbolic link in its last part.

    Raises:
        ArtifactError: missing, a link, no regular file, or too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        cause = "it is a symbolic link" if error.errno == errno.ELOOP else os.strerror(error.errno or 0)
        raise ArtifactError(
            f"cannot read `{path}`", cause=cause, remedy="Copy or generate the folder again."
        ) from error
    # A descriptor of a folder cannot become a file object, so look before wrapping it.
    info = os.fstat(handle)
    problem = None
    if not stat.S_ISREG(info.st_mode):
        problem = "it is no regular file"
    elif info.st_size > limit:
        problem = f"it has {info.st_size} bytes, more than {limit}"
    if problem:
        os.close(handle)
        raise ArtifactError(f"cannot read `{path}`", cause=problem, remedy="Copy or generate the folder again.")
    with os.fdopen(handle, "rb") as file:
        return file.read(limit)


def read_json_untrusted(path: Path, *, limit: int = 4_000_000) -> dict[str, Any]:
    """Read a JSON object that a stranger may have made.

    Raises:
        ArtifactError: unreadable, not JSON, not an object.
    """
    remedy = "Copy or generate the folder again."
    try:
        data = json.loads(read_untrusted(path, limit=limit))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"cannot read `{path}`", cause=f"it is not JSON ({error})", remedy=remedy) from error
    if not isinstance(data, dict):
        raise ArtifactError(f"cannot read `{path}`", cause="it is not a JSON object", remedy=remedy)
    return data


def _utf8(text: str) -> bytes:
    """JSON text as UTF-8: a lone surrogate, which a model's reply can hold, is written as its JSON escape."""
    return text.encode("utf-8", "backslashreplace")


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
