"""Task files: a user's own, a stranger's, and the ones that ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from qredit.errors import TaskFileError, UnknownNameError
from qredit.task import Task, builtin_task_names, is_task_file, load_task, parse_task, read_task

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


LBF = {"adapter": "lbf", "id": "Foraging-5x5-2p-1f-v3"}
OWN_ENVIRONMENT = {"adapter": "pettingzoo", "id": "mpe2.simple_spread_v3"}
FIELD = OWN["layout"][0]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"goal": ...}, "missing: `goal`"),
        ({"n_agents": 0}, "`n_agents` is `0`: "),
        ({"n_agents": "many"}, "`n_agents` is `many`: "),
        ({"name": "My Task"}, "`name` is `My Task`: "),
        ({"name": "../x"}, "`name` is `../x`: "),
        ({"name": "x\n"}, "`name`: "),
        ({"actions": []}, "`actions`: "),
        ({"goals": "a typo"}, "there is no entry `goals`; did you mean `goal`?"),
        ({"zzz": 1}, "there is no entry `zzz`; there are `name`, `title`"),
        ({"igm": "ignore"}, "`igm` is `ignore`: Input should be 'enforce' or 'relax'"),
        ({"states": ...}, "give both `layout` and `states`"),
        ({"layout": ...}, "give both `layout` and `states`"),
        ({"environment": LBF}, "already supplies the layout: remove `layout`"),
        ({"environment": LBF, "layout": ...}, "already supplies the states: remove `states`"),
        ({"environment": OWN_ENVIRONMENT, "layout": ...}, "sample states need a `layout`"),
        (
            {"environment": {**LBF, "arguments": {"a": [1]}}, "layout": ..., "states": ...},
            "`environment.arguments.a`: it must be true, false, a number or a text",
        ),
        (
            {"environment": {**LBF, "ids": "x"}, "layout": ..., "states": ...},
            "there is no entry `environment.ids`; did you mean `id`?",
        ),
        ({"layout": [{**FIELD, "units": "m"}]}, "there is no entry `layout.0.units`; did you mean `unit`?"),
        ({"layout": [{**FIELD, "shape": ["two"]}]}, "`layout.0.shape.0` is `two`: "),
        ({"layout": [{**FIELD, "name": "Position"}]}, "lower-case identifier"),
        ({"layout": [FIELD, FIELD]}, "`position` stands there twice"),
        ({"layout": [{**FIELD, "low": 10}]}, "must not be above"),
        ({"layout": [{**FIELD, "agent_axes": [1]}]}, "has no such axes"),
        ({"layout": [{**FIELD, "agent_axes": [0]}], "n_agents": 3}, "axis 0 of `position` has 2 entries, there are 3"),
        ({"layout": []}, "no fields"),
        ({"states": "../states.npz"}, "`../states.npz` is no plain file name"),
        ({"states": ""}, "is no plain file name"),
        ({"states": ".."}, "is no plain file name"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], cause: str, write_task: WriteTask) -> None:
    with pytest.raises(TaskFileError) as caught:
        parse_task(write_task(**changes))
    assert cause in caught.value.cause
    assert "task.yaml" in caught.value.what
    assert "qredit tasks --schema" in caught.value.remedy


def test_an_environment_of_ones_own_may_have_a_layout_of_its_own(write_task: WriteTask) -> None:
    task = parse_task(write_task(environment=OWN_ENVIRONMENT, states=...))
    layout = task.own_layout()
    assert layout is not None
    assert [field.name for field in layout.fields] == ["position"]
    assert parse_task(write_task(environment=OWN_ENVIRONMENT)).states == "my-states.npz"
    assert parse_task(write_task(environment=OWN_ENVIRONMENT, layout=..., states=...)).own_layout() is None


def test_a_layout_is_about_the_agents_without_passengers(write_task: WriteTask) -> None:
    layout = [{**FIELD, "agent_axes": [0]}]
    spec = {**OWN_ENVIRONMENT, "inert_agents": 3}
    assert parse_task(write_task(environment=spec, layout=layout, n_agents=5, states=...)).n_agents == 5
    with pytest.raises(TaskFileError, match="there are 1 agents"):
        parse_task(write_task(environment=spec, layout=layout, n_agents=4, states=...))


def test_contradictions_are_found_without_a_file_too() -> None:
    with pytest.raises(ValidationError, match="`position` stands there twice"):
        Task.model_validate({**OWN, "layout": [FIELD, FIELD]})


def test_a_task_tells_where_its_entries_stand(write_task: WriteTask) -> None:
    path = write_task()
    text = path.read_text().splitlines()
    task = parse_task(path)
    assert task.where("n_agents") == f"`{path}`, line {text.index('n_agents: 2') + 1}"
    assert task.where("optimum", "time_limit") == f"`{path}`, line {text.index('time_limit: 20') + 1}"
    assert task.where("layout.0") == f"`{path}`, line {text.index('layout:') + 2}"
    assert task.where("optimum") == "task `my-task`"
    assert load_task("matrix-penalty-7").where("n_agents") == "task `matrix-penalty-7`"


def test_where_a_task_was_read_from_does_not_tell_it_apart(write_task: WriteTask) -> None:
    task = parse_task(write_task())
    assert task == Task.model_validate(OWN)
    assert Task.model_validate(task.model_dump(mode="json")) == task


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
        b"a: &a [*a]",
        b"actions: &a [*a]",
        b"name: x\n---\nname: y",
    ],
    ids=range(15),
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


def test_an_unknown_task_suggests_the_nearest_and_the_forms_of_its_families() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_task("matrix-climbin")
    assert caught.value.suggestions[0] == "matrix-climbing"
    assert caught.value.remedy.endswith("Names of this form exist too: `matrix-penalty-K`.")
    with pytest.raises(UnknownNameError) as caught:
        load_task("football")
    assert "`lbf-ROWSxCOLUMNS-Np-Ff[-coop][-2s]`, " in caught.value.remedy
    assert "`matrix-penalty-K`" in caught.value.remedy


def test_names_of_a_family_that_nobody_listed_are_tasks() -> None:
    assert "lbf-12x11-5p-4f" not in builtin_task_names()
    source = read_task("lbf-12x11-5p-4f")
    assert (source.task.name, source.task.n_agents, source.folder) == ("lbf-12x11-5p-4f", 5, None)


def test_members_of_families_and_files_are_listed_once() -> None:
    names = builtin_task_names()
    assert names == sorted(set(names))
    assert {"lbf-5x5-2p-1f", "matrix-climbing", "matrix-penalty-100"} <= set(names)


def test_the_folder_of_a_task_file_of_ones_own(write_task: WriteTask) -> None:
    path = write_task()
    assert read_task(str(path)).folder == path.parent
    assert (is_task_file(str(path)), is_task_file("x.yml"), is_task_file("lbf-5x5-2p-1f")) == (True, True, False)


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
