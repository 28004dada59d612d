"""The fingerprint of a source: blind to how it is written, not to what it computes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.sandbox.gate.normalise import normalised_sha256

SOURCE = '''import torch
SCALE = 2.0


def near(a, b):
    return (a - b).abs()


def credit(state):
    """What it says."""
    x = near(state["x"], state["y"])
    for i in range(2):
        x = x + SCALE * i
    return x
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""What it says."""', '"""Something else."""'),
        ('    """What it says."""\n', ""),
        ("    for i", "    # why\n    for i"),
        ("SCALE * i", "SCALE   *   i"),
        ("SCALE * i", "(SCALE * i)"),
        ('state["x"]', "state['x']"),
        ("def credit(state)", "def credit(state: dict) -> torch.Tensor"),
        ("\n\n\ndef near", "\ndef near"),
    ],
)
def test_writing_makes_no_difference(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalised_sha256(SOURCE.replace(before, after)) == normalised_sha256(SOURCE)


def test_names_of_locals_make_no_difference() -> None:
    renamed = re.sub(r"\b(?<!\")[xiab]\b(?!\")", lambda name: f"my_{name.group()}", SOURCE)
    renamed = renamed.replace("state", "global_state")
    assert renamed.count("my_") == 10
    assert normalised_sha256(renamed) == normalised_sha256(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('state["x"]', 'state["z"]'),
        ("2.0", "3.0"),
        ("2.0", "2"),
        ("a - b", "b - a"),
        ("a - b", "a + b"),
        ("range(2)", "range(3)"),
        ("return x", "return -x"),
        ("SCALE * i", "i"),
        ("SCALE", "OTHER"),
        ("        x = x + SCALE * i", "        x = SCALE * i"),
        ("(a - b).abs()", "(a - b)"),
    ],
)
def test_computing_something_else_makes_one(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalised_sha256(SOURCE.replace(before, after)) != normalised_sha256(SOURCE)


def test_a_field_is_not_taken_for_a_local_of_its_name() -> None:
    one = "def credit(state):\n    x = state['x']\n    return x\n"
    assert normalised_sha256(one) != normalised_sha256(one.replace("x", "y"))
    assert normalised_sha256(one) == normalised_sha256(one.replace("x =", "y =").replace("return x", "return y"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "def credit(x):\n    mean = x.mean(-1)\n    return mean\n",
            "def credit(x):\n    sum = x.sum(-1)\n    return sum\n",
        ),
        ("def credit(x, dim):\n    return x.sum(dim=1)\n", "def credit(x, keepdim):\n    return x.sum(keepdim=1)\n"),
    ],
)
def test_nor_is_a_method_or_a_keyword(one: str, other: str) -> None:
    assert normalised_sha256(one) != normalised_sha256(other)


def test_a_local_never_hides_which_global_is_meant() -> None:
    one = "A = 1\nB = 2\ndef credit(s):\n    return s * A\n"
    other = "A = 1\nB = 2\ndef credit(s):\n    return s * B\n"
    assert normalised_sha256(one) != normalised_sha256(other)


@given(st.text())
def test_any_text_has_one(text: str) -> None:
    assert len(normalised_sha256(text)) == 64
    assert normalised_sha256(text) == normalised_sha256(text)


@pytest.mark.parametrize("text", ["(" * 5000, "x = " + "-" * 9000 + "1", "\x00", "def credit(:", "\ud800"])
def test_so_has_what_is_no_program(text: str) -> None:
    assert normalised_sha256(text) != normalised_sha256(text + " ")
