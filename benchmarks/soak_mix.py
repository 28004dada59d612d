"""What a soak feeds a jail: good functions, mistakes and attacks, each with the one verdict that is right for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEAD: Final = "import torch\nimport torch.nn.functional as F\n\n\n"
REACH: Final = "import ctypes, os, signal, socket, struct\n"
"""What attacks begin with when the gate is off."""

SHORT_SECONDS: Final = 0.3
"""Wall clock of what never ends by itself."""

BY_TIME_OR_FORCE: Final = "trace/resource"


@dataclass(frozen=True)
class Specimen:
    """One kind of candidate."""

    name: str
    """For the table."""
    share: int
    """How many of `BLOCK` candidates."""
    expected: str
    """`accepted`, or stage and kind of the rejection."""
    source: str
    """The module's text; every `NUMBER` in it becomes another number each time."""
    or_slowly: str = ""
    """What is right as well, where the machine is so slow that the wall clock comes first."""
    gate: bool = True
    """Whether the gate runs; without it, the layers behind it must do."""
    seconds: float | None = None
    """Wall clock of a trace, in place of the usual one."""

    def is_right(self, verdict: str) -> bool:
        """Whether this is what must become of it."""
        return verdict in (self.expected, self.or_slowly)

    def text(self, number: int) -> str:
        """The candidate with this number."""
        return self.source.replace("NUMBER", f"{1 + number / 1000}")


def attack(
    name: str, share: int, expected: str, body: str, seconds: float | None = None, or_slowly: str = ""
) -> Specimen:
    """A function that does something else before it returns; the gate would stop it and is off."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = REACH + HEAD + "def credit(state):\n" + lines + "    return state['agent_level'] * NUMBER\n"
    return Specimen(name, share, expected, source, or_slowly, gate=False, seconds=seconds)


GOOD: Final = (
    Specimen(
        "vector code",
        4,
        "accepted",
        HEAD
        + """def credit(state):
    agents, foods = state["agent_position"], state["food_position"]
    there = (state["food_level"] > 0).to(agents.dtype)
    distance = (agents.unsqueeze(2) - foods.unsqueeze(1)).abs().sum(dim=-1)
    near = there.unsqueeze(1) * torch.exp(-0.5 * distance)
    level = state["agent_level"] / state["agent_level"].sum(dim=1, keepdim=True).clamp(min=1e-6)
    return NUMBER * (0.2 + near.sum(dim=2) + level)
""",
    ),
    Specimen(
        "loops over agents and foods",
        2,
        "accepted",
        HEAD
        + """def credit(state):
    agents, foods = state["agent_position"], state["food_position"]
    weights = []
    for i in range(agents.shape[1]):
        total = torch.zeros_like(state["agent_level"][:, 0])
        for j in range(foods.shape[1]):
            d = (agents[:, i] - foods[:, j]).abs().sum(dim=-1)
            total = total + torch.where(state["food_level"][:, j] > 0, 1.0 / (1.0 + d), torch.zeros_like(d))
        weights.append(0.2 + NUMBER * total)
    return torch.stack(weights, dim=1)
""",
    ),
    Specimen(
        "weights and bias",
        2,
        "accepted",
        HEAD
        + """def credit(state):
    level = state["agent_level"]
    return 0.5 + F.softplus(level), NUMBER * level.mean(dim=1, keepdim=True)
""",
    ),
    Specimen(
        "general form",
        2,
        "accepted",
        HEAD
        + """def tfcaf(agents_q, global_state):
    weights = torch.softmax(NUMBER * global_state[:, : agents_q.shape[1]], dim=1)
    return (weights * agents_q).sum(dim=1, keepdim=True)
