"""The caller with their secrets, and a jail that they open: once per file of cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from qredit.credit import interpret, parse_graph
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, Verdict, verify
from qredit.sandbox.jails.lockdown import open_lockdown
from qredit.sandbox.payloads import MAX_TRACE_REPLY, TraceRequest
from tests.sandbox.firing.caller import Caller, open_caller
from tests.sandbox.firing.canaries import SECRETS, VARIABLE, found_in
from tests.sandbox.firing.case import Case

LAYOUT = StateLayout((StateField(name="x", shape=(2,), unit="cells", low=0.0, high=4.0, meaning="Where."),))
STATES = np.array([[1, 2], [2, 1], [3, 3]], dtype=np.float32)
GOOD = "import torch\ndef credit(state):\n    return torch.add(state['x'] + 0.1, 1)\n"


@dataclass
class Trial:
    """Tries cases in a jail and looks for what they did."""

    caller: Caller
    """Whom they attack."""
    jail: Jail
    """Opened while the caller's secrets were in this process's environment, descriptors and memory."""
    layout: StateLayout = LAYOUT
    """Of the state that cases are given."""
    first: bytes = b""
    """What the jail first answered for the good function."""
    since: int = 0
    """Cases since the good function was last tried."""

    def verify(self, source: str, *, gate: bool = True) -> Verdict:
        """Check a source as anybody would."""
        return verify(source, layout=LAYOUT, n_agents=2, states=STATES, jail=self.jail, gate=gate)

    def inside(self, case: Case, *, gate: bool) -> Verdict:
        """Check a case; whatever the verdict, nothing happened to the caller and nothing of theirs came back."""
        self.caller.grounds.reset()
        self.caller.came()
        verdict = self.verify(self.caller.written(case), gate=gate)
        assert not self.caller.grounds.changed()
        assert self.caller.came() == []
        told = json.dumps(verdict.to_json(), ensure_ascii=False).encode()
        if isinstance(verdict, Accepted):  # all these cases give the state back
            states = torch.from_numpy(STATES)
            (weights,) = interpret(parse_graph(verdict.payload), state=states, agents_q=None)
            assert torch.equal(weights, states)
        told += verdict.payload if isinstance(verdict, Accepted) else verdict.message.encode()
        assert [name for name, secret in SECRETS.items() if found_in(told, secret)] == []
        return verdict

    def require_undisturbed(self, *, now: bool = True) -> None:
        """The server's next child makes of a good function what the first one made.

        Without `now` it is tried after every tenth case only: a server that was disturbed stays so.
        """
        self.since += 1
        if not now and self.since < 10:
            return
        self.since = 0
        request = TraceRequest(GOOD, LAYOUT, 2, "sum_to_n", "enforce").to_bytes()
        result = self.jail.run("trace", request, timeout_seconds=60, output_limit=MAX_TRACE_REPLY)
        self.first = self.first or result.output
        assert result.outcome == "done"
        assert result.output == self.first


@pytest.fixture(scope="module")
def trial(lockdown: None) -> Iterator[Trial]:
    """A caller, and a lockdown jail that they opened."""
    with pytest.MonkeyPatch.context() as patch, open_caller() as caller:
        patch.setenv(VARIABLE, SECRETS["environment"])
        with open_lockdown(jobs_per_server=10_000) as jail:  # one server for all cases
            trial = Trial(caller, jail)
            trial.require_undisturbed()
            yield trial
            trial.require_undisturbed()
