"""One episode of a trained team: numbers by hand, the figure's parts, the files, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from qredit import api
from qredit.api.lca.episode import Episode, play_episode
from qredit.api.lca.episode_figure import INDIVIDUAL, TEAM, episode_figure, save_episode
from qredit.errors import ConfigurationError, QreditError, RunFolderError
from qredit.files import write_json
from qredit.marl.adapters import layout_of
from qredit.marl.environments.rooms import PLANS, Rooms
from qredit.marl.environments.rooms.world import ACT, STAY
from qredit.marl.potentials import FitSettings, Potentials, Rankings, fit_potentials, load_potentials, save_potentials
from qredit.marl.settings import TrainSettings
from qredit.marl.streams import Stream, episode_seeds
from qredit.runs import Run
from qredit.task import load_task

TASK = "two-switch"
ID = re.compile(rb'(?<=["#])[a-z]+[0-9a-f]{10}(?=[")])')
"""An id in an SVG: a hash of exact places. Two of some hundred runs found other ids, it is not known why; a guess is
that the solver behind the layout leaves the last bit of a place open."""
TINY = TrainSettings(
    algorithm="ippo",
    rewards="potentials",
    total_steps=300,
    n_environments=4,
    hidden_size=8,
    evaluation_episodes=2,
    evaluation_interval=300,
    checkpoint_interval=300,
)


@dataclass(frozen=True)
class Finished:
    """What a user has after a training."""

    run: Path
    """Run folder."""
    potentials: Path
    """Artifact."""


def made_potentials(folder: Path, seed: int) -> Path:
    """Potentials that have learned next to nothing: weights are all that is needed here."""
    layout = layout_of(load_task(TASK))
    torch.manual_seed(seed)
    potentials, states = Potentials(layout, [[0, 1]], hidden_size=4), torch.rand(8, layout.size)
    pairs = Rankings(states, states.flip(0), torch.zeros(8, dtype=torch.int64), torch.ones(8))
    fit = fit_potentials(potentials, pairs, FitSettings(most_epochs=1))
    save_potentials(folder, potentials, task=TASK, fit=fit, origin={})
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """One training for all tests here; whoever changes it copies it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QREDIT_RUNS", str(folder / "runs"))
        potentials = made_potentials(folder / "potentials", seed=0)
        yield Finished(api.train(TASK, TINY, potentials=potentials).run.path, potentials)


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Run:
    """The training in a folder of the test's own."""
    return Run(Path(shutil.copytree(finished.run, tmp_path / "copied")))


def edited(run: Run, **changes: Any) -> Path:
    """A run whose recorded settings are others: `training={"rewards": "team"}`."""
    settings = run.record["settings"]
    for part, values in changes.items():
        settings[part] = {**settings[part], **values}
    write_json(run.path / "run.json", {**run.record, "settings": settings})
    return run.path


# Numbers


@pytest.mark.parametrize("sampled", [True, False])
def test_the_rewards_of_an_episode_by_hand(finished: Finished, sampled: bool) -> None:
    played = play_episode(finished.run, finished.potentials, seed=1, sampled=sampled)
    assert played.actions.shape == played.individual_rewards.shape == (played.steps, 2)
    assert played.states.shape[0] == len(played.worlds) == played.steps + 1
    with torch.no_grad():
        sigma = load_potentials(finished.potentials)(torch.from_numpy(played.states)).double().numpy()
    gains = sigma[1:] - sigma[:-1]
    still = played.actions == STAY
    assert np.allclose(played.individual_rewards, np.where(still, 0, gains), atol=1e-6)
    # With what stillness took away, the rewards of an episode telescope.
    kept, masked = played.individual_rewards.sum(axis=0), (gains * still).sum(axis=0)
    assert kept + masked == pytest.approx(sigma[-1] - sigma[0], abs=1e-4)
    assert sampled is False or still.any()


def test_the_episode_is_what_the_world_does(finished: Finished) -> None:
    """Played again by hand: the same seed, the same actions, the same worlds and team rewards."""
    played = play_episode(finished.run, finished.potentials, seed=3)
    rooms = Rooms(TASK)
    rooms.reset(episode_seeds(Stream.EVALUATION_EPISODES, 0, 3, 1)[0])
    assert rooms.save() == played.worlds[0]
    for t, actions in enumerate(played.actions.tolist(), 1):
        result = rooms.step(actions)
        assert rooms.save() == played.worlds[t]
        assert rooms.state().tolist() == played.states[t].tolist()
        assert played.team_rewards[t - 1] == pytest.approx(sum(result.agent_rewards), abs=1e-6)
        assert (result.terminated or result.truncated) == (t == played.steps)
    assert played.completed == result.terminated


