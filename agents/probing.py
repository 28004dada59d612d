"""What an endpoint can do, found out with a few small requests; each question stands by itself.

What makes a model unusable for generation is `missing`; what a generation can do without is a `note`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from qredit.agents.client import EndpointModel
from qredit.agents.listing import Listing, list_models
from qredit.agents.messages import Message, Position, Reply, ReplySchema, Usage
from qredit.agents.opening import Endpoint
from qredit.agents.parsing import Unusable, parse_choice, parse_code, split_thinking
from qredit.agents.settings import ModelSettings
from qredit.agents.transport import KEPT
from qredit.agents.verdict_schema import verdict_schema
from qredit.errors import EndpointError

REQUESTS = "7 to 10"
"""How many requests a probe makes when nothing has to be repeated."""
LIMIT_TOKENS = 24
SIGNATURE = "KESTREL"
CHAT = (
    Message("system", f"End every reply with the word {SIGNATURE}."),
    Message("user", "Name one colour. Reply with a single word."),
)
CODE = (
    Message(
        "user",
        "Write a Python module with one function `credit(state)` that returns `state['x'] * 2`. Reply with the "
        "complete module in ONE fenced block that starts with ```python and ends with ```.",
    ),
)
VERDICT = (
    Message(
        "user",
        "Which number is larger, 1 or 2? End with ONE fenced block that starts with ```json and holds exactly this "
        'object: {"choice": 1, "reason": "why, in one sentence", "tips": "how to remember it, in one sentence"}. Where '
        "you are asked to reply with a JSON object alone, do so, and reason in its field `analysis`.",
    ),
)
COUNT = (Message("user", "Count from 1 to 60, in digits, separated by spaces. Write nothing else."),)
PAIR = ((Message("user", "Say hello."),), (Message("user", "Say goodbye."),))
_POSITION = Position("coder", 1, 1, 1)  # a probe is no part of a run; the client does not look at it

Answer = Reply | EndpointError


@dataclass(frozen=True)
class Observation:
    """One thing that was found out."""

    topic: str
    """What was looked at."""
    state: Literal["ok", "missing", "note"]
    """Whether it is as a generation wants it, needs it, or could do without it."""
    detail: str
    """What was seen."""
    remedy: str = ""
    """What to do about it."""


async def probe_endpoint(endpoint: Endpoint) -> tuple[Observation, ...]:
    """Find out what an endpoint can do.

    A question that fails hides no other one; only where the endpoint neither lists its models nor answers a chat
    because it cannot be reached or refuses the key, the others are not asked.
    """
    asker = _Asker(endpoint)
    listing = await list_models(endpoint)
    chat = await asker.ask(CHAT)
    found = [_reach(endpoint.settings, listing, chat), _listed(endpoint.settings.model, listing), *_chat(chat)]
    if isinstance(chat, Reply) or listing.reachable:
        code = await asker.ask(CODE)
        schema = verdict_schema((1, 2))
        found += [_reasoning([chat, code]), _code(code), _verdict(await asker.ask(VERDICT, schema=schema), schema)]
        found += [await _limit(asker), await _pair(asker), _speed(chat, code)]
    else:
        found.append(Observation("the rest", "note", "not asked, since the endpoint cannot be used as it is"))
    return (*found, asker.spent())


class _Asker:
    """Asks, and counts what it costs."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._models: list[EndpointModel] = []
        self._usage = Usage()

    async def ask(
        self, messages: Sequence[Message], *, schema: ReplySchema | None = None, **changes: int | bool
    ) -> Answer:
        settings = replace(self._endpoint.settings, **changes)  # type: ignore[arg-type]
        model = EndpointModel(settings, api_key=self._endpoint.api_key)
        self._models.append(model)
        try:
            reply = await model.complete(messages, _POSITION, schema=schema)
        except EndpointError as error:
            return error
        self._usage += reply.usage
        return reply

    def spent(self) -> Observation:
        requests = sum(model.requests for model in self._models) + 1  # the list of models
        usage = self._usage
        estimated = " (some of them estimated)" if usage.estimated else ""
        tokens = f"{usage.input_tokens} + {usage.output_tokens} tokens{estimated}"
        return Observation("cost of this probe", "ok", f"{requests} requests, {tokens}")


def _reach(settings: ModelSettings, listing: Listing, chat: Answer) -> Observation:
    """Whether the endpoint can be reached, with the key that was given; some list their models without one."""
    if isinstance(chat, Reply):
        return Observation("endpoint", "ok", f"{settings.base_url} answers and accepts the key, if it wants one")
    if listing.reachable:
        return Observation("endpoint", "ok", f"{settings.base_url} can be reached")
    return Observation("endpoint", "missing", f"{settings.base_url}: {chat.cause}", _remedy(chat))


def _listed(model: str, listing: Listing) -> Observation:
    """Whether the list of models, where there is one, has the model."""
    if listing.names is None:
        return Observation("model list", "note", f"none: {listing.problem}")
    if model in listing.names or f"{model}:latest" in listing.names:
        return Observation("model list", "ok", f"lists `{model}`")
    shown = ", ".join(f"`{name}`" for name in listing.names[:5]) or "nothing"
    more = f" and {len(listing.names) - 5} more" if len(listing.names) > 5 else ""
    return Observation("model list", "note", f"lists {shown}{more}, not `{model}`", "Check the model's name.")


