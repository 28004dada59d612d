"""Probe states: real global states on which a credit function is checked, `[M, S]` float32 in a `.npz` file."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.errors import ArtifactError, TaskFileError
from qredit.files import read_untrusted, write_atomic

if TYPE_CHECKING:
    from qredit.contracts import States

SIZE_LIMIT = 64_000_000
"""Bytes, compressed and decompressed: probe states are thousands of rows at the most."""

_DAMAGED = (
    *(KeyError, ValueError, TypeError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error),
    RuntimeError,  # an encrypted entry, an unknown compression
    MemoryError,  # a header that claims more rows than any machine holds
)
"""What `zipfile` and `numpy` raise for files that are not what they claim to be."""


def load_states(path: Path, *, size: int) -> States:
    """Read the array `states [M, S]` of a `.npz` file that a stranger may have made.

    Args:
        path: the file.
        size: `S`, the layout's size.

    Raises:
        TaskFileError: unreadable, too large, no array `states`, another shape, or values that are not finite.
    """
    import numpy as np

    try:
        data = read_untrusted(path, limit=SIZE_LIMIT)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > SIZE_LIMIT:
                raise ValueError(f"it unpacks to {claimed} bytes, more than {SIZE_LIMIT}")
        # A number too large for float32 becomes infinite, which is refused below.
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays, np.errstate(over="ignore"):
            states = np.asarray(arrays["states"], dtype=np.float32)
        if states.ndim != 2 or states.shape[1] != size or not len(states):
            raise ValueError(f"`states` has shape {list(states.shape)}, the layout says [M, {size}] with M >= 1")
        if not np.isfinite(states).all():
            raise ValueError("`states` holds values that are not finite")
        return states
    except (ArtifactError, *_DAMAGED) as error:
        cause = error.cause if isinstance(error, ArtifactError) else str(error)
        raise TaskFileError(
            f"sample states `{path}`",
            cause=cause,
            remedy="Write them with `numpy.savez_compressed(path, states=array)`, one row per state.",
        ) from error


def save_states(path: Path, states: States) -> None:
    """Write what `load_states` reads.

    Raises:
        StorageError: disk full or no permission.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, states=states)
    write_atomic(path, buffer.getvalue())