""",
    ),
)

MISTAKES: Final = (
    Specimen("opens a file", 46, "gate/forbidden", HEAD + "def credit(state):\n    return open('/etc/passwd')\n"),
    Specimen("escapes by a dunder", 46, "gate/forbidden", HEAD + "def credit(state):\n    return ().__class__\n"),
    Specimen("no Python", 46, "gate/unsupported", "def credit(state: return NUMBER\n"),
    Specimen(
        "branches on a value",
        14,
        "trace/trace",
        HEAD
        + """def credit(state):
    x = state["agent_level"]
    if x.sum() > NUMBER:
        x = x * 2
    return x
""",
    ),
    Specimen("unknown field", 10, "trace/trace", HEAD + "def credit(state):\n    return state['colour'] * NUMBER\n"),
    Specimen(
        "mixes the rows of a batch",
        5,
        "contract/contract",
        HEAD + "def credit(state):\n    x = state['agent_level']\n    return NUMBER + x / x.sum(dim=0, keepdim=True)\n",
    ),
    Specimen(
        "divides by zero",
        4,
        "contract/contract",
        HEAD + "def credit(state):\n    x = state['agent_level']\n    return NUMBER / (x - x)\n",
    ),
)

ATTACKS: Final = (
    attack("endless loop", 2, BY_TIME_OR_FORCE, "while True:\n    pass", SHORT_SECONDS),
    attack(
        "ignores signals",
        1,
        BY_TIME_OR_FORCE,
        """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue
while True:
    pass""",
        SHORT_SECONDS,
    ),
    attack(
        "memory bomb",
        1,
        "trace/trace",
        "blocks = []\nwhile True:\n    blocks.append(b'x' * 2**26)",
        or_slowly=BY_TIME_OR_FORCE,
    ),
    attack("huge tensor", 2, "trace/trace", "torch.ones(2**40)"),
    attack("endless output", 2, BY_TIME_OR_FORCE, "while True:\n    os.write(3, b'R' * 2**16)"),
    attack("ends with code 0", 1, BY_TIME_OR_FORCE, "os._exit(0)"),
    attack("forks a daemon", 2, "trace/trace", "if os.fork() == 0:\n    os.setsid()\n    while True:\n        pass"),
    attack("opens a socket", 1, BY_TIME_OR_FORCE, "socket.socket()"),
    attack("kills its parent", 1, BY_TIME_OR_FORCE, "os.kill(os.getppid(), 9)"),
    attack("segfault", 1, BY_TIME_OR_FORCE, "ctypes.string_at(0)"),
    attack("leaves a file", 1, "trace/trace", "open('/tmp/left-by-a-soak', 'w')"),
    attack(
        "forges an empty reply",
        1,
        "trace/trace",
        "os.write(3, b'R' + struct.pack('<Q', 2) + b'ok')\nos._exit(0)",
    ),
    attack(
        "forges a graph",
        1,
        "graph/graph",
        "os.write(3, b'R' + struct.pack('<Q', 15) + b'G' + b'{\"format\": 1 }')\nos._exit(0)",
    ),
    attack(
        "forges half a reply",
        1,
        BY_TIME_OR_FORCE,
        "os.write(3, b'R' + struct.pack('<Q', 2**40) + b'G')\nos._exit(0)",
    ),
    attack(
        "forges a second reply",
        1,
        BY_TIME_OR_FORCE,
        "os.write(3, b'R' + struct.pack('<Q', 2) + b'ok')",
    ),
)

SPECIMENS: Final = (*GOOD, *MISTAKES, *ATTACKS)
BLOCK: Final = sum(specimen.share for specimen in SPECIMENS)
"""After so many candidates each kind has had its share."""


def candidates(count: int, seed: int = 0) -> Iterator[tuple[int, Specimen]]:
    """Number the candidates of a soak; every block holds all kinds, in another order."""
    order = random.Random(seed)
    block: list[Specimen] = []
    for number in range(count):
        if not block:
            block = [specimen for specimen in SPECIMENS for _ in range(specimen.share)]
            order.shuffle(block)
        yield number, block.pop()
