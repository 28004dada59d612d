"""The exception tree: families, exit codes, messages."""

from __future__ import annotations

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit import errors
from qredit.errors import QreditError, UnknownNameError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, QreditError)]


def test_the_drawing_shows_the_tree() -> None:
    drawn = re.findall(r"\b([A-Za-z]+Error)\b", errors.__doc__ or "")
    assert sorted(drawn) == sorted(c.__name__ for c in CLASSES)


@pytest.mark.parametrize("error", CLASSES)
def test_the_family_decides_the_exit_code(error: type[QreditError]) -> None:
    assert (error.family, error.exit_code) in {("user", 2), ("model", 1), ("infrastructure", 2)}
    base = {"user": errors.UserError, "model": errors.ModelError, "infrastructure": errors.InfrastructureError}
    assert error is QreditError or issubclass(error, base[error.family])


def test_a_message_is_value_cause_remedy() -> None:
    error = errors.StorageError("cannot write `a`", cause="no space left.", remedy="Free some.")
    assert str(error) == "cannot write `a`: no space left. Free some."


def test_the_nearest_names_are_suggested() -> None:
    error = UnknownNameError("task", "lbf-5x5-2p-2f", ["lbf-8x8-2p-2f-coop", "lbf-5x5-2p-1f", "spread"])
    assert error.suggestions[0] == "lbf-5x5-2p-1f"
    assert "spread" not in error.suggestions
    assert "Did you mean `lbf-5x5-2p-1f`" in str(error)


def test_with_nothing_near_some_names_are_listed() -> None:
    assert UnknownNameError("task", "zzzz", ["b", "a"]).suggestions == ("a", "b")


def test_with_no_names_at_all_it_says_so() -> None:
    error = UnknownNameError("run", "x", [])
    assert error.suggestions == ()
    assert str(error).endswith("There is no run yet.")


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=12))
def test_any_name_gives_a_message(name: str, known: list[str]) -> None:
    error = UnknownNameError("task", name, known)
    assert set(error.suggestions) <= set(known)
    assert len(error.suggestions) <= 8
    assert name in str(error)
