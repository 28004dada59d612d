"""Potentials in a training: as rewards, mixed with the team's, and as a credit function's bias."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from qredit.api import artifacts
from qredit.errors import ArtifactError, ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl import layout_of
from qredit.marl.algorithms import Problem, algorithm_of
from qredit.marl.algorithms.ippo import IPPO
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import parse_contender
from qredit.marl.mixers import QLLMMixer
from qredit.marl.potentials import FitSettings, Potentials, Rankings, fit_potentials, save_potentials
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings
from qredit.marl.training import train
from qredit.task import load_task
from tests.marl.conftest import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from qredit.runs import Run
    from tests.marl.conftest import Graphs

N, A, T = 2, 3, 2
LAYOUT = StateLayout((StateField("position", (N,), "cells", 0, 1, "Of each agent.", ("agents",), (0,)),))
TASK = load_task("lbf-5x5-2p-1f")


class Sizes:
    """Nothing but the sizes of an environment."""

    layout = LAYOUT
    n_agents, n_actions, observation_size, time_limit = N, A, 1, T


class OwnPosition(Potentials):
    """`sigma^i` is ten times the agent's own position."""

    def forward(self, states: Tensor) -> Tensor:
        """`[..., N]` of `states [..., S]`."""
        return 10 * states


def problem(**changes: Any) -> Problem:
    settings = TrainSettings(algorithm="ippo", hidden_size=8, rewards="potentials", **changes)
    return Problem(Sizes(), settings, torch.device("cpu"), None, OwnPosition(LAYOUT, [[0, 1]]), noop=0)


def episode() -> Episodes:
    """One step in which agent 0 goes from 0.5 to 0.75 and agent 1 is carried from 1 to 0, then one that is padding."""
    return Episodes(
        observations=torch.zeros(1, T + 1, N, 1),
        states=torch.tensor([[[0.5, 1.0], [0.75, 0.0], [9.0, 9.0]]]),
        available_actions=torch.ones(1, T + 1, N, A, dtype=torch.bool),
        actions=torch.tensor([[[1, 0], [2, 2]]]),
        rewards=torch.tensor([[4.0, 99.0]]),
        agent_rewards=torch.tensor([[[1.0, 3.0], [0.0, 0.0]]]),
        terminated=torch.zeros(1, T, dtype=torch.bool),
        filled=torch.tensor([[True, False]]),
        credit=torch.zeros(1, T + 1, 0),
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [2.5, 0.0]),  # agent 1 chose to do nothing
        ({"still": "never"}, [2.5, -10.0]),
        ({"still": "unchanged"}, [2.5, -10.0]),
        ({"still": "never", "potential_gamma": 0.5}, [-1.25, -10.0]),
        ({"team_share": 0.25}, [0.75 * 2.5 + 1.0, 1.0]),
        ({"team_share": 1.0}, [4.0, 4.0]),
    ],
)
def test_rewards_by_hand(changes: dict[str, Any], expected: list[float]) -> None:
    found = IPPO(problem(**changes))._agent_rewards(episode())
    assert found[0, 0].tolist() == pytest.approx(expected)
    assert found[0, 1].tolist() == pytest.approx([99.0 * changes.get("team_share", 0)] * N)


def test_who_is_where_it_was_is_still() -> None:
    unmoved = episode()
    unmoved.states[0, 1] = torch.tensor([0.5, 0.0])
    found = IPPO(problem(still="unchanged"))._agent_rewards(unmoved)
    assert found[0, 0].tolist() == pytest.approx([0.0, -10.0])


def test_a_share_of_the_teams_reward_goes_with_the_agents_own() -> None:
    settings = TrainSettings(algorithm="ippo", hidden_size=8, rewards="individual", team_share=0.5)
    found = IPPO(Problem(Sizes(), settings, torch.device("cpu"), None))._agent_rewards(episode())
    assert found[0, 0].tolist() == pytest.approx([(2 * 1 + 4) / 2, (2 * 3 + 4) / 2])