def _chat(chat: Answer) -> tuple[Observation, ...]:
    """Whether it answers, obeys the system message and reports its usage."""
    if isinstance(chat, EndpointError):
        unknown = [Observation(topic, "note", "not known: no reply") for topic in ("system message", "usage")]
        return (Observation("chat", "missing", chat.cause, _remedy(chat)), *unknown)
    text = split_thinking(chat.text)[1].strip()
    said = " ".join(text.split())[:60]
    answered = Observation("chat", "ok", f"answers: {said!r}")
    if not text:
        why = ", cut off by its limit of tokens" if chat.finish_reason == "length" else ""
        answered = Observation(
            "chat", "missing", f"the reply is empty{why}", "Choose another model, or raise the limit."
        )
    obeyed = Observation("system message", "ok", "obeyed")
    if SIGNATURE.lower() not in text.lower():
        remedy = "Rules in it may be overlooked: expect more rejected candidates, or choose a stronger model."
        obeyed = Observation("system message", "note", "not obeyed in this reply", remedy)
    usage = chat.usage
    reported = Observation("usage", "ok", f"reported: {usage.input_tokens} + {usage.output_tokens} tokens")
    if usage.estimated:
        reported = Observation("usage", "note", "not reported or estimated; tokens are counted as characters / 4")
    return answered, obeyed, reported


def _reasoning(answers: Sequence[Answer]) -> Observation:
    """Where the reasoning text comes, if it comes."""
    replies = [answer for answer in answers if isinstance(answer, Reply)]
    if any(reply.reasoning for reply in replies):
        return Observation("reasoning", "ok", "given separately, and kept in the trace")
    if any(split_thinking(reply.text)[0] for reply in replies):
        return Observation("reasoning", "ok", "given within the reply as <think>, and told apart from the answer")
    return Observation("reasoning", "ok", "none given")


def _code(answer: Answer) -> Observation:
    """Whether a fenced block of code comes back as asked for."""
    topic = "code block"
    if isinstance(answer, EndpointError):
        return Observation(topic, "missing", answer.cause, _remedy(answer))
    code = parse_code(answer.text, finish_reason=answer.finish_reason)
    if isinstance(code, Unusable):
        return Observation(topic, "missing", code.problem, "Choose a stronger model, or one that writes code.")
    return Observation(topic, "ok", f"one fenced block{f' ({code.note})' if code.note else ''}")


def _verdict(answer: Answer, schema: ReplySchema) -> Observation:
    """How firmly a reply can be held to a form."""
    topic = "verdict"
    if isinstance(answer, EndpointError):
        return Observation(topic, "note", answer.cause, _remedy(answer))
    form, choice = answer.response_format, parse_choice(answer.text, (1, 2), finish_reason=answer.finish_reason)
    asked = f"asked as {form}" if form else "asked in words; json_schema and json_object are refused"
    if isinstance(choice, Unusable):
        remedy = "Verdicts may have to be asked for again: choose a stronger model if it happens often."
        return Observation(topic, "note", f"{asked}: {choice.problem}", remedy)
    whole = _object(answer.text)
    held = whole is not None and (form == "json_object" or set(whole) == set(schema.schema["properties"]))
    if form and held:
        return Observation(topic, "ok", f"{form} is obeyed")
    if form:
        return Observation(topic, "ok", f"{form} is accepted but not obeyed; JSON in the reply is read")
    return Observation(topic, "ok", "JSON in the reply is read; json_schema and json_object are refused")


async def _limit(asker: _Asker) -> Observation:
    """Whether the limit of tokens of a reply is respected, and under which of its names."""
    topic = "reply limit"
    for legacy, detail, remedy in (
        (False, "respected", ""),
        (True, "respected under its old name only", "Add --legacy-max-tokens where you give --max-reply-tokens."),
    ):
        answer = await asker.ask(COUNT, max_reply_tokens=LIMIT_TOKENS, legacy_max_tokens=legacy)
        if isinstance(answer, EndpointError):
            return Observation(topic, "note", f"refused: {answer.cause}", "Leave --max-reply-tokens out.")
        if answer.usage.output_tokens <= 1.5 * LIMIT_TOKENS:
            return Observation(topic, "note" if legacy else "ok", detail, remedy)
    return Observation(topic, "note", "ignored under both of its names", "Limit replies at the server.")


async def _pair(asker: _Asker) -> Observation:
    """Whether two requests at once both get an answer."""
    topic = "parallel calls"
    started = time.monotonic()
    answers = await asyncio.gather(*(asker.ask(messages) for messages in PAIR))
    failed = [answer for answer in answers if isinstance(answer, EndpointError)]
    if not failed:
        return Observation(topic, "ok", f"2 of 2 answered, in {time.monotonic() - started:.1f} s together")
    detail = f"{len(failed)} of 2 failed: {failed[0].cause}"
    return Observation(topic, "note", detail, "Generate with --max-concurrency 1.")


def _speed(chat: Answer, code: Answer) -> Observation:
    """Latency of one call, and tokens per second of the longer one."""
    parts = [f"a short reply took {chat.seconds:.1f} s"] if isinstance(chat, Reply) else []
    if isinstance(code, Reply) and code.seconds > 0:
        about = "about " if code.usage.estimated else ""
        parts.append(f"{about}{code.usage.output_tokens / code.seconds:.0f} tokens/s while writing code")
    return Observation("speed", "ok" if parts else "note", ", ".join(parts) or "not known: no reply")


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that this text is, with nothing around it."""
    try:
        data = json.loads(split_thinking(text)[1])
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _remedy(error: EndpointError) -> str:
    return error.remedy.removesuffix(KEPT)
