"""Probes from a `.npz` that a stranger may have made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qredit.errors import TaskFileError
from qredit.probes import Probes, load_probes, save_probes

STATES = np.arange(12, dtype=np.float32).reshape(4, 3)
ACTIONS = np.array([[0, 1], [2, 0], [1, 1], [0, 0]])
SHARES = np.array([[0.25, 0.75], [np.nan, np.nan], [1, 0], [0.5, 0.5]], dtype=np.float32)
WHOLE = Probes(STATES, ACTIONS, STATES + 0.5, np.array([0, 1, 0.25, -2], dtype=np.float32), SHARES)


def npz(**named: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def load(path: Path, **sizes: int) -> Probes:
    return load_probes(path, **{"size": 3, "n_agents": 2, **sizes})


def test_everything_reads_back(tmp_path: Path) -> None:
    save_probes(tmp_path / "a.npz", WHOLE)
    loaded = load(tmp_path / "a.npz", n_actions=3)
    for name, dtype in {
        "states": np.float32,
        "actions": np.int64,
        "next_states": np.float32,
        "rewards": np.float32,
        "true_credit": np.float32,
    }.items():
        values = getattr(loaded, name)
        assert values.dtype == dtype, name
        assert np.array_equal(values, getattr(WHOLE, name), equal_nan=name == "true_credit"), name


def test_states_alone_are_probes(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(states=STATES.astype(np.float64), something=np.ones(7)))
    loaded = load(tmp_path / "a.npz")
    assert np.array_equal(loaded.states, STATES)
    assert (loaded.actions, loaded.next_states, loaded.rewards, loaded.true_credit) == (None, None, None, None)


def test_whole_numbers_are_stored_small_and_others_as_they_are(tmp_path: Path) -> None:
    save_probes(tmp_path / "a.npz", WHOLE)
    with np.load(tmp_path / "a.npz") as stored:
        kinds = {name: stored[name].dtype for name in stored.files}
    small, single = np.dtype(np.int16), np.dtype(np.float32)
    assert kinds == {
        "states": small,
        "actions": small,
        "next_states": single,
        "rewards": single,
        "true_credit": single,
    }


@given(arrays(np.float32, (2, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_no_state_is_changed_by_storing(tmp_path_factory: pytest.TempPathFactory, states: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "stored.npz"
    save_probes(path, Probes(states))
    assert np.array_equal(load(path).states, states)


def claims_too_many_rows() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**15, 3)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("states.npy", header.getvalue())
    return buffer.getvalue()


def changed(**named: Any) -> bytes:
    return npz(**{"states": STATES, **named})


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (npz(states=STATES[:, :2]), r"shape \[4, 2\], the layout says \[M, 3\] with M >= 1"),
        (npz(states=STATES[0]), r"shape \[3\]"),
        (npz(states=STATES[:0]), r"shape \[0, 3\]"),
        (npz(other=STATES), "no array `states`"),
        (npz(states=np.array([[0, np.nan, 1]])), "not finite"),
        (npz(states=np.array([[0, 1e39, 1]])), "not finite"),
        (npz(states=np.array([["a", "b", "c"]])), "could not convert"),
        (npz(states=np.array([[{}, 1, 2]], dtype=object)), "allow_pickle"),
        (npz(states=np.zeros((10_000_000, 3), dtype=np.float32)), "unpacks to 120000"),
        (claims_too_many_rows(), "allocate"),
        (b"", "not a zip"),
        (b"PK\x03\x04", "not a zip"),
        (changed(actions=ACTIONS[:3]), r"`actions` has shape \[3, 2\], the layout says \[4, 2\]"),
        (changed(actions=ACTIONS[:, :1]), r"`actions` has shape \[4, 1\]"),
        (changed(actions=ACTIONS - 1), "no number of an action"),
        (changed(actions=ACTIONS + 0.5), "no number of an action"),
        (changed(actions=np.full((4, 2), np.nan)), "`actions` holds values that are not finite"),
        (changed(actions=ACTIONS * 2), "`actions` goes up to 4, the task has 3 actions"),
        (changed(next_states=STATES[:2]), r"`next_states` has shape \[2, 3\]"),
        (changed(next_states=STATES + np.inf), "`next_states` holds"),
        (changed(rewards=STATES), r"`rewards` has shape \[4, 3\], the layout says \[4\]"),
        (changed(rewards=np.array([0, 1, np.inf, 0])), "`rewards` holds"),
        (changed(true_credit=SHARES.T), "`true_credit` has shape"),
        (changed(true_credit=np.array([[np.nan, 1], [0, 1], [0, 1], [0, 1]])), "neither all NaN nor shares"),
        (changed(true_credit=np.full((4, 2), 0.4)), "neither all NaN nor shares"),
        (changed(true_credit=np.array([[2, -1], [0, 1], [0, 1], [0, 1]])), "neither all NaN nor shares"),
        (changed(true_credit=np.array([[np.inf, 0], [0, 1], [0, 1], [0, 1]])), "neither all NaN nor shares"),
    ],
    ids=range(27),
)
def test_unusable_probes_are_a_task_file_error(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(TaskFileError, match=cause):
        load(tmp_path / "a.npz", n_actions=3)


GOOD = npz(states=STATES, actions=ACTIONS, true_credit=SHARES)


@example(position=472, byte=12)  # bzip2
@example(position=472, byte=14)  # LZMA
@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_exception(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    content = bytearray(GOOD)
    content[position] = byte
    path.write_bytes(content)
    try:
        probes = load(path)
    except TaskFileError:
        return
    assert np.isfinite(probes.states).all()