def test_the_mean_potential_is_a_bias(graphs: type[Graphs]) -> None:
    settings = TrainSettings(algorithm="qllm", bias="potentials", potential_units=4.0)
    potentials = OwnPosition(LAYOUT, [[0, 1]])
    potentials.measure(torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]))  # means over the agents: 5, 10, 5
    level, deviation = 20 / 3, (50 / 9) ** 0.5
    assert (potentials.level.item(), potentials.deviation.item()) == pytest.approx((level, deviation))
    mixer = QLLMMixer(graphs(N, N).ones(), LAYOUT, settings, potentials=potentials)
    values, states = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.5, 1.0]]])
    assert mixer(values, states).item() == pytest.approx(1 + 2 + 4 * (7.5 - level) / deviation)
    mixer.prepare(environment_steps=0, reward_deviation=2.0)
    assert mixer(values, states).item() == pytest.approx(1 + 2 + 4 * (7.5 - level) / deviation / 2)
    assert not any(parameter.requires_grad for parameter in mixer.parameters())


def saved(folder: Path, layout: StateLayout, n_agents: int = 2) -> Path:
    torch.manual_seed(0)
    potentials = Potentials(layout, [list(range(n_agents))], hidden_size=4)
    states = torch.rand(8, layout.size)
    pairs = Rankings(states, states.flip(0), torch.zeros(8, dtype=torch.int64), torch.ones(8))
    fit = fit_potentials(potentials, pairs, FitSettings(most_epochs=1))
    save_potentials(folder, potentials, task=TASK.name, fit=fit, origin={})
    return folder


@pytest.mark.parametrize("algorithm", ["ippo", "mappo", "coma"])
def test_actor_critics_train_with_potentials(algorithm: str, tmp_path: Path, make_run: Callable[[], Run]) -> None:
    path = saved(tmp_path / "potentials", layout_of(TASK))
    settings = dataclasses.replace(SMALL, algorithm=algorithm, rewards="potentials", total_steps=400)
    run = make_run()
    result = train(TASK, settings, run, potentials_path=path)
    assert result.environment_steps >= 400


@pytest.mark.usefixtures("jobs_here")
def test_a_comparison_gives_each_what_it_needs(tmp_path: Path, make_run: Callable[[], Run]) -> None:
    path = saved(tmp_path / "potentials", layout_of(TASK))
    names = ["ippo", "ippo+rewards=potentials", "ippo+rewards=potentials+team_share=0.5"]
    settings = dataclasses.replace(SMALL, total_steps=200)
    contenders = [parse_contender(name, settings, potentials=path) for name in names]
    assert [contender.potentials_path for contender in contenders] == [None, path, path]
    run = make_run()
    compare(TASK, contenders, [0], run, jobs=1)
    from qredit.runs import Run as Folder

    hashes = [Folder(run.path / f"{name}-seed0").record["settings"]["potentials_sha256"] for name in names]
    assert hashes[0] is None
    assert hashes[1] == hashes[2] is not None


def test_what_is_missing_or_too_much_is_told(tmp_path: Path, make_run: Callable[[], Run]) -> None:
    with pytest.raises(ConfigurationError, match="Give --potentials ARTIFACT"):
        parse_contender("ippo+rewards=potentials", SMALL)
    with pytest.raises(ConfigurationError, match="it needs an artifact of the kind `potentials`"):
        algorithm_of(dataclasses.replace(SMALL, algorithm="ippo", rewards="potentials"), has_credit=False)
    with pytest.raises(ConfigurationError, match="it does not use potentials"):
        algorithm_of(dataclasses.replace(SMALL, algorithm="vdn"), has_credit=False, has_potentials=True)
    with pytest.raises(ConfigurationError, match="it learns from"):
        algorithm_of(dataclasses.replace(SMALL, algorithm="vdn", rewards="potentials"), has_credit=False)
    other = saved(tmp_path / "other", LAYOUT)
    with pytest.raises(ArtifactError, match="made for another state"):
        artifacts.find_potentials(other, TASK)
    settings = dataclasses.replace(SMALL, algorithm="ippo", rewards="potentials")
    with pytest.raises(ConfigurationError, match="made for 2 numbers in the state"):
        train(TASK, settings, make_run(), potentials_path=other)


def test_a_task_knows_what_does_nothing() -> None:
    assert TASK.noop_number == 0
    assert load_task("pistonball").noop_number == 1
    assert load_task("matrix-climbing").noop_number is None
