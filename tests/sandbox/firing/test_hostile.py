"""Each hostile case: it fires where nothing stops it, its layer stops it, and with the gate off the next layer does."""

from __future__ import annotations

from typing import Protocol

import pytest

from qredit.sandbox import Accepted, Rejected, Verdict
from qredit.sandbox.gate.check import check_gate
from tests.sandbox.firing.caller import Caller
from tests.sandbox.firing.case import STAGES, Case, Changes, Ends, Leaves, Sign, inside
from tests.sandbox.firing.corpus import HOSTILE

GATED = [case for case in HOSTILE if case.layer == "gate"]


class Trial(Protocol):
    """`conftest.Trial`."""

    caller: Caller

    def verify(self, source: str, *, gate: bool = True) -> Verdict: ...
    def inside(self, case: Case, *, gate: bool) -> Verdict: ...
    def require_undisturbed(self, *, now: bool = True) -> None: ...


@pytest.fixture(autouse=True)
def short_trace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends is ended soon; nothing else is."""
    case = request.node.callspec.params.get("case") if hasattr(request.node, "callspec") else None
    if case is not None and case.sign == Ends("processor"):
        monkeypatch.setattr("qredit.sandbox.verification.TRACE_SECONDS", 0.7)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_a_case_fires_where_nothing_stops_it(trial: Trial, case: Case) -> None:
    outcome = trial.caller.outside(case)
    assert outcome.shows(case), outcome


@pytest.mark.parametrize("sign", [Leaves(), Ends("processor")], ids=["with its time", "with little time"])
def test_a_good_function_shows_no_sign(trial: Trial, sign: Sign) -> None:
    good = Case("good", inside("x = x * 1.0"), sign)
    outcome = trial.caller.outside(good)
    assert [case.name for case in HOSTILE if outcome.shows(case)] == []


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_a_case_is_stopped_by_its_layer(trial: Trial, case: Case) -> None:
    refused = check_gate(trial.caller.written(case))
    assert (refused is not None) == (case.layer == "gate")
    verdict = trial.verify(case.source) if refused else trial.inside(case, gate=True)
    assert isinstance(verdict, Rejected)
    assert verdict.stage == STAGES[case.layer]
    require_harmless(verdict)
    if case.layer != "gate":
        trial.require_undisturbed(now=False)


@pytest.mark.parametrize("case", GATED, ids=lambda case: case.name)
def test_with_the_gate_off_the_layers_behind_it_hold(trial: Trial, case: Case) -> None:
    verdict = trial.inside(case, gate=False)
    if isinstance(case.sign, Ends):
        assert isinstance(verdict, Rejected)
    if isinstance(verdict, Rejected):
        require_harmless(verdict)
    trial.require_undisturbed(now=isinstance(case.sign, Changes))


def require_harmless(verdict: Rejected) -> None:
    """What a model reads of it: short, printable, and what the candidate says stands in quotation marks."""
    assert verdict.message.isprintable()
    assert len(verdict.message) < 900
    outside_quotes = "".join(verdict.message.split('"')[::2])
    assert "IGNORE" not in outside_quotes
    assert verdict.message.count('"') % 2 == 0


def test_the_jail_goes_on(trial: Trial) -> None:
    """After all of them, in whatever order, a good function is accepted."""
    assert isinstance(trial.verify("def credit(state):\n    return state['x'] + 0.1\n"), Accepted)
