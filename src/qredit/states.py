"""Probe states: real global states on which a credit function is checked, `[M, S]` float32 in a `.npz` file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.errors import ArtifactError, TaskFileError
from qredit.files import read_untrusted, write_atomic

if TYPE_CHECKING:
    from qredit.contracts import States

SIZE_LIMIT = 64_000_000
"""Bytes, compressed and decompressed: probe states are thousands of rows at the most."""


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
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            states = np.asarray(arrays["states"], dtype=np.float32)
        if states.ndim != 2 or states.shape[1] != size or not len(states):
            raise ValueError(f"`states` has shape {list(states.shape)}, the layout says [M, {size}] with M >= 1")
        if not np.isfinite(states).all():
            raise ValueError("`states` holds values that are not finite")
        return states
    except (ArtifactError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
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
