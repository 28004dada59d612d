"""`qredit inspect`: a generation's trace as typed data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qredit.errors import ArtifactError, ConfigurationError
from qredit.files import read_untrusted
from qredit.graphs import read_trace
from qredit.runs import Run, open_run

SOURCE_LIMIT = 1_000_000
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Attempt:
    """One reply of the coder and what became of it."""

    number: int
    """Its number among all attempts of the run, from 1, as `--code` and `--diff` take it."""
    round: int
    """Round, from 1."""
    candidate: int
    """Candidate of the round, from 1."""
    attempt: int
    """Attempt of the candidate, from 1."""
    verdict: str
    """`accepted`, `rejected` or `no_code`."""
    message: str
    """Why it was rejected, or the warnings of an accepted one; may quote what a model wrote."""
    line: int | None
    """Line of the code that the message is about."""
    sha: str | None
    """SHA-256 of the source; `None` without code."""
    seconds: float
    """How long the model took."""
    tokens: int
    """Tokens read and written."""
    figures: str
    """What was measured on an accepted one."""
    score: float | None
    """Its selection score, where there is one."""


@dataclass(frozen=True)
class Exchange:
    """What a model was told and what it said, word by word."""

    prompt: tuple[tuple[str, str], ...]
    """(speaker, text) of each message."""
    reasoning: str
    """Its reasoning, where the endpoint gave it."""
    reply: str
    """Its answer."""


@dataclass(frozen=True)
class Choice:
    """The choice of one round."""

    round: int
    """Round, from 1."""
    chosen: str
    """SHA-256 of the chosen source."""
    reason: str
    """Why, in the evaluator's words where it chose; empty where no new candidate passed."""
    tips: str
    """Tips for the next round."""


@dataclass(frozen=True)
class Inspection:
    """The story of a generation."""

    run: Run
    """The run folder."""
    task: str
    """Name of the task."""
    kind: str
    """What kind of program was written."""
    scenes: str
    """Situations that the figures refer to."""
    model: str
    """Which model was asked; several if the roles have different ones."""
    status: str
    """Status of the run: running, finished, failed, interrupted."""
    attempts: tuple[Attempt, ...]
    """All replies of the coder, in the order of rounds and candidates."""
    choices: tuple[Choice, ...]
    """The choice of each round."""
    notes: tuple[str, ...]
    """Duplicates, unusable choices, rounds in which all failed, and errors, in the order in which they happened."""
    chosen: str
    """SHA-256 of the final function; empty while there is none."""
    input_tokens: int
    """Tokens read by the models."""
    output_tokens: int
    """Tokens written by the models."""
    seconds: float
    """Model time, all calls added up."""

    def attempt(self, number: int) -> Attempt | None:
        """The attempt of this number, if there is one."""
        return next((a for a in self.attempts if a.number == number), None)

    def source(self, number: int) -> str:
        """The code of an attempt.

        Raises:
            ConfigurationError: there is no such attempt, or it had no code.
        """
        found = self.attempt(number)
        if found is None or found.sha is None:
            raise ConfigurationError(
                f"candidate {number} of run `{self.run.path}`",
                cause="it had no code" if found else f"there are {len(self.attempts)}",
                remedy="Give a number from the first column of `qredit inspect RUN`.",
            )
        path = self.run.path / "candidates" / f"{found.sha}.py"
        return read_untrusted(path, limit=SOURCE_LIMIT).decode("utf-8", "replace")


def exchange(run: Run, position: str) -> Exchange:
    """One call of a generation.

    Args:
        run: the run folder.
        position: `role/round/candidate/attempt`; the evaluator's candidate is 0: `evaluator/1/0/1`.

    Raises:
        ConfigurationError: there is no such call.
        ArtifactError: the trace is damaged.
    """
    records = [r for r in read_trace(run.trace_path) if r.get("type") == "message"]
    found = next((r for r in records if r.get("id") == position), None)
    if found is None:
        known = ", ".join(str(r.get("id")) for r in records[:8])
        raise ConfigurationError(
            f"call `{position}` of run `{run.path}`",
            cause=f"it has {len(records)} calls, and none of this position",
            remedy=f"Give role/round/candidate/attempt; there are {known}, ...",
        )
    try:
        asked, said = found["gen_ai.input.messages"], found["gen_ai.output.messages"][0]["parts"]
        prompt = tuple((str(m["role"]), "".join(str(part["content"]) for part in m["parts"])) for m in asked)
        texts = {kind: "".join(str(p["content"]) for p in said if p["type"] == kind) for kind in ("reasoning", "text")}
    except (KeyError, TypeError, IndexError) as error:
        raise ArtifactError(
            f"trace `{run.trace_path}`",
            cause=f"the record of call `{position}` is malformed ({error!r})",
            remedy="Copy the run again.",
        ) from error
    return Exchange(prompt, texts["reasoning"], texts["text"])


