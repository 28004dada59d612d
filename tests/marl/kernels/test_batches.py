"""What compiled batches share, how a task gets one, and where compiled kernels are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qredit.errors import ConfigurationError
from qredit.marl.adapters import COMPILED, compile_ahead, make_environment, make_simulator
from qredit.marl.environments.batch import SimulatorBatch
from qredit.marl.kernels.batch import CompiledBatch
from qredit.marl.kernels.inert import InertBatch
from qredit.task import builtin_task_names, load_task

WITH_KERNELS = [
    name
    for name in builtin_task_names()
    if (spec := load_task(name).environment) is not None and spec.adapter in COMPILED
]


@pytest.mark.parametrize("name", WITH_KERNELS)
def test_every_task_plays_the_same_episodes_compiled(name: str) -> None:
    """Also with passengers: seeds, ends and sizes are those of the official package."""
    task = load_task(name)
    compiled, official = (make_environment(task, 2) for task in (task, task.with_backend("official")))
    assert isinstance(compiled, CompiledBatch | InertBatch)
    assert isinstance(official, SimulatorBatch)
    rng = np.random.default_rng(0)
    now, expected = compiled.reset([5, 6]), official.reset([5, 6])
    for _ in range(60):
        for part in ("observations", "states", "available_actions", "rewards", "agent_rewards"):
            found, wanted = getattr(now, part), getattr(expected, part)
            assert found.shape == wanted.shape
            assert found.dtype == wanted.dtype
            assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6), part
        assert np.array_equal(now.terminated, expected.terminated)
        assert np.array_equal(now.truncated, expected.truncated)
        actions = rng.integers(0, compiled.n_actions, (2, compiled.n_agents))
        now, expected = compiled.step(actions), official.step(actions)


def test_fewer_seeds_than_environments_leave_the_others_ended() -> None:
    environment = make_environment(load_task("lbf-5x5-2p-1f"), 3)
    now = environment.reset([1])
    assert now.ended.tolist() == [False, True, True]
    before = now.observations[1:].copy()
    now = environment.step(np.full((3, 2), 4))
    assert np.array_equal(now.observations[1:], before)
    assert now.rewards[1:].tolist() == [0, 0]


@pytest.mark.parametrize("actions", [[[0, 6]], [[-1, 0]], [[0]], [[0, 0], [0, 0]]])
def test_actions_that_do_not_exist_are_refused(actions: list[list[int]]) -> None:
    environment = make_environment(load_task("lbf-5x5-2p-1f"), 1)
    environment.reset([0])
    with pytest.raises(ConfigurationError, match=r"expected \[1, 2\] from 0 to 5"):
        environment.step(np.array(actions))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ConfigurationError, match="of episodes"):
        make_environment(load_task("matrix-climbing"), 1).reset([seed])


def test_only_compiled_worlds_can_be_asked_for_compiled() -> None:
    task = load_task("lbf-5x5-2p-1f").with_backend("compiled")
    assert isinstance(make_environment(task, 1), CompiledBatch)
    assert task.environment is not None
    spec = task.environment.model_copy(update={"adapter": "gymnasium"})
    with pytest.raises(ConfigurationError, match="no compiled form") as caught:
        compile_ahead(task.model_copy(update={"environment": spec}), lambda: None)
    assert all(name in str(caught.value) for name in COMPILED)


def test_counterfactual_play_stays_with_the_official_simulator() -> None:
    assert make_simulator(load_task("lbf-5x5-2p-1f")).__class__.__name__ == "LevelBasedForaging"


SCRIPT = """
import torch
from qredit.marl.adapters import compile_ahead
from qredit.marl.kernels.compiling import watch_compiling
from qredit.marl.recurrence import GRU
from qredit.task import load_task
told = []
compile_ahead(load_task("matrix-climbing"), lambda: told.append(1), recurrent=True)
with watch_compiling(lambda: told.append(2)):  # nothing is left
    GRU(3, 4)(torch.zeros(5, 2, 3))[0].sum().backward()
print(len(told))
"""


SHORT = """
import numpy as np
from qredit.marl.adapters import make_environment
from qredit.marl.kernels.compiling import watch_compiling
from qredit.task import load_task
told = []
with watch_compiling(lambda: told.append(1)):
    make_environment(load_task("matrix-climbing"), 1).reset([0])
    make_environment(load_task("matrix-climbing"), 1).step(np.zeros((1, 2), dtype=np.int64))
print(len(told))
"""


def compiled_in(environment: dict[str, str], script: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    """A new process that compiles a game; it prints how often it was told so."""
    usual = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=usual | environment, capture_output=True, text=True, check=True)


def test_kernels_are_compiled_once_and_kept_on_disk(tmp_path: Path) -> None:
    first, second = (compiled_in({"NUMBA_CACHE_DIR": str(tmp_path)}) for _ in range(2))
    assert first.stdout.strip() == "1"
    assert second.stdout.strip() == "0"
    assert list((tmp_path / "qredit" / "kernels").iterdir())


def test_without_a_folder_to_write_to_kernels_are_compiled_each_time_and_a_warning_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    blocked = compiled_in({"NUMBA_CACHE_DIR": str(tmp_path / "file")}, SHORT)
    assert blocked.stdout.strip() == "1"
    assert blocked.stderr.count("set NUMBA_CACHE_DIR") == 1
