"""Which of the package's environments can be had, and under which ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.lbf import LevelBasedForaging
from qredit.marl.environments.lbf_official import _ID, _unregistered, make_official

SMALL = "Foraging-5x5-2p-1f-v3"


def registered() -> dict[str, Any]:
    make_official(SMALL, {})
    return {name: spec for name, spec in gymnasium.registry.items() if re.match("Foraging-", name)}


def test_an_unregistered_size_is_constructed_as_the_package_registers_its_own() -> None:
    """Compared with all that are registered, except those in which agents could fill the board."""
    compared = 0
    for name, spec in registered().items():
        fit = _ID.fullmatch(name)
        assert fit is not None, name
        if int(fit["agents"]) < (int(fit["rows"]) - 2) ** 2:
            assert _unregistered(name, fit) == spec.kwargs, name
            compared += 1
    assert compared > 900


@pytest.mark.parametrize(
    ("name", "shape", "agents", "foods", "sight", "coop"),
    [
        ("Foraging-12x9-5p-4f-v3", (12, 9), 5, 4, 12, False),
        ("Foraging-2s-25x25-12p-9f-coop-v3", (25, 25), 12, 9, 2, True),
        ("Foraging-3s-8x8-2p-2f-v3", (8, 8), 2, 2, 3, False),
        ("Foraging-4x3-1p-1f-v3", (4, 3), 1, 1, 4, False),
    ],
)
def test_unregistered_sizes_can_be_played(
    name: str, shape: tuple[int, int], agents: int, foods: int, sight: int, coop: bool
) -> None:
    assert name not in registered()
    simulator = LevelBasedForaging(name)
    simulator.reset(0)
    official = simulator.official
    assert official.field_size == shape
    assert (len(official.players), official.max_num_food, official.sight) == (agents, foods, sight)
    assert official.force_coop == coop
    assert (simulator.n_agents, simulator.time_limit) == (agents, 50)
    far = max(shape) - 1
    assert {f.name: f.high for f in simulator.layout.fields}["agent_position"] == far


@pytest.mark.parametrize("name", ["Foraging-3x3-2p-1f-v3", "Foraging-2x9-2p-1f-v3", "Foraging-4x4-4p-1f-v3"])
def test_a_board_that_agents_could_fill_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no food would find room\. Take a larger board"):
        LevelBasedForaging(name)


@pytest.mark.parametrize(
    "name",
    [
        "Foraging-5x5-2p-1f-v99",
        "CartPole-v1",
        "",
        "foraging-5x5-2p-1f-v3",
        "Foraging-05x5-2p-1f-v3",
        "Foraging-99x99-v3",
        "Foraging-21x21-2p-1f-v3\n",
        "Foraging-٣x٣-2p-1f-v3",
    ],
)
def test_an_unknown_id_is_refused_with_suggestions(name: str) -> None:
    with pytest.raises(UnknownNameError, match="foraging environment") as caught:
        LevelBasedForaging(name)
    assert all(s.startswith("Foraging") for s in caught.value.suggestions)


def test_a_near_miss_is_told_the_right_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        LevelBasedForaging("Foraging-5x5-2p-1f-v2")
    assert any("5x5-2p-1f" in suggestion for suggestion in caught.value.suggestions)


@pytest.mark.parametrize("name", ["os:Foraging-5x5-2p-1f-v3", "antigravity:Foraging-5x5-2p-1f-v3"])
def test_an_id_cannot_make_gymnasium_import_a_module(name: str) -> None:
    with pytest.raises(UnknownNameError):
        LevelBasedForaging(name)


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # gymnasium's, about pictures
@pytest.mark.parametrize("arguments", [{"no_such_argument": 1}, {"grid_observation": True}])
@pytest.mark.parametrize("name", [SMALL, "Foraging-6x7-2p-1f-v3"])
def test_arguments_that_cannot_be_used_are_refused(name: str, arguments: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LevelBasedForaging(name, arguments)
    assert name in caught.value.what
    assert "arguments" in caught.value.remedy


@pytest.mark.parametrize("name", [SMALL, "Foraging-6x7-2p-1f-v3"])
def test_arguments_reach_the_simulator(name: str) -> None:
    simulator = LevelBasedForaging(name, {"max_episode_steps": 7, "sight": 1})
    assert simulator.time_limit == 7
    simulator.reset(0)
    results = [simulator.step([0, 0]) for _ in range(7)]
    assert [result.truncated for result in results] == [False] * 6 + [True]
    assert simulator.official.sight == 1


@pytest.mark.parametrize("name", [SMALL, "Foraging-7x4-3p-2f-v3", "Foraging-10x10-8p-4f-coop-v3"])
def test_the_valid_actions_are_those_that_the_package_finds(name: str) -> None:
    simulator = LevelBasedForaging(name)
    official, rng = simulator.official, np.random.default_rng(0)
    met: set[int] = set()
    for seed in range(20):
        simulator.reset(seed)
        for _ in range(15):
            ours = official._valid_actions
            type(official)._gen_valid_moves(official)
            assert official._valid_actions == ours
            met |= {len(actions) for actions in ours.values()}
            simulator.step(rng.integers(0, 6, simulator.n_agents).tolist())
    assert {3, 4, 5, 6} & met == met
    assert len(met) > 2
