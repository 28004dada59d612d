"""`trace.jsonl`: the story of a generation, append-only, the ground truth for inspection and replay.

Schema 1. One JSON object per line. Every record has `schema` (1), `type`, `id` (unique in the file: a resumed run
does not tell the same thing twice) and `time` (seconds since 1970, when it was written). Names with a dot follow
OpenTelemetry's conventions for generative AI; HTTP headers and keys are never written.

| type | id | further fields |
|---|---|---|
| `run` | `run` | `task` (the task file's content), `layout`, `settings`, `prompt_hashes`, `gen_ai.request.model`, `server.address` (the base URL), `parameters` |
| `message` | position `role/round/candidate/attempt` | `role`, `round`, `candidate`, `attempt`, `parent` (SHA-256 of the chosen candidate that the prompt builds on, or null), `context_sha256`, `gen_ai.operation.name`, `gen_ai.request.model`, `gen_ai.response.model`, `gen_ai.response.finish_reasons`, `gen_ai.input.messages`, `gen_ai.output.messages` (each `{"role", "parts": [{"type": "text" or "reasoning", "content"}]}`), `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `usage_estimated`, `seconds`, `prompt_differs` |
| `verdict` | `verdict/` + position | `round`, `candidate`, `attempt`, `sha` (null without code), `verdict` (`accepted`, `rejected`, `no_code`) and the fields of the verdict: `stage`, `kind`, `message`, `line`, `seconds`; or `graph_sha256`, `form`, `warnings`, `vdn_difference`, `figures`; `note` on how the code was found |
| `duplicate` | `duplicate/round/candidate` | `round`, `candidate`, `sha`, `of` (SHA-256 of the earlier candidate) |
| `bad_choice` | `bad_choice/` + position | `round`, `attempt`, `message` |
| `choice` | `choice/round` | `round`, `ballot` (number -> SHA-256), `number`, `chosen`, `reason`, `tips` |
| `kept` | `kept/round` | `round`, `chosen`: no new candidate passed, the chosen one stays |
| `all_failed` | `all_failed/round` | `round`, `failures` (the taxonomy that the next round is shown) |
| `error` | `error/` + number | `family`, `message`: why the run stopped |
| `result` | `result` | `chosen`, `graph_sha256`, `calls`, `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `prompts_differing`, `prompts` |
"""  # noqa: E501 (a table)

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qredit.agents.messages import Identity, Message, Position, Reply, prompt_sha256
from qredit.files import AppendOnlyLines, read_json_lines

SCHEMA = 1


class Trace:
    """The trace of a run, open for writing."""

    def __init__(self, path: Path) -> None:
        records = read_json_lines(path) if path.exists() else []  # before opening: a refused file stays closed
        self._ids = {str(record.get("id")) for record in records}
        self._lines = AppendOnlyLines(path)

    def add(self, record_type: str, identifier: str, /, **fields: Any) -> None:
        """Append a record, unless one with this id is there."""
        if identifier in self._ids:
            return
        self._ids.add(identifier)
        record = {"schema": SCHEMA, "type": record_type, "id": identifier, "time": round(time.time(), 3)}
        self._lines.append({**record, **fields})

    def add_error(self, family: str, message: str) -> None:
        """Append the reason of a stop; a run can stop several times."""
        number = 1 + sum(identifier.startswith("error/") for identifier in self._ids)
        self.add("error", f"error/{number}", family=family, message=message[:2000])

    def add_message(
        self, position: Position, identity: Identity, messages: Sequence[Message], reply: Reply, *, parent: str | None
    ) -> None:
        """Append one call with its answer."""
        thoughts = [{"type": "reasoning", "content": reply.reasoning}] if reply.reasoning else []
        self.add(
            "message",
            str(position),
            role=position.role,
            round=position.round,
            candidate=position.candidate,
            attempt=position.attempt,
            parent=parent,
            context_sha256=prompt_sha256(messages),
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": identity.model,
                "gen_ai.response.model": reply.model,
                "gen_ai.response.finish_reasons": [reply.finish_reason] if reply.finish_reason else [],
                "gen_ai.input.messages": [
                    {"role": m.speaker, "parts": [{"type": "text", "content": m.text}]} for m in messages
                ],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [*thoughts, {"type": "text", "content": reply.text}]}
                ],
                "gen_ai.usage.input_tokens": reply.usage.input_tokens,
                "gen_ai.usage.output_tokens": reply.usage.output_tokens,
            },
            usage_estimated=reply.usage.estimated,
            seconds=round(reply.seconds, 3),
            prompt_differs=reply.prompt_differs,
        )

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The records of a trace, oldest first; those of another schema version are left out.

    Raises:
        ArtifactError: missing or damaged.
    """
    return [record for record in read_json_lines(path) if record.get("schema") == SCHEMA]
