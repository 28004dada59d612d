"""What a ranker is given: `describe(observation, ego) -> str`, and a `GUIDE` in words (LCA, sections 4.1 and 4.2)."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qredit.graphs.kinds.describe import DESCRIBE, describes
from qredit.graphs.kinds.kind import Assignment, Kind
from qredit.prompts import kind_templates

if TYPE_CHECKING:
    from qredit.sandbox import Accepted, Jail, Rejected, Verdict

SHORTEST_GUIDE, LONGEST_GUIDE = 100, 4000
"""Characters."""


@dataclass(frozen=True)
class RankingProgram:
    """An accepted program, as its payload holds it."""

    source: str
    """The module's text; `describe` in it runs in the jail alone."""
    guide: str
    """What the ranker is told besides the task."""
    texts: tuple[str, ...]
    """What it wrote about the probe states, each for every agent, `[M N]`."""

    def to_payload(self) -> bytes:
        """As JSON; `program_of` reads it back."""
        data = {"source": self.source, "guide": self.guide, "texts": self.texts}
        return json.dumps(data, separators=(",", ":"), sort_keys=True).encode("ascii")


def program_of(payload: bytes) -> RankingProgram:
    """Read what `to_payload` wrote.

    Raises:
        ValueError: it is something else.
    """
    data = json.loads(payload)
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in ("source", "guide")):
        raise ValueError("no payload of the kind `ranking`")
    return RankingProgram(data["source"], data["guide"], tuple(str(text) for text in data["texts"]))


def guide_of(source: str) -> str | Rejected:
    """The string that the module assigns to `GUIDE`, read and not executed."""
    from qredit.sandbox import Rejected

    found = [
        node.value.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "GUIDE" for target in node.targets)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    problem = None
    if len(found) != 1:
        problem = f"the module has {len(found)} assignments of a plain string to `GUIDE`; it needs exactly one"
    elif not SHORTEST_GUIDE <= len(found[0].strip()) <= LONGEST_GUIDE:
        length = len(found[0].strip())
        problem = f"`GUIDE` has {length} characters; write {SHORTEST_GUIDE} to {LONGEST_GUIDE}"
    elif not all(c.isprintable() or c == "\n" for c in found[0]):
        problem = "`GUIDE` holds characters that cannot be printed"
    if problem is not None:
        message = f"{problem[0].upper()}{problem[1:]}."
        return Rejected("contract", "unsupported", message, line=None, seconds=0.0)
    return found[0].strip()


def _check(source: str, assignment: Assignment, jail: Jail) -> Verdict:
    from qredit.sandbox import Rejected

    verdict = describes(source, assignment, jail)
    if isinstance(verdict, Rejected):
        return verdict
    guide = guide_of(source)
    if isinstance(guide, Rejected):
        return guide
    payload = RankingProgram(source, guide, tuple(json.loads(verdict.payload))).to_payload()
    return replace(verdict, payload=payload, payload_sha256=hashlib.sha256(payload).hexdigest(), form="ranking")


def _texts_only(accepted: Accepted) -> Accepted:
    return replace(accepted, payload=json.dumps(program_of(accepted.payload).texts).encode("ascii"))


def _measure(accepted: Accepted, assignment: Assignment) -> str:
    return DESCRIBE.measure(_texts_only(accepted), assignment)


RANKING = Kind(
    name="ranking",
    title="situations in words and a guide for the ranker, for potentials out of rankings (`qredit rank`)",
    functions=("describe",),
    templates=kind_templates("ranking"),
    check=_check,
    measure=_measure,
    scenes=DESCRIBE.scenes,
    noun="module",
    source_file="describe.py",
)
