"""A case of the corpus: a whole module as a hostile model would write it, and how one sees that it fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Layer = Literal["gate", "jail", "tracing", "graph", "contract", "verifier"]

STAGES: Final[dict[Layer, str]] = {
    "gate": "gate",
    "jail": "trace",
    "tracing": "trace",
    "graph": "graph",
    "contract": "contract",
}
"""Layer -> stage of the verdict when it stops a candidate; the verifier's are `graph` and `contract`."""

HEAD: Final = "import torch\nimport torch.nn.functional as F\nimport math\n"


@dataclass(frozen=True)
class Leaks:
    """A secret of the caller is among the bytes that left the process: its answer, its message, the network."""

    secret: Literal["environment", "file", "descriptor", "memory"]
    """Which of `canaries.SECRETS`."""


@dataclass(frozen=True)
class Leaves:
    """The caller's folder is not as it was."""


@dataclass(frozen=True)
class Calls:
    """Something came to the caller's listening port."""


@dataclass(frozen=True)
class Changes:
    """The process is not as the next candidate expects it: a mark of `sacrifice.marks` has another value."""

    mark: str
    """Which one."""


@dataclass(frozen=True)
class Says:
    """The words are in what leaves the process, as they stand."""

    words: str
    """What the reader of the message would see."""


@dataclass(frozen=True)
class Ends:
    """How the process ended, by itself or at a small limit of the control's own."""

    how: Literal["processor", "memory", "crash", "silence", "flood"]
    """`processor`, `memory` and `flood` are the limits; `silence` is exit code 0 without an answer."""


Sign = Leaks | Leaves | Calls | Changes | Says | Ends


@dataclass(frozen=True)
class Case:
    """One module and its sign."""

    name: str
    """What it does; unique in the corpus."""
    source: str
    """The module; `{folder}` and `{port}` stand for the caller's."""
    sign: Sign
    """How one sees outside that it fired."""
    layer: Layer = "gate"
    """Which layer must stop it with everything on."""


def inside(code: str) -> str:
    """A credit function with this code in its body."""
    body = "".join(f"    {line}\n" if line else "\n" for line in code.strip("\n").split("\n"))
    return f"{HEAD}def credit(state):\n    x = state['x']\n{body}    return x\n"


def at_top(code: str) -> str:
    """A module with this code above the function."""
    return f"{HEAD}{code}\ndef credit(state):\n    x = state['x']\n    return x\n"
