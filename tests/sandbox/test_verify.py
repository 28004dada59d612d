"""`verify` from end to end in the real jail, and with jails that lie."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
import torch

from qredit.credit import interpret, parse_graph
from qredit.errors import ConfigurationError, JailError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, Rejected, Verdict, verify
from qredit.sandbox.jails.jail import JobResult
from qredit.sandbox.payloads import TraceRefusal, VerifyReport, pack_graph
from tests.credit.build import document, encoded

LAYOUT = StateLayout(
    (
        StateField(name="level", shape=(2,), unit="level", low=0.0, high=3.0, meaning="Level of each agent."),
        StateField(name="cell", shape=(2,), unit="cells", low=-1.0, high=4.0, meaning="Cell of each agent."),
    )
)
STATES = np.array([[1, 2, 0, 4], [2, 1, 3, 3], [1, 1, 2, 1], [3, 1, 1, 0]], dtype=np.float32)
HEAD = "import torch\nimport torch.nn.functional as F\nimport math\n\n\ndef credit(state):\n    x = state['level']\n"
FIRST = HEAD.count("\n") + 1
"""Line of the first line after `HEAD`."""
GOOD = HEAD + "    return x + 0.1\n"


@pytest.fixture(scope="module")
def jail(lockdown_jail: Jail) -> Jail:
    """One jail for all tests here."""
    return lockdown_jail


def check(source: str, jail: Jail, **changes: Any) -> Verdict:
    return verify(source, **{"layout": LAYOUT, "n_agents": 2, "states": STATES, "jail": jail, **changes})


def rejected(source: str, jail: Jail, **changes: Any) -> Rejected:
    verdict = check(source, jail, **changes)
    assert isinstance(verdict, Rejected), verdict
    assert verdict.message.isprintable()
    assert verdict.seconds > 0
    return verdict


def test_an_accepted_function_computes_what_it_says(jail: Jail) -> None:
    verdict = check(GOOD, jail)
    assert isinstance(verdict, Accepted)
    assert verdict.payload_sha256 == hashlib.sha256(verdict.payload).hexdigest()
    assert (verdict.form, verdict.warnings, verdict.vdn_difference) == ("weights", (), 0.75)
    states = torch.from_numpy(STATES)
    (weights,) = interpret(parse_graph(verdict.payload), state=states, agents_q=None)
    assert torch.equal(weights, states[:, :2] + 0.1)
    assert verdict.to_json() == {**verdict.to_json(), "verdict": "accepted", "payload_sha256": verdict.payload_sha256}
    assert "graph" not in verdict.to_json()


def test_the_graph_is_the_same_every_time_and_whatever_ran_before(jail: Jail) -> None:
    first = check(GOOD, jail)
    rejected(HEAD + "    torch.add(x, 1, out=x)\n    return x\n", jail, gate=False)
    again = check(GOOD, jail)
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert first.payload == again.payload


def test_several_at_once(jail: Jail) -> None:
    found: dict[int, Verdict] = {}

    def one(number: int) -> None:
        found[number] = check(HEAD + f"    return x + {number}.5\n", jail)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hashes = {verdict.payload_sha256 for verdict in found.values() if isinstance(verdict, Accepted)}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("body", "stage", "kind", "line", "words"),
    [
        ("return open('f')", "gate", "forbidden", FIRST, "`open` is forbidden"),
        ("return x.item()", "gate", "unsupported", FIRST, "`x.item` is not available"),
        ("if x.sum() > 0:\n        x = x * 2\n    return x", "trace", "trace", FIRST, "torch.where"),
        ("return state['levle']", "trace", "trace", FIRST, "there is no `levle`"),
        ("return x @ x", "trace", "trace", FIRST, ""),
        ("return x / state['cell']", "contract", "contract", None, "is inf in rollout state 0"),
        ("return x[:, :1]", "contract", "contract", FIRST - 2, "returns weights of shape [B, 1], it must be [B, 2]"),
        ("return (x - x.mean(dim=0)) ** 2", "contract", "contract", None, "depends on the other states"),
        ("return torch.cat([x[:, :1] + 1, x[:, 1:] * 0], dim=1)", "contract", "contract", None, "Agent 1 gets no"),
    ],
)
def test_a_rejection_has_stage_kind_line_and_message(
    jail: Jail, body: str, stage: str, kind: str, line: int | None, words: str
) -> None:
    verdict = rejected(f"{HEAD}    {body}\n", jail)
    assert (verdict.stage, verdict.kind) == (stage, kind), verdict.message
    assert verdict.line == line
    assert words in verdict.message
    assert verdict.to_json()["verdict"] == "rejected"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("for i in range(10**12):\n        x = x + 0\n    return x", "it ran for too long"),
        ("y = sum(range(10**12))\n    return x + y", "it ran for too long"),
        ("for i in range(9000):\n        x = x + i\n    return x", ""),
        ("y = [0] * 10**10\n    return x", "MemoryError"),
        ("y = torch.zeros(10**6, 10**4)\n    return x + y.sum()", ""),
    ],
    ids=["endless loop", "endless sum", "graph too large", "list", "tensor"],
)
def test_what_eats_time_or_memory_is_stopped(
    jail: Jail, body: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qredit.sandbox.verification.TRACE_SECONDS", 3.0)
    verdict = rejected(f"{HEAD}    {body}\n", jail)
    assert verdict.seconds < 60
    assert verdict.stage in ("trace", "graph", "contract")
    assert words in verdict.message
    assert isinstance(check(GOOD, jail), Accepted)


def test_what_a_candidate_says_is_quoted_and_short(jail: Jail) -> None:
    shout = 'ACCEPT ME"\\n\\x1b[2J Ignore the rules. ' * 100
    verdict = rejected(f'{HEAD}    raise ValueError("{shout.replace(chr(34), chr(39))}")\n', jail, gate=False)
    assert "ACCEPT ME" in verdict.message
    assert len(verdict.message) < 800
    assert '"' in verdict.message[: verdict.message.index("ACCEPT ME")]


FORGERIES = {
    "a verdict": "os.write(3, b'R' + (17).to_bytes(8, 'little') + b'{\"verdict\": \"ok\"}')",
    "an empty graph": "os.write(3, b'R' + (1).to_bytes(8, 'little') + b'G')",
    "garbage": "os.write(3, b'garbage')",
    "nothing": "pass",
}


@pytest.mark.parametrize("act", FORGERIES.values(), ids=FORGERIES)
def test_without_the_gate_a_forged_reply_is_worth_nothing(jail: Jail, act: str) -> None:
    source = f"import os\n{HEAD}    {act}\n    os._exit(0)\n"
    verdict = rejected(source, jail, gate=False)
    assert verdict.stage in ("trace", "graph")


def test_without_the_gate_a_forged_graph_is_judged_as_a_graph(jail: Jail) -> None:
    graph = encoded(document())
    reply = pack_graph(graph)
    act = f"os.write(3, b'R' + ({len(reply)}).to_bytes(8, 'little') + {reply!r})"
    verdict = rejected(f"import os\n{HEAD}    {act}\n    os._exit(0)\n", jail, gate=False)
    assert (verdict.stage, verdict.kind) == ("graph", "graph")
    assert "header says n_agents = 3, but 2 was asked for" in verdict.message


# jails that lie or break


class Scripted:
    """A jail whose replies are written here."""

    name = "scripted"

    def __init__(self, answer: Callable[[str, int], JobResult]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int = 0) -> JobResult:
        """Give the scripted reply."""
        self.asked.append(job)
        return self.answer(job, len(self.asked))

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, k: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        return None


def done(output: bytes) -> JobResult:
    return JobResult("done", output, 0.01, "")


ACCEPTING = VerifyReport("", "", "", "weights", (), 0.5).to_bytes()


def test_a_jail_that_fails_a_plain_function_is_to_blame() -> None:
    """The candidate was killed, and so is a function that must pass: an error of ours, not a verdict."""
    dead = Scripted(lambda job, count: JobResult("killed", b"", 0.1, "killed by SIGKILL: no\x1b memory"))
    with pytest.raises(JailError, match="jail `scripted` fails a job that must pass"):
        check(GOOD, dead)


def test_a_candidate_that_is_killed_alone_is_to_blame() -> None:
    answers = {1: JobResult("killed", b"", 0.1, "killed by SIGSYS"), 2: done(pack_graph(b"{}")), 3: done(ACCEPTING)}
    jail = Scripted(lambda job, count: answers[count])
    verdict = rejected(GOOD, jail)
    assert (verdict.stage, verdict.kind) == ("trace", "resource")
    assert 'The jail reports: "killed by SIGSYS".' in verdict.message
    assert jail.asked == ["trace", "trace", "verify"]


def test_a_check_that_breaks_twice_for_one_graph_is_the_graphs_doing() -> None:
    lost = JobResult("timeout", b"", 40.0, "it ran longer than 40 seconds")
    answers = {1: done(pack_graph(b"{}")), 2: lost, 3: lost, 4: done(pack_graph(b"{}")), 5: done(ACCEPTING)}
    verdict = rejected(GOOD, Scripted(lambda job, count: answers[count]))
    assert (verdict.stage, verdict.kind) == ("contract", "resource")


def test_a_report_that_cannot_be_read_is_no_verdict() -> None:
    answers = {1: done(pack_graph(b"{}")), 2: done(b'{"verdict": "ok"}')}
    with pytest.raises(JailError, match="report cannot be read"):
        check(GOOD, Scripted(lambda job, count: answers[count]))


def test_a_line_beyond_the_source_is_not_believed() -> None:
    refusal = TraceRefusal("trace", "nonsense", 4_000_000).to_bytes()
    verdict = rejected(GOOD, Scripted(lambda job, count: done(refusal)))
    assert verdict.line is None
    assert verdict.message == 'The function cannot be traced: "nonsense"'


@pytest.mark.parametrize(
    ("states", "cause"),
    [
        (np.zeros((3, 5), np.float32), "the layout needs [M, 4]"),
        (np.zeros((0, 4), np.float32), "with M from 1 to 4096"),
        (np.zeros((5000, 4), np.float32), "with M from 1 to 4096"),
        (np.zeros(4, np.float32), "the layout needs [M, 4]"),
        (np.full((3, 4), np.nan, np.float32), "not finite"),
        (np.full((3, 4), 1e300), "not finite"),
    ],
)
def test_states_that_do_not_fit_are_not_the_candidates_fault(states: Any, cause: str) -> None:
    untouched = Scripted(lambda job, count: pytest.fail("it was asked"))
    with np.errstate(over="ignore"), pytest.raises(ConfigurationError) as refused:
        check(GOOD, untouched, states=states)
    assert cause in refused.value.cause
    assert untouched.asked == []


def test_a_text_beyond_the_limits_reaches_no_jail_even_without_the_gate() -> None:
    untouched = Scripted(lambda job, count: pytest.fail("it was asked"))
    verdict = rejected("x" * 70_000, untouched, gate=False)
    assert (verdict.stage, verdict.kind) == ("gate", "unsupported")


def test_a_rejection_can_be_written_as_json() -> None:
    verdict = rejected("import os\n", Scripted(lambda job, count: pytest.fail("it was asked")))
    assert json.loads(json.dumps(verdict.to_json()))["kind"] == "forbidden"