def inspect_run(name_or_path: str | Path) -> Inspection:
    """Read the trace of a generation, finished or not.

    Raises:
        UnknownNameError: no such run.
        RunFolderError: it is no generation, or of another version.
        ArtifactError: the trace is damaged.
    """
    run = open_run(name_or_path, kind=("generate", "rank"))
    records = read_trace(run.trace_path) if run.trace_path.exists() else []
    try:
        return _story(run, records)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ArtifactError(
            f"trace `{run.trace_path}`",
            cause=f"a record is malformed ({type(error).__name__}: {error})",
            remedy="Copy the run again; a finished run's `artifact/` does not need its trace.",
        ) from error


def _story(run: Run, records: Sequence[Mapping[str, Any]]) -> Inspection:
    head: Mapping[str, Any] = next((r for r in reversed(records) if r["type"] == "run"), {})
    messages = {r["id"]: r for r in records if r["type"] == "message"}
    verdicts = sorted(
        (r for r in records if r["type"] == "verdict"), key=lambda r: (r["round"], r["candidate"], r["attempt"])
    )
    record = run.record
    return Inspection(
        run=run,
        task=str(head.get("task", {}).get("name", record.get("name", ""))),
        kind=str(head.get("kind", "")),
        scenes=str(head.get("scenes", "")),
        model=", ".join(dict.fromkeys(str(m["gen_ai.request.model"]) for m in head.get("models", {}).values())),
        status=str(record.get("status", "")),
        attempts=tuple(_attempt(n, v, messages) for n, v in enumerate(verdicts, 1)),
        choices=tuple({r["round"]: _choice(r) for r in records if r["type"] in ("choice", "kept")}.values()),
        notes=tuple(note for r in records if (note := _note(r))),
        chosen=next((str(r["chosen"]) for r in reversed(records) if r["type"] == "result"), ""),
        input_tokens=sum(int(m["gen_ai.usage.input_tokens"]) for m in messages.values()),
        output_tokens=sum(int(m["gen_ai.usage.output_tokens"]) for m in messages.values()),
        seconds=sum(float(m["seconds"]) for m in messages.values()),
    )


def _attempt(number: int, record: Mapping[str, Any], messages: Mapping[str, Mapping[str, Any]]) -> Attempt:
    call = messages.get(str(record["id"]).removeprefix("verdict/"), {})
    read, written = call.get("gen_ai.usage.input_tokens", 0), call.get("gen_ai.usage.output_tokens", 0)
    sha = record.get("sha")
    if sha is not None and not (isinstance(sha, str) and _SHA.fullmatch(sha)):  # it becomes part of a path
        raise ValueError("`sha` is no SHA-256")
    line = record.get("line")
    return Attempt(
        number=number,
        round=int(record["round"]),
        candidate=int(record["candidate"]),
        attempt=int(record["attempt"]),
        verdict=str(record["verdict"]),
        message=str(record.get("message") or "; ".join(record.get("warnings") or ())),
        line=None if line is None else int(line),
        sha=sha,
        seconds=float(call.get("seconds", 0.0)),
        tokens=int(read) + int(written),
        figures=str(record.get("figures") or ""),
        score=None if record.get("score") is None else float(record["score"]),
    )


def _choice(record: Mapping[str, Any]) -> Choice:
    reason, tips = str(record.get("reason", "")), str(record.get("tips", ""))
    return Choice(int(record["round"]), str(record["chosen"]), reason, tips)


def _note(record: Mapping[str, Any]) -> str:
    where = f"round {record.get('round')}"
    match record["type"]:
        case "duplicate":
            return f"{where}, candidate {record['candidate']}: the same as {str(record['of'])[:8]}, left out"
        case "bad_choice":
            return f"{where}: the evaluator's reply could not be used: {record['message']}"
        case "all_failed":
            return f"{where}: all candidates failed: {'; '.join(record['failures'])}"
        case "converged":
            return f"{where}: the best score had not risen for {record['patience']} rounds, the run ended"
        case "play_off":
            return f"{where}: short trainings:\n{record['curves']}"
        case "out_of_budget":
            return f"{where}: {record['message']}"
        case "error":
            return f"stopped: {record['message']}"
    return ""
