"""The client for any OpenAI-compatible endpoint, over `langchain_openai.ChatOpenAI`.

Transport retries live here and nowhere else: 408, 409, 429 (with its Retry-After), 5xx, broken connections and garbled
bodies are tried again a bounded number of times; what cannot succeed (401, 404, ...) and a timeout, whose answer may
already be paid for, end at once. Each ends in ONE `EndpointError`. A reply that arrived but is useless (no text, no
code) is no fault of the transport and is returned as it is.

Where a form of reply is wanted, the endpoint is held to it as firmly as it can be: by a JSON schema, else to some JSON
object, else not at all, since the messages ask for the form in words too. What it refuses is not asked for again.

Not covered: streaming, proxies beyond what the HTTP library reads from the environment, several keys.
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qredit.agents.messages import Identity, Message, Position, Reply, ReplySchema, Usage, messages_json
from qredit.agents.settings import ModelSettings
from qredit.agents.telemetry import keep_to_this_machine
from qredit.agents.transport import (
    Fault,
    GarbledBodyError,
    RefusedFormError,
    endpoint_error,
    fault_of,
    reject_garbled,
    reject_refused_form,
)

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

DUMMY_KEY = "unused"  # the library wants one; servers without keys ignore it
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 20.0
RUNGS = ("json_schema", "json_object", "")
"""Forms of a reply that an endpoint can be held to, the firmest first; the last leaves it to the messages."""


class EndpointModel:
    """A chat model at an OpenAI-compatible endpoint.

    Every call opens and closes a connection of its own: calls take seconds to minutes, and a pooled connection that
    has been idle that long is often dead.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        api_key: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._api_key = api_key
        self._sleep = sleep
        self._rung = 0
        self.requests = 0
        """Requests so far, failed ones too."""
        keep_to_this_machine()

    @property
    def identity(self) -> Identity:
        """What answers."""
        return Identity(self._settings.base_url, self._settings.model, self._settings.parameters)

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """Ask the endpoint.

        Raises:
            EndpointError: it refuses, or still fails after the retries.
        """
        tries, rung = 0, self._rung if schema is not None else len(RUNGS) - 1
        while True:
            tries += 1
            try:
                reply = await self._ask_once(messages, _response_format(RUNGS[rung], schema))
            except _faults() as error:
                fault = fault_of(error)
                if fault.kind == "form":
                    tries, rung = tries - 1, rung + 1
                    continue
                wait = self._wait_before_retry(fault, tries)
                if wait is None:
                    raise endpoint_error(fault, self._settings, tries=tries, secrets=(self._api_key,)) from None
            else:
                if schema is not None:
                    self._rung = max(self._rung, rung)  # only now: a refusal of all rungs was about something else
                return replace(reply, response_format=RUNGS[rung])
            await self._sleep(wait)

    def _wait_before_retry(self, fault: Fault, tries: int) -> float | None:
        """Seconds to wait before the next try, or `None` when there is none."""
        settings = self._settings
        if not fault.retryable or tries > settings.max_retries:
            return None
        if fault.retry_after_seconds is not None:
            asked = fault.retry_after_seconds
            return asked if asked <= settings.max_wait_seconds else None
        backoff: float = min(FIRST_BACKOFF_SECONDS * 2 ** (tries - 1), LONGEST_BACKOFF_SECONDS)
        jittered: float = backoff * random.uniform(0.75, 1.25)
        return min(jittered, settings.max_wait_seconds)

    @functools.cached_property
    def _trust(self) -> ssl.SSLContext:
        """Which certificates are believed; read once, since it takes longer than a whole call to a local server."""
        import httpx

        return httpx.create_ssl_context()

    async def _ask_once(self, messages: Sequence[Message], form: Mapping[str, Any] | None) -> Reply:
        import openai

        self.requests += 1
        hooks = [reject_garbled] if form is None else [reject_garbled, reject_refused_form]
        started = time.monotonic()
        async with (
            asyncio.timeout(self._settings.timeout_seconds),  # the whole answer: a slow drip ends too
            openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # a redirect would carry the key to another place
                timeout=self._settings.timeout_seconds,
                verify=self._trust,
                event_hooks={"response": hooks},
            ) as http,
        ):
            answer = await self._chat(http, form).ainvoke(messages_json(messages))
        return _to_reply(answer, messages, seconds=time.monotonic() - started)

    def _chat(self, http: Any, form: Mapping[str, Any] | None) -> ChatOpenAI:
        from pydantic import SecretStr

        from qredit.agents.chat_openai import ReasoningChatOpenAI

        settings = self._settings
        given: dict[str, Any] = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_reply_tokens,
        }
        optional = {name: value for name, value in given.items() if value is not None}
        # Past the library: given a form by its own name, it raises where a reply was cut off, and the reply is lost.
        past: dict[str, Any] = {} if form is None else {"response_format": dict(form)}
        if settings.legacy_max_tokens and settings.max_reply_tokens is not None:
            past["max_tokens"] = settings.max_reply_tokens
        if past:
            optional["extra_body"] = past
        return ReasoningChatOpenAI(
            model=settings.model,
            base_url=settings.base_url,
            api_key=SecretStr(self._api_key or DUMMY_KEY),
            use_responses_api=False,  # the names of some models would switch it on
            max_retries=0,
            timeout=settings.timeout_seconds,
            http_async_client=http,
            cache=False,
            **optional,
        )


def _faults() -> tuple[type[BaseException], ...]:
    """What a call can end with; the list is closed, so that a bug of ours is not taken for a fault of theirs."""
    import openai

    return (openai.OpenAIError, GarbledBodyError, RefusedFormError, TimeoutError)


def _response_format(rung: str, schema: ReplySchema | None) -> dict[str, Any] | None:
    """The parameter that holds a reply to its form; `None` on the last rung."""
    if schema is None or not rung:
        return None
    if rung == "json_object":
        return {"type": rung}
    return {"type": rung, rung: {"name": schema.name, "strict": True, "schema": dict(schema.schema)}}


def _to_reply(answer: AIMessage, messages: Sequence[Message], *, seconds: float) -> Reply:
    content = answer.content if isinstance(answer.content, str) else answer.text
    metadata: Mapping[str, Any] = answer.response_metadata
    reasoning = answer.additional_kwargs.get("reasoning_content")
    return Reply(
        text=str(content),
        reasoning=reasoning if isinstance(reasoning, str) else "",
        usage=_usage(answer, messages, str(content)),
        model=str(metadata.get("model_name") or ""),
        seconds=seconds,
        finish_reason=str(metadata.get("finish_reason") or ""),
    )


def _usage(answer: AIMessage, messages: Sequence[Message], text: str) -> Usage:
    told = answer.usage_metadata
    if not told or not (told["input_tokens"] or told["output_tokens"]):
        read = sum(len(message.text) for message in messages)
        return Usage(read // 4, len(text) // 4, estimated=True)  # never tiktoken, which downloads
    raw = answer.response_metadata.get("token_usage")
    estimated = isinstance(raw, dict) and raw.get("estimated") is True
    return Usage(int(told["input_tokens"]), int(told["output_tokens"]), estimated)
