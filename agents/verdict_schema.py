"""The form of an evaluator's verdict as a JSON schema, for endpoints that can hold a reply to one."""

from __future__ import annotations

from collections.abc import Collection

from qredit.agents.messages import ReplySchema


def verdict_schema(numbers: Collection[int]) -> ReplySchema:
    """The schema of a verdict over these candidates, in the form that strict endpoints demand.

    `analysis` stands first, since such endpoints write the fields in this order: without it the choice would be made
    before any reasoning. The choice is held to the numbers on the ballot.

    Args:
        numbers: the candidates that may be chosen, at least one.
    """
    if not numbers:
        raise ValueError("a verdict needs a candidate to choose")  # an empty `enum` is no schema
    text = {"type": "string"}
    properties = {
        "analysis": {**text, "description": "The comparison of the candidates, as long as it needs to be."},
        "choice": {"type": "integer", "enum": sorted(set(numbers)), "description": "Number of the chosen candidate."},
        "reason": {**text, "description": "Why this one, in one to three sentences."},
        "tips": {**text, "description": "What the next version should change or try, concretely."},
    }
    return ReplySchema(
        name="verdict",
        schema={
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )
