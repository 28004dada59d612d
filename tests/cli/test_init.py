"""`init`, and what its file is good for as it stands; `tasks --schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from qredit.api import load_subject
from qredit.task import builtin_task_names, load_task
from qredit.task_schema import schema_text
from tests.agents.protocol_server import Request, protocol_server
from tests.cli import world
from tests.cli.conftest import Cli

SPREAD = ("--env", "pettingzoo", "--id", "mpe2.simple_spread_v3")
TOYS = "tests.marl.environments.own_toys"
EVERY = (
    (),
    ("--agents", "5"),
    ("--env", "none"),
    ("--env", "gymnasium"),
    ("--env", "pettingzoo", "--agents", "4"),
    SPREAD,
    (*SPREAD, "--agents", "3"),
    ("--env", "pettingzoo", "--id", f"{TOYS}:Relay", "--trust-env"),
    ("--env", "gymnasium", "--id", f"{TOYS}:QreditHermit-v1", "--trust-env"),
)


@pytest.fixture(autouse=True)
def hermit() -> Any:
    """A toy that gymnasium knows."""
    import gymnasium

    gymnasium.register("QreditHermit-v1", entry_point=f"{TOYS}:Hermit", max_episode_steps=6)
    yield
    del gymnasium.registry["QreditHermit-v1"]


def save_states(path: Path, size: int) -> None:
    """States of a user's own rollouts, as the comments of the file say."""
    states = np.random.default_rng(0).uniform(0, 9, (64, size))
    np.savez_compressed(path, states=states.astype(np.float32))


@pytest.mark.parametrize("options", EVERY, ids=lambda options: " ".join(options[1::2]))
def test_the_file_is_a_task_as_it_stands(cli: Cli, options: tuple[str, ...], tmp_path: Path) -> None:
    done = cli("init", "my-task", *options)
    assert done.code == 0, done.err
    task = load_task("my-task.yaml")
    assert task.name == "my-task"
    assert (tmp_path / ".qredit-task.schema.json").read_text() == schema_text()
    lines = (tmp_path / "my-task.yaml").read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=.qredit-task.schema.json"
    assert max(map(len, lines)) <= 120
    assert not any(line != line.rstrip() for line in lines)
    # Every entry that a model reads and nobody has written is marked.
    for entry in (task.title, task.description, task.goal, task.reward):
        assert entry.startswith("FILL IN: ")


@pytest.mark.parametrize("options", EVERY, ids=lambda options: " ".join(options[1::2]))
def test_the_lines_to_fill_in_are_named(cli: Cli, options: tuple[str, ...], tmp_path: Path) -> None:
    numbers = cli("init", "my-task", *options, "--json").json()["fill_in"]
    lines = (tmp_path / "my-task.yaml").read_text().splitlines()
    marked = [number for number, line in enumerate(lines, 1) if "FILL IN" in line]
    assert numbers == marked[1:]  # the first mention explains the mark
    assert "Lines with FILL IN are yours" in lines[marked[0] - 1]


def test_without_an_environment_states_suffice(cli: Cli, tmp_path: Path) -> None:
    cli("init", "my-task", "--agents", "3")
    text = (tmp_path / "my-task.yaml").read_text()
    assert 'np.savez_compressed("my-task.npz", states=' in text
    assert "S = 8 for the layout above" in text
    save_states(tmp_path / "my-task.npz", 8)
    subject = load_subject("my-task.yaml")
    assert [(field.name, field.shape) for field in subject.layout.fields] == [
        ("agent_position", (3, 2)),
        ("goal_position", (2,)),
    ]
    assert (subject.n_agents, subject.states.shape) == (3, (64, 8))


def plan(request: Request) -> str:
    """A model that writes a function of the example's fields."""
    if world.is_evaluator(request):
        return world.choice()
    return world.reply(
        "import torch\n\n\ndef credit(state):\n"
        '    away = state["agent_position"] - state["goal_position"].unsqueeze(1)\n'
        "    return 1 / (1 + away.abs().sum(-1))\n"
    )


@pytest.mark.usefixtures("real_jail")
def test_with_states_it_can_be_generated_for(cli: Cli, tmp_path: Path) -> None:
    """Not before its author has written what the models read."""
    cli("init", "my-task")
    save_states(tmp_path / "my-task.npz", 6)
    with protocol_server(plan) as server:
        command = ("generate", "my-task.yaml", "--model", "m", "--base-url", server.base_url, *world.SMALL, "--json")
        refused = cli(*command)
        assert refused.code == 2
        assert "still to be filled in: title, description, goal, reward, meaning of" in refused.error()["cause"]
        assert server.requests == []
        path = tmp_path / "my-task.yaml"
        path.write_text(path.read_text().replace("FILL IN", "Written"))
        done = cli(*command)
    assert done.code == 0, done.err
    assert json.loads((Path(done.json()["artifact"]) / "layout.json").read_text())[0]["name"] == "agent_position"