def test_a_seed_stands_for_one_episode(finished: Finished) -> None:
    first, again, other = (play_episode(finished.run, finished.potentials, seed=seed) for seed in (5, 5, 6))
    assert first.to_json() == again.to_json()
    assert first.states.tolist() != other.states.tolist()
    best = play_episode(finished.run, finished.potentials, seed=5, sampled=False)
    assert first.worlds[0] == best.worlds[0]
    assert first.actions.tolist() != best.actions.tolist()


@pytest.mark.parametrize(("changes", "gamma"), [({"still": "never"}, 1.0), ({"potential_gamma": 0.5}, 0.5)])
def test_rewards_are_those_of_the_training(
    finished: Finished, copied: Run, changes: dict[str, Any], gamma: float
) -> None:
    """Its discount and who counts as still; the checkpoint is given the same settings."""
    path = edited(copied, training=changes)
    notes = json.loads((path / "checkpoint" / "checkpoint.json").read_text())
    notes["identity"]["training"] |= changes
    write_json(path / "checkpoint" / "checkpoint.json", notes)
    played = play_episode(path, finished.potentials)
    with torch.no_grad():
        sigma = load_potentials(finished.potentials)(torch.from_numpy(played.states)).double().numpy()
    gains = gamma * sigma[1:] - sigma[:-1]
    if gamma < 1:
        gains[played.actions == STAY] = 0
    assert np.allclose(played.individual_rewards, gains, atol=1e-6)


def test_trainings_of_comparisons_record_no_texts(finished: Finished, copied: Run) -> None:
    settings = copied.record["settings"]
    settings["task"] = {
        k: v for k, v in settings["task"].items() if k not in {"title", "description", "goal", "reward"}
    }
    copied.update(settings=settings)
    ours, theirs = (play_episode(path, finished.potentials).to_json() for path in (copied.path, finished.run))
    assert {**ours, "run": ""} == {**theirs, "run": ""}


# Which steps are pictured


def made(individual: list[tuple[float, float]], events: dict[int, tuple[bool, ...]]) -> Episode:
    """An episode of given rewards in which switches go on at given steps; nobody moves."""
    rooms = Rooms(TASK)
    rooms.reset(0)
    worlds = [rooms.save()]
    for t in range(1, len(individual) + 1):
        worlds.append(replace(worlds[-1], done=events.get(t, worlds[-1].done), steps=t))
    steps = len(individual)
    return Episode(
        task=TASK,
        run="by-hand",
        algorithm="ippo",
        seed=0,
        sampled=True,
        plan=PLANS[TASK],
        action_names=("STAY", "NORTH", "SOUTH", "WEST", "EAST", "ACT"),
        worlds=tuple(worlds),
        states=np.zeros((steps + 1, 10), dtype=np.float32),
        actions=np.full((steps, 2), ACT),
        team_rewards=np.array([2.0 * (t in events) - 0.04 for t in range(1, steps + 1)]),
        individual_rewards=np.array(individual),
        completed=False,
    )


def test_landmarks_come_first_and_then_large_rewards() -> None:
    rewards = [(0.0, 0.0)] * 30
    rewards[11], rewards[4], rewards[20] = (0.0, -3.0), (2.0, 0.0), (1.0, 1.0)
    episode = made(rewards, {7: (True, False), 25: (True, True)})
    assert episode.landmarks == [7, 25]
    # Steps 12, 5 and 21 have rewards; of the others, the earliest.
    assert episode.pictured == [0, 1, 2, 3, 5, 7, 12, 21, 25, 30]
    assert made([(1, 2), (3, 4)], {}).pictured == [0, 1, 2]


# Figure and files


def axes_of(episode: Episode) -> tuple[list[Axes], list[Axes]]:
    """Places of pictures, and panels."""
    axes = episode_figure(episode).get_axes()
    return axes[:-2], axes[-2:]


