"""Each careless function: what is wrong shows in eager torch, and its layer refuses it with a message."""

from __future__ import annotations

from typing import Protocol

import pytest

from qredit.sandbox import Accepted, Rejected, Verdict
from qredit.sandbox.gate.check import check_gate
from tests.sandbox.firing.bugs import BUGS, Bug, Function, breaks, breaks_outside, differs, falls, mixes, overflows
from tests.sandbox.firing.case import STAGES, inside

SOUND: Function = lambda states, values: (values * (states + 1.0)).sum(dim=1, keepdim=True)  # noqa: E731


class Trial(Protocol):
    """`conftest.Trial`."""

    def verify(self, source: str, *, gate: bool = True) -> Verdict: ...
    def require_undisturbed(self, *, now: bool = True) -> None: ...


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_shows_in_eager_torch(bug: Bug) -> None:
    assert bug.flaw(bug.function())


@pytest.mark.parametrize("flaw", [mixes, differs, overflows, breaks, breaks_outside, falls])
def test_a_sound_function_shows_none(flaw: object) -> None:
    assert callable(flaw)
    assert not flaw(SOUND)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_refused_by_its_layer(trial: Trial, bug: Bug) -> None:
    assert (check_gate(bug.source) is not None) == (bug.layer == "gate")
    verdict = trial.verify(bug.source)
    assert isinstance(verdict, Rejected)
    assert verdict.stage == STAGES[bug.layer], verdict.message
    if bug.layer == "gate":
        assert verdict.kind == "unsupported"
        assert isinstance(trial.verify(bug.source, gate=False), Rejected)
    trial.require_undisturbed(now=False)


def test_what_the_bugs_are_made_of_is_accepted_without_them(trial: Trial) -> None:
    assert isinstance(trial.verify(inside("x = x + 0.1")), Accepted)
