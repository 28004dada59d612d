"""Probe states from a `.npz` that a stranger may have made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import TaskFileError
from qredit.states import load_states, save_states

STATES = np.arange(12, dtype=np.float32).reshape(4, 3)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_states_read_back(tmp_path: Path) -> None:
    save_states(tmp_path / "a.npz", STATES)
    loaded = load_states(tmp_path / "a.npz", size=3)
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, STATES)


def claims_too_many_rows() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**15, 3)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("states.npy", header.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (npz(states=STATES[:, :2]), r"shape \[4, 2\], the layout says \[M, 3\]"),
        (npz(states=STATES[0]), r"shape \[3\]"),
        (npz(states=STATES[:0]), r"shape \[0, 3\]"),
        (npz(other=STATES), "states"),
        (npz(states=np.array([[0, np.nan, 1]])), "not finite"),
        (npz(states=np.array([[0, 1e39, 1]])), "not finite"),
        (npz(states=np.array([["a", "b", "c"]])), "could not convert"),
        (npz(states=np.array([[{}, 1, 2]], dtype=object)), "allow_pickle"),
        (npz(states=np.zeros((10_000_000, 3), dtype=np.float32)), "unpacks to 120000"),
        (claims_too_many_rows(), "allocate"),
        (b"", "not a zip"),
        (b"PK\x03\x04", "not a zip"),
    ],
    ids=range(12),
)
def test_unusable_states_are_a_task_file_error(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(TaskFileError, match=cause):
        load_states(tmp_path / "a.npz", size=3)


GOOD = npz(states=STATES)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_exception(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    content = bytearray(GOOD)
    content[position] = byte
    path.write_bytes(content)
    try:
        states = load_states(path, size=3)
    except TaskFileError:
        return
    assert np.isfinite(states).all()
