"""Checkpoints: whole or not at all, and refused when they are damaged or of another training."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from qredit.errors import RunFolderError, StorageError
from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import Problem
from qredit.marl.algorithms.qmix import QMIX
from qredit.marl.checkpoint import Counters, Progress, load_checkpoint, save_checkpoint
from qredit.marl.environment import TimeStep
from qredit.marl.learner import Learner
from qredit.marl.metrics import Evaluation
from qredit.marl.replay import Episodes, ReplayBuffer
from qredit.marl.settings import TrainSettings

T, N, S, A = 3, 2, 4, 3
LAYOUT = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
IDENTITY = {"task": {"name": "toy"}, "training": {"seed": 3, "gamma": 0.9}, "mixer_sha256": None}
ROW = Evaluation(
    environment_steps=0,
    seconds=0.5,
    episodes=0,
    updates=0,
    epsilon=1.0,
    loss=math.nan,
    greedy_return=0.1,
    greedy_return_std=0.30000000000000004,
)


class Shapes:
    """Nothing but the sizes of an environment."""

    layout = LAYOUT
    n_environments, n_agents, n_actions, observation_size, time_limit = 1, N, A, 2, T

    def reset(self, seeds: object) -> TimeStep:
        raise NotImplementedError

    def step(self, actions: object) -> TimeStep:
        raise NotImplementedError


@dataclasses.dataclass
class Parts:
    """What a checkpoint restores."""

    algorithm: QMIX

    @property
    def learner(self) -> Learner:
        return self.algorithm.learner

    @property
    def replay(self) -> ReplayBuffer:
        return self.algorithm.replay

    def train(self, first: int, count: int) -> list[float]:
        """Collect and update, with numbers that depend on `first` alone; the losses."""
        losses = []
        for k in range(first, first + count):
            episodes = _episodes(k)
            self.replay.add(episodes)
            self.learner.reward_scale.see(episodes.rewards, episodes.filled)
            losses.append(self.learner.update(self.replay.sample(2, np.random.default_rng(k))).item())
            self.learner.update_target()
        return losses

    def save(self, folder: Path, **changes: Any) -> None:
        arguments: dict[str, Any] = {
            "counters": Counters(12, self.replay.added, 2, 2, loss=0.1, seconds=1.5),
            "evaluations": (ROW,),
            "identity": IDENTITY,
        }
        save_checkpoint(folder, algorithm=self.algorithm, **{**arguments, **changes})

    def load(self, folder: Path, identity: dict[str, Any] = IDENTITY) -> Progress | None:
        return load_checkpoint(folder, algorithm=self.algorithm, identity=identity)

    def numbers(self) -> dict[str, torch.Tensor]:
        """All parameters, copied."""
        states = {"online": self.learner.online.state_dict(), "target": self.learner.target.state_dict()}
        return {f"{part}.{name}": t.clone() for part, state in states.items() for name, t in state.items()}


def parts(seed: int = 0, *, hidden_size: int = 4) -> Parts:
    torch.manual_seed(seed)
    settings = TrainSettings(
        target_update_tau=0.5,
        hidden_size=hidden_size,
        recurrent=True,
        mixing_size=3,
        hypernet_size=3,
        buffer_episodes=5,
        batch_episodes=2,
        n_environments=2,
    )
    return Parts(QMIX(Problem(Shapes(), settings, torch.device("cpu"), None)))


def _episodes(k: int) -> Episodes:
    rng = torch.Generator().manual_seed(k)
    return Episodes(
        observations=torch.randn(2, T + 1, N, 2, generator=rng),
        states=torch.rand(2, T + 1, S, generator=rng),
        available_actions=torch.ones(2, T + 1, N, A, dtype=torch.bool),
        actions=torch.randint(0, A, (2, T, N), generator=rng),
        rewards=torch.randn(2, T, generator=rng),
        agent_rewards=torch.zeros(2, T, N),
        terminated=torch.zeros(2, T, dtype=torch.bool),
        filled=torch.arange(T) < torch.randint(1, T + 1, (2, 1), generator=rng),
        credit=torch.zeros(2, T + 1, 0),
    )


def tensors_file(folder: Path) -> Path:
    (path,) = (folder / "checkpoint").glob("*.safetensors")
    return path


def notes_file(folder: Path) -> Path:
    return folder / "checkpoint" / "checkpoint.json"


def change_notes(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    notes = json.loads(notes_file(folder).read_text())
    change(notes)
    notes_file(folder).write_text(json.dumps(notes))


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


# Going on exactly


@pytest.mark.parametrize("trained", [1, 2, 5])
def test_a_restored_training_goes_on_to_the_last_bit(tmp_path: Path, trained: int) -> None:
    undisturbed, other = parts(), parts(seed=9)
    undisturbed.train(0, trained)
    undisturbed.save(tmp_path)
    other.train(50, 2)  # whatever it was before
    other.load(tmp_path)
    assert_equal(other.numbers(), undisturbed.numbers())
    assert (len(other.replay), other.replay.added) == (len(undisturbed.replay), 2 * trained)
    assert vars(other.learner.reward_scale) == vars(undisturbed.learner.reward_scale)
    assert other.train(trained, 4) == undisturbed.train(trained, 4)
    assert_equal(other.numbers(), undisturbed.numbers())


def test_a_training_before_its_first_update_can_be_saved(tmp_path: Path) -> None:
    fresh, other = parts(), parts(seed=9)
    fresh.save(tmp_path, counters=Counters(), evaluations=())
    found = other.load(tmp_path)
    assert found is not None
    assert found.evaluations == ()
    assert math.isnan(found.counters.loss)
    assert_equal(other.numbers(), fresh.numbers())
    assert other.train(0, 2) == fresh.train(0, 2)


def test_counters_and_evaluations_come_back_as_they_were(tmp_path: Path) -> None:
    counters = Counters(environment_steps=7, episodes=6, collections=5, updates=4, loss=1 / 3, seconds=2.1)
    second = dataclasses.replace(ROW, environment_steps=7, loss=1 / 7)
    trained = parts()
    trained.train(0, 3)  # 6 episodes
    trained.save(tmp_path, counters=counters, evaluations=(ROW, second))
    found = parts().load(tmp_path)
    assert found is not None
    assert found.counters == counters
    first_row, second_row = found.evaluations
    assert second_row == second
    assert math.isnan(first_row.loss)
    assert dataclasses.replace(first_row, loss=0.0) == dataclasses.replace(ROW, loss=0.0)


def test_without_a_checkpoint_there_is_nothing_to_load(tmp_path: Path) -> None:
    fresh = parts()
    before = fresh.numbers()
    assert fresh.load(tmp_path) is None
    assert_equal(before, fresh.numbers())


def test_a_checkpoint_is_no_pickle_and_names_its_tensors_by_hash(tmp_path: Path) -> None:
    trained = parts()
    trained.train(0, 1)
    trained.save(tmp_path)
    names = set(safetensors.torch.load_file(tensors_file(tmp_path)))
    assert {name.partition(".")[0] for name in names} == {"online", "target", "adam", "replay"}
    notes = json.loads(notes_file(tmp_path).read_text())
    assert notes["tensors"] == tensors_file(tmp_path).name
    assert notes["sha256"].startswith(tensors_file(tmp_path).stem.removeprefix("tensors-"))


# Whole or not at all


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_nothing_behind(tmp_path: Path) -> None:
    trained = parts()
    for k in range(3):
        trained.train(k, 1)
        trained.save(tmp_path)
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2
    other = parts(seed=9)
    other.load(tmp_path)
    assert_equal(other.numbers(), trained.numbers())


@pytest.mark.parametrize("successful_writes", [0, 1])
def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, successful_writes: int
) -> None:
    """At the tensors, and at the notes that would make them valid."""
    trained = parts()
    trained.train(0, 1)
    trained.save(tmp_path)
    before = trained.numbers()
    trained.train(1, 1)
    left = [successful_writes]
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            trained.save(tmp_path)
    assert "--resume" in caught.value.remedy
    other = parts(seed=9)
    other.load(tmp_path)
    assert_equal(other.numbers(), before)
    assert not [path for path in (tmp_path / "checkpoint").iterdir() if path.name.startswith(".")]
    trained.save(tmp_path)  # once there is space again
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2
    other.load(tmp_path)
    assert_equal(other.numbers(), trained.numbers())


def test_what_a_kill_left_half_written_is_never_looked_at_and_cleared_away(tmp_path: Path) -> None:
    trained = parts()
    trained.train(0, 1)
    trained.save(tmp_path)
    (tmp_path / "checkpoint" / ".tensors-0123456789abcdef.safetensors.x1y2").write_bytes(b"half")
    (tmp_path / "checkpoint" / "tensors-0123456789abcdef.safetensors").write_bytes(b"whole, but not valid yet")
    (tmp_path / "checkpoint" / ".checkpoint.json.x1y2").write_bytes(b"{")
    other = parts(seed=9)
    other.load(tmp_path)
    assert_equal(other.numbers(), trained.numbers())
    trained.train(1, 1)
    trained.save(tmp_path)
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2


# Damaged or of another training


def _flip(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "first byte of the tensors": lambda folder: _flip(tensors_file(folder), 0),
    "a byte in the middle": lambda folder: _flip(tensors_file(folder), 0.5),
    "the last byte": lambda folder: _flip(tensors_file(folder), 1),
    "tensors cut short": lambda folder: _cut(tensors_file(folder)),
    "tensors emptied": lambda folder: _none(tensors_file(folder).write_bytes(b"")),
    "tensors gone": lambda folder: tensors_file(folder).unlink(),
    "notes cut short": lambda folder: _none(notes_file(folder).write_bytes(notes_file(folder).read_bytes()[:-9])),
    "notes emptied": lambda folder: _none(notes_file(folder).write_bytes(b"")),
    "notes a list": lambda folder: _none(notes_file(folder).write_bytes(b"[]")),
    "notes of another version": lambda folder: change_notes(folder, lambda n: n.update(schema=99)),
    "no counters": lambda folder: change_notes(folder, lambda n: _none(n.pop("counters"))),
    "unknown counter": lambda folder: change_notes(folder, lambda n: n["counters"].update(surprise=1)),
    "no identity": lambda folder: change_notes(folder, lambda n: _none(n.pop("identity"))),
    "tensors elsewhere": lambda folder: change_notes(folder, lambda n: n.update(tensors="../../secret.safetensors")),
    "tensors is a number": lambda folder: change_notes(folder, lambda n: n.update(tensors=7)),
    "reward scale too short": lambda folder: change_notes(folder, lambda n: n.update(reward_scale=[1])),
    "episodes that are not there": lambda folder: change_notes(folder, lambda n: n["counters"].update(episodes=5)),
    "evaluation of another form": lambda folder: change_notes(folder, lambda n: n.update(evaluations=[{"x": 1}])),
}


def _none(_: object) -> None:
    return None


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    trained = parts()
    trained.train(0, 1)
    trained.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(RunFolderError) as caught:
        parts(seed=9).load(tmp_path)
    assert str(notes_file(tmp_path)) in caught.value.what
    assert "start a new run" in caught.value.remedy
    assert len(caught.value.cause) < 1000


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ({**IDENTITY, "training": {"seed": 4, "gamma": 0.9}}, "`seed`"),
        ({**IDENTITY, "training": {"seed": 4, "gamma": 0.8}}, "`gamma`, `seed`"),
        ({**IDENTITY, "task": {"name": "other"}}, "`name`"),
        ({**IDENTITY, "mixer_sha256": "0" * 64}, "`mixer_sha256`"),
        ({**IDENTITY, "training": {"seed": 3, "gamma": 0.9, "new": 1}}, "`new`"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_with_what_differs(
    tmp_path: Path, identity: dict[str, Any], told: str
) -> None:
    parts().save(tmp_path)
    untouched = parts(seed=9)
    before = untouched.numbers()
    with pytest.raises(RunFolderError, match="other settings") as caught:
        untouched.load(tmp_path, identity)
    assert caught.value.cause.endswith(told)
    assert_equal(untouched.numbers(), before)


def test_a_network_of_another_size_is_refused(tmp_path: Path) -> None:
    parts().save(tmp_path)
    with pytest.raises(RunFolderError, match="size mismatch"):
        parts(hidden_size=5).load(tmp_path)
