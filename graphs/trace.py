"""`trace.jsonl`: the story of a generation, append-only, the ground truth for inspection and replay.

Schema 2. One JSON object per line. Every record has `schema` (2), `type`, `id` (unique in the file: a resumed run
does not tell the same thing twice, and what it tells differently gets the id with `#2`) and `time` (seconds since 1970, when it was written). Names with a dot follow
OpenTelemetry's conventions for generative AI; HTTP headers and keys are never written.

| type | id | further fields |
|---|---|---|
| `run` | `run` | `kind`, `task` (the task file's content), `layout`, `scale`, `igm`, `settings`, `scenes` (situations that figures refer to), `prompt_hashes`, `models` (by role: `gen_ai.request.model`, `server.address` (the base URL), `parameters`) |
| `message` | position `role/round/candidate/attempt` | `role`, `round`, `candidate`, `attempt`, `parent` (SHA-256 of the chosen candidate that the prompt builds on, or null), `context_sha256`, `gen_ai.operation.name`, `gen_ai.request.model`, `gen_ai.response.model`, `gen_ai.response.finish_reasons`, `gen_ai.input.messages`, `gen_ai.output.messages` (each `{"role", "parts": [{"type": "text" or "reasoning", "content"}]}`), `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `usage_estimated`, `seconds`, `response_format` (what the endpoint was held to: `json_schema`, `json_object` or empty), `prompt_differs` |
| `verdict` | `verdict/` + position | `round`, `candidate`, `attempt`, `sha` (null without code), `verdict` (`accepted`, `rejected`, `no_code`) and the fields of the verdict: `stage`, `kind`, `message`, `line`, `seconds`; or `payload_sha256`, `form`, `warnings`, `vdn_difference`, `figures`; `note` on how the code was found |
| `duplicate` | `duplicate/round/candidate` | `round`, `candidate`, `sha`, `of` (SHA-256 of the earlier candidate) |
| `bad_choice` | `bad_choice/` + position | `round`, `attempt`, `message` |
| `choice` | `choice/round` | `round`, `ballot` (number -> SHA-256), `scores` (number -> selection score or null), `eligible` (numbers that could be chosen), `number`, `chosen`, `reason`, `tips` |
| `play_off` | `play_off/round` | `round`, `curves`: what short trainings with the candidates gave |
| `trial` | `trial/round` | `round`, `found`: how the ranker answered probe pairs with the candidates |
| `converged` | `converged/round` | `round`, `patience`: the score stopped rising, the run ends |
| `out_of_budget` | `out_of_budget/` + position | `round`, `message`: a call that was not made |
| `kept` | `kept/round` | `round`, `chosen`: no new candidate passed, the chosen one stays |
| `all_failed` | `all_failed/round` | `round`, `failures` (the taxonomy that the next round is shown) |
| `error` | `error/` + number | `family`, `message`: why the run stopped |
| `result` | `result` | `chosen`, `payload_sha256`, `score`, `stopped` (`converged`, `budget` or empty), `calls`, `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `prompts_differing`, `prompts` |
"""  # noqa: E501 (a table)

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qredit.agents.messages import Identity, Message, Position, Reply, canonical, prompt_sha256
from qredit.errors import ArtifactError
from qredit.files import AppendOnlyLines, read_json_lines, sha256

SCHEMA = 2


class Trace:
    """The trace of a run, open for writing."""

    def __init__(self, path: Path) -> None:
        records = read_json_lines(path) if path.exists() else []  # before opening: a refused file stays closed
        self._told = {str(record.get("id")): _content(record) for record in records}
        self._lines = AppendOnlyLines(path)

    def add(self, record_type: str, identifier: str, /, **fields: Any) -> None:
        """Append a record, unless it has been told.

        What comes out differently than it was told, as after a budget has grown, gets the id `identifier#2` and so on.
        """
        number, numbered = 1, identifier
        record = {"schema": SCHEMA, "type": record_type, "id": identifier, **fields}
        content = _content(record)
        while numbered in self._told:
            if self._told[numbered] == content:
                return
            number += 1
            numbered = f"{identifier}#{number}"
        self._told[numbered] = content
        self._lines.append({**record, "id": numbered, "time": round(time.time(), 3)})

    def add_error(self, family: str, message: str) -> None:
        """Append the reason of a stop; a run can stop several times."""
        number = 1 + sum(identifier.startswith("error/") for identifier in self._told)
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
            response_format=reply.response_format,
            prompt_differs=reply.prompt_differs,
        )

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _content(record: Mapping[str, Any]) -> str:
    """What a record tells, without when and under which id."""
    return sha256(canonical({name: value for name, value in record.items() if name not in ("id", "time")}))


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The records of a trace, oldest first; those of another schema version are left out.

    Raises:
        ArtifactError: missing or damaged, or all of another version.
    """
    everything = read_json_lines(path)
    records = [record for record in everything if record.get("schema") == SCHEMA]
    if everything and not records:
        raise ArtifactError(
            f"trace `{path}`",
            cause=f"it has schema version {everything[0].get('schema')!r}, this qredit reads {SCHEMA}",
            remedy="Read it with the version of qredit that wrote it.",
        )
    return records
