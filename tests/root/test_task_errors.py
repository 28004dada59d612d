"""Mistakes in a task file, each with the line on which it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import TaskFileError
from qredit.located_yaml import YamlError, parse_yaml
from qredit.task import parse_task

GOOD = """\
# A comment.
name: my-task
title: A task of my own
description: >-
  Two robots
  on a line.
goal: Meet.

reward: 1 when they meet.
n_agents: 2
actions: [left, right]
time_limit: 20
layout:
  - name: position
    shape: [2]
    unit: cells
    low: 0
    high: 9
    meaning: Where each robot is.
  - {name: door, shape: [], unit: flag, low: 0, high: 1, meaning: Whether it is open.}
states: my-states.npz
"""
Mistaken = Callable[..., TaskFileError]


@pytest.fixture
def mistaken(tmp_path: Path) -> Mistaken:
    """`GOOD` with pieces of its text replaced, and the error that this leads to."""

    def parse(*changes: tuple[str, str]) -> TaskFileError:
        text = GOOD
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / "my-task.yaml"
        path.write_text(text)
        with pytest.raises(TaskFileError) as caught:
            parse_task(path)
        return caught.value

    return parse


def test_the_file_is_good_without_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "my-task.yaml"
    path.write_text(GOOD)
    assert parse_task(path).n_agents == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "cause"),
    [
        ("n_agents: 2", "n_agents: two", 10, "`n_agents` is `two`"),
        ("actions: [left, right]", "actions: [left, [right]]", 11, "`actions.1`"),
        ("goal: Meet.", "gaol: Meet.", 7, "there is no entry `gaol`; did you mean `goal`?"),
        ("    unit: cells\n", "    units: cells\n", 16, "there is no entry `layout.0.units`; did you mean `unit`?"),
        ("    unit: cells\n", "", 14, "missing in `layout.0`: `unit`"),
        ("shape: [2]", "shape: [2, x]", 15, "`layout.0.shape.1` is `x`"),
        ("low: 0\n", "low: 10\n", 14, "the smallest value must not be above the largest"),
        ("name: door", "name: position", 20, "field `position` stands there twice"),
        ("shape: [],", "shape: [3], agent_axes: [0],", 20, "axis 0 of `door` has 3 entries, there are 2 agents"),
        ("states: my-states.npz", "states: in/my-states.npz", 21, "is no plain file name"),
        ("states: my-states.npz", "", 2, "give both `layout` and `states`"),
        ("states: my-states.npz", "environment: {adapter: lbf}", 21, "missing in `environment`: `id`"),
        ("time_limit: 20", "time_limit: 20\nn_agents: 3", 13, "`n_agents` is given twice, first on line 10"),
        ("    high: 9\n", "    high: 9\n    low: 1\n", 19, "`low` is given twice, first on line 17"),
        ("door, shape", "door, name: d, shape", 20, "`name` is given twice, first on line 20"),
        ("time_limit: 20", "time_limit: 20\n\tx: 1", 13, "found character '\\t'"),
        ("time_limit: 20", "time_limit: 2001-99-99", 12, "no usable timestamp (month must be in 1..12)"),
        ("time_limit: 20", "time_limit: !!bool perhaps", 12, "no usable bool"),
        ("[left, right]", "[left, right", 12, "no YAML: while parsing a flow sequence"),
        ("time_limit: 20", "<<: {time_limit: 20}", 12, "merge keys"),
    ],
)
def test_the_line_of_a_mistake(old: str, new: str, line: int, cause: str, mistaken: Mistaken, tmp_path: Path) -> None:
    error = mistaken((old, new))
    assert error.what == f"`{tmp_path / 'my-task.yaml'}`, line {line}"
    assert cause in error.cause


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(mistaken: Mistaken, tmp_path: Path) -> None:
    error = mistaken(("n_agents: 2", "n_agents: 0"), ("low: 0\n", "low: zero\n"), ("goal: Meet.", "gaol: Meet."))
    assert error.what == f"`{tmp_path / 'my-task.yaml'}`"
    first, *told = error.cause.split("\n  ")
    assert first == "3 mistakes"
    assert [line.partition(":")[0] for line in told] == ["line 7", "line 10", "line 17"]


def test_what_is_missing_is_told_beside_what_is_too_much(mistaken: Mistaken) -> None:
    told = mistaken(("goal: Meet.", "zzz: 1"), ("title: A task of my own", "")).cause.split("\n  ")
    assert told[1] == "line 2: missing: `title`, `goal`"
    assert told[2].startswith("line 7: there is no entry `zzz`; there are `name`")


def test_several_contradictions_each_have_their_line(mistaken: Mistaken) -> None:
    error = mistaken(("name: door", "name: position"), ("states: my-states.npz", "states: a/b"))
    assert [line.partition(":")[0] for line in error.cause.split("\n  ")[1:]] == ["line 20", "line 21"]


def test_no_more_than_five_mistakes_are_told(mistaken: Mistaken) -> None:
    error = mistaken(("time_limit: 20", "time_limit: 20\na: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1"))
    told = error.cause.split("\n  ")
    assert told[0] == "7 mistakes"
    assert [line.partition(":")[0] for line in told[1:-1]] == [f"line {n}" for n in range(13, 18)]
    assert told[-1] == "and 2 more"


def test_a_long_or_unprintable_value_is_not_repeated(mistaken: Mistaken) -> None:
    assert "xxx" not in mistaken(("n_agents: 2", f"n_agents: {'x' * 100}")).cause
    assert "\x1b" not in mistaken(("n_agents: 2", 'n_agents: "\\e[2J"')).cause


# The reader of YAML


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.integers() | st.text(max_size=5), st.lists, max_leaves=5)))
def test_what_yaml_reads_is_read_alike(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data)
    assert parse_yaml(text.encode()).data == yaml.safe_load(text)


def test_places() -> None:
    document = parse_yaml(b"a:\n  b: 1\n  c:\n    - x\n    - d: 2\n5: y\n")
    places: tuple[tuple[str | int, ...], ...] = ((), ("a",), ("a", "b"), ("a", "c", 0), ("a", "c", 1, "d"), ("5",))
    assert [document.line_of(place) for place in places] == [1, 1, 2, 4, 5, 6]
    assert document.line_of(("a", "missing")) == 1
    assert document.line_of(("a", "c", 7)) == 3
    assert document.existing(("a", "c", 1, "e", "f")) == ("a", "c", 1)
    assert document.existing(("a", "b", "int")) == ("a", "b")


def test_an_empty_text_has_a_line_too() -> None:
    document = parse_yaml(b"\n\n")
    assert (document.data, document.line_of(("name",)), document.existing(("name",))) == (None, 1, ())


def test_the_same_key_in_two_mappings_is_no_mistake() -> None:
    assert parse_yaml(b"a: {x: 1}\nb: {x: 2}\n").data == {"a": {"x": 1}, "b": {"x": 2}}
    assert parse_yaml(b"a: &a {x: 1}\nb: [*a, *a]\n").data == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}


def test_every_repetition_has_its_line() -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(b"a: 1\nb:\n  - c: 1\n    c: 2\na: 2\na: 3\n")
    assert [problem.line for problem in caught.value.problems] == [5, 6, 4]


def test_keys_that_are_no_words_are_refused_by_yaml_itself() -> None:
    with pytest.raises(YamlError, match="unhashable key"):
        parse_yaml(b"? [a]\n: 1\n")


def test_merge_keys_cannot_unfold_without_bounds() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 20)]
    with pytest.raises(YamlError) as caught:
        parse_yaml("\n".join(lines).encode())
    assert len(caught.value.problems) == 19
