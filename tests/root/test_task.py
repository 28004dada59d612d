"""Task files: a user's own, a stranger's, and the ones that ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import TaskFileError, UnknownNameError
from qredit.task import Task, builtin_task_names, load_task, parse_task

OWN: dict[str, Any] = {
    "name": "my-task",
    "title": "A task of my own",
    "description": "Two robots on a line.",
    "goal": "Meet.",
    "reward": "1 when they meet.",
    "n_agents": 2,
    "actions": ["left", "right"],
    "time_limit": 20,
    "layout": [
        {"name": "position", "shape": [2], "unit": "cells", "low": 0, "high": 9, "meaning": "Where each robot is."}
    ],
    "states": "my-states.npz",
}
WriteTask = Callable[..., Path]


@pytest.fixture
def write_task(tmp_path: Path) -> WriteTask:
    """Write `OWN` with changed entries (`...` removes one) and give its path."""

    def write(**changes: Any) -> Path:
        data = {key: value for key, value in {**OWN, **changes}.items() if value is not ...}
        path = tmp_path / "task.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


def test_a_users_own_task(write_task: WriteTask) -> None:
    task = load_task(str(write_task()))
    layout = task.own_layout()
    assert layout is not None
    assert (task.name, task.n_agents, task.actions, layout.size) == ("my-task", 2, ("left", "right"), 2)


def test_an_environment_supplies_the_layout(write_task: WriteTask) -> None:
    spec = {"adapter": "lbf", "id": "Foraging-5x5-2p-1f-v3", "arguments": {"sight": 5, "grid": True}}
    task = parse_task(write_task(environment=spec, layout=..., states=...))
    assert task.own_layout() is None
    assert task.environment is not None
    assert task.environment.arguments == {"sight": 5, "grid": True}


ENVIRONMENT = {"adapter": "lbf", "id": "Foraging-5x5-2p-1f-v3"}
FIELD = OWN["layout"][0]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"goal": ...}, "goal: Field required"),
        ({"n_agents": 0}, "n_agents: "),
        ({"n_agents": "many"}, "n_agents: "),
        ({"name": "My Task"}, "name: "),
        ({"name": "../x"}, "name: "),
        ({"actions": []}, "actions: "),
        ({"goals": "a typo"}, "goals: Extra inputs"),
        ({"states": ...}, "give both `layout` and `states`"),
        ({"environment": ENVIRONMENT}, "remove `layout` and `states`"),
        ({"environment": {**ENVIRONMENT, "arguments": {"a": [1]}}}, "environment.arguments.a"),
        ({"layout": [{**FIELD, "shape": ["two"]}]}, "layout.0.shape.0"),
        ({"layout": [{**FIELD, "name": "Position"}]}, "lower-case identifier"),
        ({"layout": [FIELD, FIELD]}, "`position` stands there twice"),
        ({"layout": [{**FIELD, "low": 10}]}, "must not be above"),
        ({"layout": []}, "no fields"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], cause: str, write_task: WriteTask) -> None:
    with pytest.raises(TaskFileError) as caught:
        parse_task(write_task(**changes))
    assert cause in caught.value.cause
    assert "task.yaml" in caught.value.what


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just text",
        b"- a\n- b",
        b"a: [",
        b"a: b: c",
        b"\xff\xfe\x00",
        b"a: \x00",
        b"name: 2001-99-99",
        b"n_agents: " + b"9" * 5000,
        b"[" * 5000,
        b"a: !!python/object/apply:os.system ['exit 1']",
        b"a: !!python/name:os.system",
    ],
    ids=range(12),
)
def test_no_yaml_or_no_task_is_a_task_file_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(content)
    with pytest.raises(TaskFileError, match=r"task\.yaml"):
        load_task(str(path))


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    path = tmp_path / "task.yaml"
    path.write_text("\n".join(lines) + "\nactions: *a29\n")
    with pytest.raises(TaskFileError) as caught:
        load_task(str(path))
    assert len(str(caught.value)) < 2000


def test_a_missing_task_file(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"No such file.*Give the path of a readable regular file"):
        load_task(str(tmp_path / "none.yaml"))


def test_a_task_file_that_is_a_link_is_refused(write_task: WriteTask, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(write_task())
    with pytest.raises(TaskFileError, match="symbolic link"):
        load_task(str(link))


def test_an_unknown_task_suggests_the_nearest() -> None:
    name = builtin_task_names()[0]
    with pytest.raises(UnknownNameError) as caught:
        load_task(name[:-1])
    assert caught.value.suggestions[0] == name


@pytest.mark.parametrize("name", builtin_task_names())
def test_tasks_that_ship_are_named_like_their_file(name: str) -> None:
    assert load_task(name).name == name


def test_there_are_tasks_that_ship() -> None:
    assert builtin_task_names()


@given(st.dictionaries(st.sampled_from(sorted(Task.model_fields)), st.text() | st.integers() | st.none(), max_size=5))
def test_any_entries_end_in_a_task_or_a_task_file_error(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump({**OWN, **changes}))
    try:
        task = parse_task(path)
    except TaskFileError:
        return
    assert task.n_agents >= 1
