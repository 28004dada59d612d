"""Observations as text for a language model's ranking: a model-written `describe(observation, ego)`, run in the jail.

The function is plain Python on numbers and strings. It never runs in this process: the gate reads it, the jail executes
it on all observations at once, and the host takes the texts only if they are what texts may be. What this does not
judge: whether a text is true, or says too much; the text of a candidate is the candidate's.
"""

from __future__ import annotations

import hashlib
import json
import operator
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.sandbox.call import Call, line_in
from qredit.sandbox.descriptions import MAX_REPLY_BYTES, DescribeRequest, read_describe_reply
from qredit.sandbox.gate.describe import DESCRIBE
from qredit.sandbox.payloads import TraceRefusal
from qredit.sandbox.verdict import Accepted, Rejected, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.sandbox.jails.jail import Jail, JobResult, Outcome

DESCRIBE_SECONDS: Final = 30.0
"""Wall clock of one call; 5000 ordinary texts take less than a second."""
MAX_ROWS: Final = 20_000
"""Most observations in one call."""
MAX_AGENTS: Final = 1000
LONG_TEXT: Final = 1000
"""Characters above which a text is worth a warning: a ranker reads two of them per question."""

_ENDS: Final[dict[Outcome, str]] = {
    "timeout": "it ran for too long. Loop over the observation's fields only",
    "output_limit": f"all texts together are longer than {MAX_REPLY_BYTES} bytes. Write shorter texts, or describe "
    "fewer observations in one call",
    "killed": "the jail ended it: too much memory or time, or a call that is not allowed. Only compute on the "
    "observation",
    "silent_exit": "it ended without a result. Only compute on the observation and return a string",
}
_KNOWN_GOOD: Final = DescribeRequest(
    "def describe(observation, ego):\n    return f'agent {ego} at ' + str(observation['x'])\n",
    StateLayout((StateField(name="x", shape=(), unit="cells", low=0.0, high=1.0, meaning="Where."),)),
    (0,),
    bytes(8),
)


@dataclass(frozen=True)
class Described:
    """One text per observation."""

    texts: tuple[str, ...]
    """What the candidate wrote, `[M]`: printable characters and newlines, at most 4000 each. Quote them as such."""
    warnings: tuple[str, ...]
    """What the evaluator should know, one sentence each; no reason to reject."""
    seconds: float
    """Wall clock of the whole call."""

    def to_accepted(self) -> Accepted:
        """The same as a verdict like any other; its payload is a JSON list of the texts."""
        payload = json.dumps(self.texts, separators=(",", ":")).encode("ascii")
        return Accepted(
            payload=payload,
            payload_sha256=hashlib.sha256(payload).hexdigest(),
            form="describe",
            warnings=self.warnings,
            seconds=self.seconds,
            vdn_difference=None,
        )


def describe_all(
    source: str | bytes,
    observations: NDArray[np.floating[Any]],
    egos: Sequence[int] | NDArray[np.integer[Any]],
    *,
    layout: StateLayout,
    jail: Jail,
    gate: bool = True,
) -> Described | Rejected:
    """Describe observations with a function that anyone may have written; thread-safe.

    Args:
        source: the text of a module that defines `describe(observation, ego)`; bytes must be UTF-8. `observation` is a
            dictionary of numbers and nested lists of numbers by the names of the layout, each call's its own; a whole
            number is an `int`, any other a `float`. `ego` is an `int`.
        observations: `[M, O]`, `1 <= M <= 20000`.
        egos: the agent that each text is for, `[M]`, counted from 0.
        layout: the named fields of an observation.
        jail: where the function runs.
        gate: whether the syntax gate runs first; the layers behind it hold without it.

    Returns:
        `Described` with one text per observation, or `Rejected` with a message for the coder. Its stage `trace` is the
        run in the jail (it raised, or took too much), `contract` is about what it returned.

    Raises:
        ConfigurationError: the observations or egos do not fit the layout.
        JailError: the jail broke; says nothing about the source.
    """
    order = _Order(jail, time.perf_counter())
    packed = _packed(observations, layout)
    agents = _agents(egos, len(observations))
    text = order.admitted(source, DESCRIBE, gate=gate)
    if isinstance(text, Rejected):
        return text
    texts = _texts(order, DescribeRequest(text, layout, agents, packed))
    if isinstance(texts, Rejected):
        return texts
    row = 8 * layout.size
    seen = [packed[start : start + row] for start in range(0, len(packed), row)]
    return Described(texts, tuple(_warnings(texts, seen, agents)), time.perf_counter() - order.started)


