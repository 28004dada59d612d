"""Every algorithm on three sorts of worlds, every task with one algorithm, and worlds that misbehave."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from qredit.errors import ConfigurationError, RunFolderError
from qredit.marl import ALGORITHMS, make_environment, train
from qredit.marl.algorithms import Problem, algorithm_named
from qredit.marl.algorithms.vdn import VDN
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.simulator import StepResult
from qredit.marl.potentials import FitSettings, Potentials, Rankings, fit_potentials, save_potentials
from qredit.marl.settings import TrainSettings
from qredit.task import Task, builtin_task_names, load_task

if TYPE_CHECKING:
    from tests.marl.conftest import Graphs, MakeRun, SaveGraph

TINY = TrainSettings(
    total_steps=60,
    n_environments=2,
    buffer_episodes=4,
    batch_episodes=2,
    updates_per_collection=1,
    hidden_size=8,
    mixing_size=4,
    hypernet_size=4,
    evaluation_interval=60,
    evaluation_episodes=2,
    checkpoint_interval=1000,
)
WORLDS = ("matrix-climbing", "mpe-adversary", "lbf-8x8-2p-2f-coop-2s")


def credit_for(task: Task, settings: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph) -> Path | None:
    """Ones in the form that the algorithm takes."""
    forms = algorithm_named(settings.algorithm).credit_forms(settings)
    if not forms:
        return None
    layout = make_environment(task, 1).layout
    shares = forms == ("shares",)
    size = 2 * layout.size + task.n_agents if shares else layout.size
    return save_graph(graphs(task.n_agents, size).ones(form="shares" if shares else "weights"))


def save_untrained(folder: Path, task: Task) -> Path:
    """Potentials that have learned next to nothing."""
    layout = make_environment(task, 1).layout
    potentials = Potentials(layout, [list(range(task.n_agents))], hidden_size=4)
    states = torch.zeros(4, layout.size)
    pairs = Rankings(states, states, torch.zeros(4, dtype=torch.int64), torch.full((4,), 0.5))
    fit = fit_potentials(potentials, pairs, FitSettings(most_epochs=1))
    save_potentials(folder, potentials, task=task.name, fit=fit, origin={})
    return folder


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_in_every_sort_of_world(
    algorithm: str, world: str, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    task, kind = load_task(world), algorithm_named(algorithm)
    for rewards in kind.rewards:
        settings = TrainSettings(**{**vars(TINY), "algorithm": algorithm, "rewards": rewards})
        mixer, run = credit_for(task, settings, graphs, save_graph), make_run()
        potentials = save_untrained(run.path / "given", task) if kind.takes_potentials(settings) else None
        result = train(task, settings, run, mixer_path=mixer, potentials_path=potentials)
        assert math.isfinite(result.final_return)
        assert (result.final_sampled_return is not None) == kind.stochastic


def test_qmix_trains_on_observations_and_refuses_other_inputs(make_run: MakeRun) -> None:
    task, settings = load_task("lbf-8x8-2p-2f-coop-2s"), dataclasses.replace(TINY, algorithm="qmix")
    by_observations = dataclasses.replace(settings, own={"hypernet_input": "observations"})
    result = train(task, by_observations, make_run())
    assert math.isfinite(result.final_return)
    with pytest.raises(ConfigurationError, match=r"hypernet_input.*`nothing`"):
        train(task, dataclasses.replace(settings, own={"hypernet_input": "nothing"}), make_run())


@pytest.mark.parametrize("name", ["lbf-5x5-2p-1f", "rware-tiny-2ag", "matrix-climbing"])
def test_a_training_is_the_same_with_the_official_package(name: str, make_run: MakeRun) -> None:
    """To the last digit of the weights, in the worlds that are compiled to the last bit."""
    task, settings = load_task(name), dataclasses.replace(TINY, algorithm="qmix", n_environments=1, batch_episodes=1)
    hashes = set()
    for played in (task.with_backend("compiled"), task.with_backend("official")):
        run = make_run()
        train(played, settings, run)
        (tensors,) = (run.path / "checkpoint").glob("tensors-*")
        hashes.add(tensors.name)  # by its content
    assert len(hashes) == 1


@pytest.mark.parametrize("name", builtin_task_names())
def test_every_task_trains(name: str, make_run: MakeRun) -> None:
    """The warehouses' episodes are long: one environment, one episode."""
    settings = dataclasses.replace(TINY, n_environments=1, batch_episodes=1, evaluation_episodes=1, total_steps=2)
    run = make_run()
    assert math.isfinite(train(load_task(name), settings, run).final_return)
    saved = json.loads((run.path / "checkpoint" / "checkpoint.json").read_text())
    assert saved["counters"]["updates"] == 1


@pytest.mark.parametrize(("task", "capacity"), [("rware-tiny-2ag", 500), ("lbf-5x5-2p-1f", 5000)])
def test_long_episodes_do_not_fill_the_memory(task: str, capacity: int) -> None:
    environment = make_environment(load_task(task), 1)
    made = VDN(Problem(environment, TrainSettings(), torch.device("cpu"), None))
    assert made.replay.capacity == capacity


# Bad input


def test_a_reward_that_is_no_number_stops_the_training_and_keeps_the_checkpoint(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, run = load_task("lbf-5x5-2p-1f").with_backend("official"), make_run()
    settings = dataclasses.replace(TINY, total_steps=2000, checkpoint_interval=100)
    honest = LevelBasedForaging.step
    played = 0

    def spoilt(self: LevelBasedForaging, actions: Sequence[int]) -> StepResult:
        nonlocal played
        played += 1
        result = honest(self, actions)
        return result if played < 1000 else StepResult((math.nan, 0.0), result.terminated, result.truncated)

    monkeypatch.setattr(LevelBasedForaging, "step", spoilt)
    with pytest.raises(ConfigurationError, match=r"the reward of the environment: it is \[nan, 0.0\] at step"):
        train(task, settings, run)
    monkeypatch.setattr(LevelBasedForaging, "step", honest)
    saved = json.loads((run.path / "checkpoint" / "checkpoint.json").read_text())["counters"]["environment_steps"]
    assert saved >= 100
    assert train(task, settings, run, resume=True).environment_steps >= 2000


def test_a_checkpoint_of_another_algorithm_is_refused(make_run: MakeRun) -> None:
    task, run = load_task("matrix-climbing"), make_run()
    train(task, TINY, run)
    with pytest.raises(RunFolderError, match="made with other settings: `algorithm`"):
        train(task, dataclasses.replace(TINY, algorithm="qmix"), run, resume=True)
    with pytest.raises(RunFolderError, match="`own`"):
        train(task, dataclasses.replace(TINY, algorithm="ippo", own={"epochs": 2}), run, resume=True)
