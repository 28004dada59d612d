"""Probes: what generated programs are tried on. Real transitions of rollouts and, where a simulator told it, the
credit that each agent truly has. On disk a `.npz` file with one array per field, of which `states` alone suffices."""

from __future__ import annotations

import dataclasses
import io
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.errors import ArtifactError, TaskFileError
from qredit.files import read_untrusted, write_atomic
from qredit.layout import pack_transitions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from qredit.contracts import States

SIZE_LIMIT = 64_000_000
"""Bytes, compressed and decompressed: probes are thousands of rows at the most."""
SUM_TOLERANCE = 1e-3
"""How far from 1 a row of true credit may sum."""

_DAMAGED = (
    *(KeyError, ValueError, TypeError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error),
    RuntimeError,  # an encrypted entry, an unknown compression
    *(OSError, lzma.LZMAError),  # an entry that claims another compression than it has
    MemoryError,  # a header that claims more rows than any machine holds
)
"""What `zipfile` and `numpy` raise for files that are not what they claim to be."""


@dataclass(frozen=True)
class Probes:
    """`M` states of rollouts, and what is known about them."""

    states: States
    """`[M, S]`, float32."""
    actions: NDArray[np.int64] | None = None
    """What the agents did there, `[M, N]`; `None` when only states are known."""
    next_states: States | None = None
    """The states that followed, `[M, S]`."""
    rewards: NDArray[np.float32] | None = None
    """The team's reward of each step, `[M]`."""
    true_credit: NDArray[np.float32] | None = None
    """Each agent's share in the variance of the return, `[M, N]`, found by varying its action in the simulator. Rows
    sum to 1; a row of NaN is a state in which it is not known, or in which no agent's action matters."""

    @property
    def transitions(self) -> States | None:
        """State, actions and next state in one row, `[M, S + N + S]`; `None` if not known."""
        if self.actions is None or self.next_states is None:
            return None
        return pack_transitions(self.states, self.actions, self.next_states)


def load_probes(path: Path, *, size: int, n_agents: int, n_actions: int | None = None) -> Probes:
    """Read a `.npz` file that a stranger may have made: `states`, and whichever other fields of `Probes` it holds.

    Args:
        path: the file.
        size: `S`, the layout's size.
        n_agents: `N`.
        n_actions: actions of each agent, where known; all actions must be below it.

    Raises:
        TaskFileError: unreadable, too large, no array `states`, another shape, or values that cannot be.
    """
    import numpy as np

    try:
        data = read_untrusted(path, limit=SIZE_LIMIT)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > SIZE_LIMIT:
                raise ValueError(f"it unpacks to {claimed} bytes, more than {SIZE_LIMIT}")
        # A number too large for float32 becomes infinite, which is refused below.
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays, np.errstate(over="ignore", invalid="ignore"):
            return _checked(arrays, size=size, n_agents=n_agents, n_actions=n_actions)
    except (ArtifactError, *_DAMAGED) as error:
        cause = error.cause if isinstance(error, ArtifactError) else str(error)
        raise TaskFileError(
            f"sample states `{path}`",
            cause=cause,
            remedy="Write them with `numpy.savez_compressed(path, states=array)`, one row per state.",
        ) from error


def save_probes(path: Path, probes: Probes) -> None:
    """Write what `load_probes` reads; whole numbers are stored as such, where nothing is lost.

    Raises:
        StorageError: disk full or no permission.
    """
    import numpy as np

    fields = {field.name: getattr(probes, field.name) for field in dataclasses.fields(probes)}
    arrays: dict[str, Any] = {name: _compact(values) for name, values in fields.items() if values is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


def _checked(arrays: Mapping[str, Any], *, size: int, n_agents: int, n_actions: int | None) -> Probes:
    """The probes of an archive; `ValueError` for arrays that contradict the layout or each other."""
    import numpy as np

    states = _array(arrays, "states", (None, size))
    if states is None:
        raise ValueError("it holds no array `states`")
    rows = len(states)
    actions = _array(arrays, "actions", (rows, n_agents))
    if actions is not None and not ((actions >= 0) & (actions == np.floor(actions))).all():
        raise ValueError("`actions` holds what is no number of an action")
    if actions is not None and n_actions is not None and (actions >= n_actions).any():
        raise ValueError(f"`actions` goes up to {int(actions.max())}, the task has {n_actions} actions, from 0")
    return Probes(
        states=states,
        actions=None if actions is None else actions.astype(np.int64),
        next_states=_array(arrays, "next_states", (rows, size)),
        rewards=_array(arrays, "rewards", (rows,)),
        true_credit=_shares(arrays, (rows, n_agents)),
    )


def _array(
    arrays: Mapping[str, Any], name: str, shape: tuple[int | None, ...], *, finite: bool = True
) -> NDArray[np.float32] | None:
    """One array as float32, of a shape whose first length may be open but not 0; `None` if it is not there."""
    import numpy as np

    if name not in arrays:
        return None
    values = np.asarray(arrays[name], dtype=np.float32)
    if values.ndim != len(shape) or values.shape[1:] != shape[1:] or len(values) != (shape[0] or len(values) or 1):
        wanted = ", ".join("M" if length is None else str(length) for length in shape)
        open_end = " with M >= 1" if shape[0] is None else ""
        raise ValueError(f"`{name}` has shape {list(values.shape)}, the layout says [{wanted}]{open_end}")
    if finite and not np.isfinite(values).all():
        raise ValueError(f"`{name}` holds values that are not finite")
    return values


def _shares(arrays: Mapping[str, Any], shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """`true_credit [M, N]`: rows of shares, or rows of NaN."""
    import numpy as np

    shares = _array(arrays, "true_credit", shape, finite=False)
    if shares is None:
        return None
    known = shares[~np.isnan(shares).all(axis=1)]
    if not ((known >= 0).all() and (np.abs(known.sum(axis=1) - 1) <= SUM_TOLERANCE).all()):
        raise ValueError("`true_credit` holds a row that is neither all NaN nor shares that sum to 1")
    return shares


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers as `int16`, if they are such."""
    import numpy as np

    small = values if not np.isfinite(values).all() or np.abs(values).max(initial=0) >= 2**15 else values.astype("i2")
    return small if np.array_equal(small, values) else values