class _Order(Call):
    """One call of `describe_all`."""

    def run(self, request: DescribeRequest) -> JobResult:
        """Execute a source in the jail."""
        return self.jail.run(
            "describe", request.to_bytes(), timeout_seconds=DESCRIBE_SECONDS, output_limit=MAX_REPLY_BYTES
        )

    def works(self) -> bool:
        """Whether the jail runs a plain function."""
        result = self.run(_KNOWN_GOOD)
        return result.outcome == "done" and read_describe_reply(result.output, 1) == ("agent 0 at 0",)


def _packed(observations: NDArray[np.floating[Any]], layout: StateLayout) -> bytes:
    """Observations as bytes, after the checks that would otherwise be blamed on a candidate."""
    shape = observations.shape
    if len(shape) != 2 or shape[1] != layout.size or not 1 <= shape[0] <= MAX_ROWS:
        raise ConfigurationError(
            f"observations of shape {list(shape)}",
            cause=f"the layout needs [M, {layout.size}] with M from 1 to {MAX_ROWS}",
            remedy="Give observations of this task, in several calls if there are too many.",
        )
    values = observations.astype("<f8", order="C")
    if not (abs(values) < float("inf")).all():
        raise ConfigurationError(
            "observations", cause="some values are not finite", remedy="Correct the rollouts that they come from."
        )
    return values.tobytes()


def _agents(egos: Iterable[Any], count: int) -> tuple[int, ...]:
    try:
        agents = tuple(int(operator.index(ego)) for ego in egos)
    except TypeError as error:
        raise ConfigurationError(
            "egos", cause=f"not all of them are whole numbers ({error})", remedy="Give one agent's index each."
        ) from error
    if len(agents) != count or min(agents) < 0 or max(agents) >= MAX_AGENTS:
        raise ConfigurationError(
            f"{len(agents)} egos from {min(agents, default=0)} to {max(agents, default=0)}",
            cause=f"there must be one index from 0 to {MAX_AGENTS - 1} for each of the {count} observations",
            remedy="Give the agent that each observation is described for.",
        )
    return agents


def _texts(order: _Order, request: DescribeRequest) -> tuple[str, ...] | Rejected:
    """The texts, or why there are none."""
    result = order.run(request)
    if result.outcome != "done":
        return order.stopped(result, "The function was stopped", _ENDS, order.works)
    reply = read_describe_reply(result.output, len(request.egos))
    if reply is None:
        return order.rejected("trace", "trace", "The function forged its result. Only compute on the observation.")
    return _refused(order, reply, request.source) if isinstance(reply, TraceRefusal) else reply


def _refused(order: _Order, refusal: TraceRefusal, source: str) -> Rejected:
    """A verdict from what the child says, quoted: the candidate may have written any of it."""
    stage: Literal["trace", "contract"] = "contract" if refusal.kind == "contract" else "trace"
    line, where = line_in(source, refusal)
    return order.rejected(stage, stage, f"{where}The function cannot describe: {quoted(refusal.message)}", line)


def _warnings(texts: Sequence[str], observations: Sequence[bytes], egos: Sequence[int]) -> Iterable[str]:
    same = len(set(texts)) == 1 and len(set(observations)) > 1
    if same or _blind(texts, to=observations, given=egos):
        yield "The text does not depend on the observation: it is the same for all observations of an agent."
    if _blind(texts, to=egos, given=observations):
        yield "The text does not depend on `ego`: it is the same for all agents in the same observation."
    lengths = [len(text) for text in texts]
    long = sum(length > LONG_TEXT for length in lengths)
    if long:
        longest = max(lengths)
        yield f"{long} of {len(texts)} texts are longer than {LONG_TEXT} characters; the longest has {longest}."


def _blind(texts: Sequence[str], *, to: Sequence[object], given: Sequence[object]) -> bool:
    """Whether, with `given` fixed, the text never differs although `to` does somewhere."""
    seen: dict[object, set[object]] = defaultdict(set)
    written: dict[object, set[str]] = defaultdict(set)
    for fixed, varied, text in zip(given, to, texts, strict=True):
        seen[fixed].add(varied)
        written[fixed].add(text)
    varying = [fixed for fixed, values in seen.items() if len(values) > 1]
    return bool(varying) and all(len(written[fixed]) == 1 for fixed in varying)
