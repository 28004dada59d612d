"""The words between us and a model: messages, the position of a call in a run, and the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from qredit.files import sha256

Speaker = Literal["system", "user", "assistant"]
Role = Literal["coder", "evaluator", "ranker"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    speaker: Speaker
    """Who says it, in the words of the OpenAI protocol."""
    text: str
    """What is said."""


@dataclass(frozen=True, order=True)
class Position:
    """Where in a run a call stands; no two calls of a run share it."""

    role: Role
    """Which role is asked."""
    round: int
    """Running number of the round, from 1."""
    candidate: int
    """Number of the candidate in its round, from 1; 0 for the evaluator; for the ranker the number of the prompt."""
    attempt: int
    """Number of the attempt, from 1; more than 1 after a reply that could not be used."""

    def __post_init__(self) -> None:
        if self.role not in get_args(Role) or any(
            type(number) is not int for number in (self.round, self.candidate, self.attempt)
        ):
            raise ValueError(f"no position of a run: {self!r}")  # positions also come from files

    def __str__(self) -> str:
        return f"{self.role}/{self.round}/{self.candidate}/{self.attempt}"

    @property
    def sample(self) -> str:
        """Tells apart several calls with the same messages, so that they are several samples and not one."""
        return f"{self.round}/{self.candidate}/{self.attempt}"


@dataclass(frozen=True)
class ReplySchema:
    """The form that a reply should have."""

    name: str
    """A name for the endpoint, such as `verdict`."""
    schema: Mapping[str, Any]
    """JSON schema of an object; every property required and no others, as strict endpoints want it."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, or of several added up."""

    input_tokens: int = 0
    """Tokens read."""
    output_tokens: int = 0
    """Tokens written, those of the reasoning included."""
    estimated: bool = False
    """Whether some of it is an estimate (four characters per token) because the endpoint did not say."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True)
class Identity:
    """What answers: part of the key of a stored reply, of the trace and of an artifact. It holds no secret."""

    endpoint: str
    """Base URL, or `recording:<task>`, or `scripted`."""
    model: str
    """Name of the model."""
    parameters: Mapping[str, float | int | str | bool]
    """Sampling parameters that are sent."""


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    """The answer as it came; empty if the model said nothing."""
    reasoning: str = ""
    """The reasoning text, where the endpoint gives it."""
    usage: Usage = Usage()
    """Tokens of this call."""
    model: str = ""
    """Name of the model as the endpoint reports it."""
    seconds: float = 0.0
    """Time that the call took when it was made."""
    finish_reason: str = ""
    """Why it ended, as the endpoint says: `stop`, or `length` when it was cut off."""
    prompt_differs: bool | None = None
    """For a recorded reply: whether the recorded prompt was another one; `None` for a live reply."""
    response_format: str = ""
    """The form that the endpoint was held to: `json_schema`, `json_object`, or empty if it was asked in words only."""

    def to_json(self) -> dict[str, Any]:
        """The reply as JSON data; `from_json` reads it back."""
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "usage": {
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "estimated": self.usage.estimated,
            },
            "model": self.model,
            "seconds": round(self.seconds, 3),
            "finish_reason": self.finish_reason,
            "prompt_differs": self.prompt_differs,
            "response_format": self.response_format,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Reply:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        usage = data["usage"]
        differs = data.get("prompt_differs")
        return Reply(
            text=_text(data["text"]),
            reasoning=_text(data["reasoning"]),
            usage=Usage(int(usage["input_tokens"]), int(usage["output_tokens"]), bool(usage["estimated"])),
            model=_text(data["model"]),
            seconds=float(data["seconds"]),
            finish_reason=_text(data["finish_reason"]),
            prompt_differs=None if differs is None else bool(differs),
            response_format=_text(data.get("response_format", "")),  # older records have none
        )


class ChatModel(Protocol):
    """What answers messages. Made for tests and for other back ends as much as for our own client.

    `complete` may be called many times at once. It raises `QreditError` and nothing else: `EndpointError` when the
    endpoint fails for good (transport retries are its own affair), `RecordingError` when a recording ends.
    """

    @property
    def identity(self) -> Identity:
        """What answers."""
        ...

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """Answer these messages.

        Args:
            messages: the whole context.
            position: which call of the run this is.
            schema: a JSON schema that the reply should follow, where the model's endpoint can be held to it. It is no
                part of what is asked: the messages say the form in words too.
        """
        ...


def messages_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as JSON data in the OpenAI protocol's form."""
    return [{"role": message.speaker, "content": message.text} for message in messages]


def prompt_sha256(messages: Sequence[Message]) -> str:
    """The content hash of a context."""
    return sha256(canonical(messages_json(messages)))


def canonical(data: Any) -> bytes:
    """The one way to write JSON data for hashing; lone surrogates, which some models emit, survive as escapes."""
    return json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value