def test_an_environment_fills_in_what_it_knows(cli: Cli, tmp_path: Path) -> None:
    cli("init", "spread", *SPREAD)
    task = load_task("spread.yaml")
    assert (task.n_agents, len(task.actions), task.time_limit) == (3, 5, 25)
    layout = task.own_layout()
    assert layout is not None
    assert [(field.name, field.shape, field.agent_axes) for field in layout.fields] == [("observation", (3, 18), (0,))]
    assert layout.fields[0].high == np.inf
    assert task.environment is not None
    assert task.environment.id == "mpe2.simple_spread_v3"
    subject = load_subject("spread.yaml")  # sampled from rollouts, since its layout is that of the environment
    assert subject.states.shape == (256, 54)
    assert "time_limit: 25\n" in (tmp_path / "spread.yaml").read_text()  # known, so not marked


def test_the_state_of_an_environment_becomes_a_field_to_be_split(cli: Cli, tmp_path: Path) -> None:
    cli("init", "relay", "--env", "pettingzoo", "--id", f"{TOYS}:Relay", "--trust-env")
    layout = load_task("relay.yaml").own_layout()
    assert layout is not None
    assert [(field.name, field.shape) for field in layout.fields] == [("state", (8,))]
    assert "in the order of its 8 numbers" in (tmp_path / "relay.yaml").read_text()
    assert load_subject("relay.yaml").states.shape == (256, 8)


def test_names_of_actions_that_the_environment_tells(cli: Cli, tmp_path: Path) -> None:
    cli("init", "hermit", "--env", "gymnasium", "--id", "QreditHermit-v1")
    assert load_task("hermit.yaml").actions == ("LEFT", "STAY", "RIGHT")
    assert 'actions: ["LEFT", "STAY", "RIGHT"]\n' in (tmp_path / "hermit.yaml").read_text()
    assert load_subject("hermit.yaml").states.shape == (256, 2)


def test_what_comes_next_is_printed(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "my-task", "--folder", tmp_path / "new" / "folder", "--trust-env")
    path = tmp_path / "new" / "folder" / "my-task.yaml"
    assert path.is_file()
    assert f"generate {path} --dry-run --trust-env" in done.out
    assert f"check FUNCTION.py --task {path} --trust-env" in done.out
    data = cli("init", "another", "--json").json()
    assert data["path"] == "another.yaml"
    assert data["next"][0].endswith("generate another.yaml --dry-run")


def test_a_file_that_is_there_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "my-task.yaml"
    path.write_text("precious")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    for name in ("my-task", "my-task.yaml", "link"):
        done = cli("init", name, "--json")
        assert done.code == 2
        assert done.error()["cause"] == "it is there already"
    assert path.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / ".qredit-task.schema.json").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("My Task",), "lower-case letters, digits and hyphens only"),
        (("../escape",), "lower-case letters, digits and hyphens only"),
        (("",), "lower-case letters, digits and hyphens only"),
        (("my-task", "--id", "mpe2.simple_spread_v3"), "its interface is not named"),
        (("my-task", *SPREAD, "--agents", "4"), "environment `mpe2.simple_spread_v3` has 3"),
        (("my-task", "--env", "pettingzoo", "--id", "mpe2.no_such_v3"), "cannot be imported"),
        (("my-task", "--env", "gymnasium", "--id", "CartPol-v1"), "knows no environment of this id"),
        (("my-task", "--env", "pettingzoo", "--id", f"{TOYS}:Relay"), "nobody said that its code can be trusted"),
    ],
)
def test_what_cannot_be_done_writes_nothing(cli: Cli, arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = cli("init", *arguments, "--json")
    assert done.code == 2
    assert told in done.error()["cause"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = cli("init", "my-task", "--folder", tmp_path / "file")
    assert done.code == 2
    assert "cannot write" in done.err


# The form of a task file


def test_the_schema_is_printed_as_it_ships(cli: Cli) -> None:
    done = cli("tasks", "--schema")
    assert (done.code, done.out) == (0, schema_text())


def test_every_entry_of_the_file_is_in_the_schema(cli: Cli, tmp_path: Path) -> None:
    cli("init", "my-task", *SPREAD)
    entries = yaml.safe_load((tmp_path / "my-task.yaml").read_text())
    schema = json.loads((tmp_path / ".qredit-task.schema.json").read_text())
    assert set(schema["required"]) <= set(entries) <= set(schema["properties"])


def test_the_list_of_tasks_says_what_else_there_is(cli: Cli) -> None:
    done = cli("tasks")
    assert "lbf-ROWSxCOLUMNS-Np-Ff[-coop][-2s]" in done.err
    assert "qredit init" in done.err
    listed = [line["name"] for line in cli("tasks", "--json").lines()]
    assert listed == builtin_task_names()
