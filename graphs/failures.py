"""The taxonomy of a round's failures, as the next round's coders and the user read it."""

from __future__ import annotations

from collections.abc import Sequence

from qredit.graphs.candidates import Candidates
from qredit.graphs.state import Outcome
from qredit.sandbox.verdict import Rejected

MOST = 6


def taxonomy(outcomes: Sequence[Outcome], candidates: Candidates) -> list[str]:
    """One line per kind of failure: how many candidates, at which check, and the first message of that kind."""
    groups: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome["status"] in ("accepted", "not_asked"):
            continue
        judged = candidates.judged(outcome["sha"]) if outcome["sha"] else None
        if outcome["status"] == "no_code" or judged is None or not isinstance(judged.verdict, Rejected):
            groups.setdefault("reply without usable code", []).append("no single complete Python block was found")
        else:
            rejected = judged.verdict
            kind = f"check `{rejected.stage}`" + (f" ({rejected.kind})" if rejected.kind != rejected.stage else "")
            groups.setdefault(kind, []).append(rejected.message)
    lines = [f"{len(messages)} x {kind}: {messages[0]}" for kind, messages in groups.items()]
    return lines[:MOST]