def test_the_figure_shows_pictures_above_both_rewards() -> None:
    episode = made([(0.5, -0.25)] * 6 + [(1.0, 2.0)] * 6, {4: (True, False)})
    pictures, panels = axes_of(episode)
    titles = [axes.get_title() for axes in pictures if axes.images]
    assert titles == [f"t={t}" for t in episode.pictured]
    assert [axes.get_title(loc="left") for axes in panels] == ["green agent", "orange agent"]
    for agent, axes in enumerate(panels):
        lines = {str(line.get_label()): line for line in axes.lines}
        own, team = lines["individual reward"], lines["team reward (sum over agents)"]
        assert np.asarray(own.get_ydata()).tolist() == episode.individual_rewards[:, agent].tolist()
        assert np.asarray(own.get_xdata()).tolist() == list(range(1, 13))
        assert np.asarray(team.get_ydata()).tolist() == episode.team_rewards.tolist()
        assert (to_hex(own.get_color()), to_hex(team.get_color())) == (INDIVIDUAL.lower(), TEAM.lower())
        upright = [np.asarray(line.get_xdata()).tolist() for line in axes.lines if line not in (own, team)]
        assert upright == [[t, t] for t in episode.pictured]


def test_nothing_is_cut_off_or_covered() -> None:
    figure = episode_figure(made([(0.5, -0.25)] * 50, {4: (True, False), 9: (True, True)}))
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    within = [child for axes in figure.get_axes() for child in axes.get_children()]
    texts = [text for text in (*within, *figure.texts) if isinstance(text, Text) and text.get_text()]
    labels = [label for axes in figure.get_axes() for label in (axes.xaxis.label, axes.yaxis.label) if label.get_text()]
    assert (len(texts), len(labels)) == (13, 3)
    boxes = [part.get_window_extent() for part in (*texts, *labels, figure.legends[0])]
    assert all(min(box.x0, box.y0) >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_three_files_are_written_the_same_each_time(finished: Finished, tmp_path: Path) -> None:
    played = play_episode(finished.run, finished.potentials, seed=2)
    first, again = (save_episode(played, tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == [f"two-switch-sampled-2.{ending}" for ending in ("png", "svg", "json")]
    for one, other in zip(first, again, strict=True):
        lines, others = one.read_bytes().split(b"\n"), other.read_bytes().split(b"\n")
        assert [(a, b) for a, b in zip(lines, others, strict=True) if ID.sub(b"#", a) != ID.sub(b"#", b)] == []
    png, svg, numbers = first
    with Image.open(png) as picture:
        picture.load()
        assert (picture.format, picture.mode) == ("PNG", "RGBA")
        assert picture.size[0] == 1200
    assert ET.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    data = json.loads(numbers.read_text())
    assert data == json.loads(json.dumps(played.to_json()))
    assert data["actions"][0] == [played.action_names[k] for k in played.actions[0]]
    assert data["team_return"] == pytest.approx(sum(data["team_rewards"]), abs=1e-4)


# What is refused


def test_a_training_that_is_not_finished_is_refused(finished: Finished, copied: Run) -> None:
    copied.update(status="interrupted")
    with pytest.raises(ConfigurationError, match=r"copied`: its status is `interrupted`.*--resume"):
        play_episode(copied.path, finished.potentials)


def test_other_worlds_are_refused_before_their_code_is_loaded(finished: Finished, copied: Run) -> None:
    environment = {"adapter": "pettingzoo", "id": "no.such.module:make"}
    with pytest.raises(ConfigurationError, match=r"`two-switch` is no plain world of rooms.*`victim-rubble`"):
        play_episode(edited(copied, task={"environment": environment}), finished.potentials)


def test_other_rewards_are_refused(finished: Finished, copied: Run) -> None:
    with pytest.raises(ConfigurationError, match=r"rewards of the kind `team`.*--rewards potentials"):
        play_episode(edited(copied, training={"rewards": "team"}), finished.potentials)


def test_other_potentials_are_refused(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"had others.*the artifact that it trained with"):
        play_episode(finished.run, made_potentials(tmp_path / "other", seed=1))


def test_a_training_without_its_checkpoint_is_refused(finished: Finished, copied: Run) -> None:
    shutil.rmtree(copied.path / "checkpoint")
    with pytest.raises(ConfigurationError, match="it has no checkpoint"):
        play_episode(copied.path, finished.potentials)


@pytest.mark.parametrize("settings", [None, {}, {"task": {}, "training": {}}, {"task": [1], "training": {}}])
def test_a_damaged_record_is_told(finished: Finished, copied: Run, settings: object) -> None:
    copied.update(settings=settings)
    with pytest.raises(RunFolderError, match="its record is damaged or of another version"):
        play_episode(copied.path, finished.potentials)


def test_settings_that_are_not_the_checkpoints_are_told(finished: Finished, copied: Run) -> None:
    with pytest.raises(QreditError, match="hidden_size"):
        play_episode(edited(copied, training={"hidden_size": 16}), finished.potentials)
