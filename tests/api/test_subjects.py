"""What functions are checked for: tasks with their states, or bare sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qredit.api.subjects import N_PROBE_STATES, flat_subject, load_subject
from qredit.errors import ConfigurationError, TaskFileError, UnknownNameError
from qredit.families import family_text
from qredit.layout import StateField
from qredit.task import builtin_task_names
from tests.cli import world


@pytest.mark.parametrize("name", builtin_task_names())
def test_built_in_tasks_bring_their_states(name: str) -> None:
    subject = load_subject(name)
    assert subject.name == name
    assert subject.task is not None
    assert subject.n_agents == subject.task.n_agents
    assert subject.states.dtype == np.float32
    assert subject.states.shape == (N_PROBE_STATES, subject.layout.size)
    for field, part in subject.layout.slices():
        assert field.low <= subject.states[:, part].min() <= subject.states[:, part].max() <= field.high


def test_the_same_task_as_a_file_samples_its_states(tmp_path: Path) -> None:
    """The file of a built-in task, copied, is a user's own: its states are sampled, the same each time."""
    path = tmp_path / "mine.yaml"
    path.write_text(family_text("lbf-5x5-2p-1f") or "")
    first, second = load_subject(str(path)), load_subject(str(path))
    assert np.array_equal(first.states, second.states)
    assert first.states.shape == (N_PROBE_STATES, first.layout.size)
    assert first.layout == load_subject("lbf-5x5-2p-1f").layout


def test_a_task_with_its_own_layout(tmp_path: Path) -> None:
    subject = load_subject(str(world.task_file(tmp_path)))
    assert (subject.name, subject.n_agents, subject.layout.size) == (world.TASK, 2, 4)
    assert [field.name for field in subject.layout.fields] == ["level", "near"]
    assert subject.states.shape == (32, 4)
    assert np.array_equal(subject.states, np.load(tmp_path / "states.npz")["states"])


@pytest.mark.parametrize("name", ["../states.npz", "/etc/passwd", "a/b.npz", "..", ""])
def test_states_stand_beside_the_task_file(tmp_path: Path, name: str) -> None:
    path = world.task_file(tmp_path / "inner", states=name)
    (tmp_path / "states.npz").write_bytes((tmp_path / "inner" / "states.npz").read_bytes())
    with pytest.raises(TaskFileError):
        load_subject(str(path))


def test_states_of_another_size(tmp_path: Path) -> None:
    path = world.task_file(tmp_path, layout=world.FIELDS[:1])
    with pytest.raises(TaskFileError, match=r"shape \[32, 4\], the layout says \[M, 2\]"):
        load_subject(str(path))


def test_no_such_task() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean `lbf-5x5-2p-1f`"):
        load_subject("lbf-5x5-2p1f")
    with pytest.raises(TaskFileError, match="No such file"):
        load_subject("lbf-5x5-2p-1f.yaml")


def test_bare_sizes() -> None:
    subject = flat_subject(n_agents=3, state_dim=5)
    assert (subject.name, subject.n_agents, subject.task) == ("3 agents, state of 5", 3, None)
    assert subject.layout.fields == (StateField("state", (5,), "unknown", -1.0, 1.0, "The flat global state."),)
    assert subject.states.shape == (N_PROBE_STATES, 5)
    assert subject.states.dtype == np.float32
    assert np.array_equal(subject.states, flat_subject(n_agents=3, state_dim=5).states)
    assert abs(float(subject.states.mean())) < 0.1
    assert abs(float(subject.states.std()) - 1) < 0.1


def test_bare_sizes_with_states(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    np.savez_compressed(path, states=np.full((7, 5), 2.0))
    assert flat_subject(n_agents=3, state_dim=5, states_path=path).states.tolist() == [[2.0] * 5] * 7
    with pytest.raises(TaskFileError):
        flat_subject(n_agents=3, state_dim=6, states_path=path)


@pytest.mark.parametrize(("n_agents", "state_dim"), [(0, 1), (257, 1), (-1, 1), (1, 0), (1, 100_001), (1, -5)])
def test_sizes_out_of_range(n_agents: int, state_dim: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{n_agents} agents and a state of {state_dim} numbers"):
        flat_subject(n_agents=n_agents, state_dim=state_dim)


def test_sizes_at_the_limits() -> None:
    assert flat_subject(n_agents=1, state_dim=1).states.shape == (N_PROBE_STATES, 1)
    assert flat_subject(n_agents=256, state_dim=2).n_agents == 256
