"""The recorded escapes once more with the gate off: the layers behind it hold without it.

What is harmless may well be accepted then; its graph computes the function and nothing else. Nothing else may happen:
no error of ours, no file, no process, and no secret of the caller in any byte that comes back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from qredit.credit import interpret, parse_graph
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, Verdict, open_jail, verify
from tests.sandbox import gate_attacks as attacks

CANARY = "canary-7d1c-of-the-caller"
LAYOUT = StateLayout((StateField(name="x", shape=(2,), unit="cells", low=0.0, high=4.0, meaning="Where."),))
STATES = np.array([[1, 2], [2, 1], [3, 3]], dtype=np.float32)
SOURCES = (
    [attacks.inside(code) for code, _ in (*attacks.FORBIDDEN_INSIDE, *attacks.UNSUPPORTED_INSIDE)]
    + [attacks.at_top(code) for code, _ in (*attacks.FORBIDDEN_AT_TOP, *attacks.UNSUPPORTED_AT_TOP)]
    + [attacks.HEAD + code for code, *_ in attacks.WHOLE]
)
TELL = (
    "import os, sys\n{head}def credit(state):\n    raise ValueError(repr({what}))\n",
    "import os, sys\n{head}def credit(state):\n    os.write(3, repr({what}).encode())\n    os._exit(0)\n",
)
SECRETS = (
    "dict(os.environ)",
    "open('/proc/self/environ', 'rb').read()",
    "open('/proc/1/environ', 'rb').read()",
    "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "[o for o in __import__('gc').get_objects() if isinstance(o, (str, dict))]",
    "sys.argv",
    "open('{file}').read()",
    "os.listdir('{folder}')",
    "[sys._getframe(i).f_locals for i in range(9)]",
)


@pytest.fixture(scope="module")
def jail(lockdown: None) -> Iterator[Jail]:
    """A jail of a caller with a secret in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", CANARY)
        with open_jail("lockdown") as jail:
            yield jail


def check(source: str, jail: Jail) -> Verdict:
    return verify(source, layout=LAYOUT, n_agents=2, states=STATES, jail=jail, gate=False)


def test_every_recorded_escape_ends_in_a_verdict(jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        verdicts = list(threads.map(lambda source: check(source, jail), SOURCES))
    assert len(verdicts) >= 160
    states = torch.from_numpy(STATES)
    for source, verdict in zip(SOURCES, verdicts, strict=True):
        if isinstance(verdict, Accepted):
            (weights,) = interpret(parse_graph(verdict.payload), state=states, agents_q=None)
            assert torch.equal(weights, states), source
        else:
            assert verdict.message.isprintable(), source
            assert len(verdict.message) < 900, source
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("template", TELL, ids=["in a message", "as the reply"])
@pytest.mark.parametrize("what", SECRETS)
def test_no_secret_of_the_caller_comes_back(jail: Jail, what: str, template: str, tmp_path: Path) -> None:
    (tmp_path / f"{CANARY}.txt").write_text(CANARY)
    what = what.replace("{file}", str(tmp_path / f"{CANARY}.txt")).replace("{folder}", str(tmp_path))
    verdict = check(template.replace("{head}", attacks.HEAD).replace("{what}", what), jail)
    told = json.dumps(verdict.to_json())
    assert CANARY not in told.replace(f"{CANARY}.txt", "")  # the name stands in the source itself
    assert verdict.to_json()["verdict"] == "rejected"
