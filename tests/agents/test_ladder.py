"""A form of reply that is asked for: as firmly as the endpoint allows, and each refusal paid for once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from qredit.agents import Message, ModelSettings, Position, Reply
from qredit.agents.client import EndpointModel
from qredit.agents.parsing import Choice, Unusable, parse_choice
from qredit.agents.transport import refuses_form
from qredit.agents.verdict_schema import verdict_schema
from qredit.errors import EndpointError
from tests.agents.protocol_server import Fault, ProtocolServer, Request, completion, protocol_server

MESSAGES = (Message("user", "Reply with a JSON object."),)
POSITION = Position("evaluator", 1, 0, 1)
SCHEMA = verdict_schema((1, 2))
FENCED = '```json\n{"choice": 2, "reason": "r", "tips": "t"}\n```'
WHOLE = '{"analysis": "a", "choice": 2, "reason": "r", "tips": "t"}'


def form_of(request: Request) -> str:
    """The form that a request asks for."""
    return str(request.get("response_format", {}).get("type", ""))


def server_with(*known: str, refusal: Fault | None = None, text: str = FENCED) -> Callable[[Request], str | Fault]:
    """An answer function of a server that knows these forms and refuses the others."""
    refused = refusal or Fault(status=400, message="response_format is not supported")

    def answer(request: Request) -> str | Fault:
        form = form_of(request)
        return (WHOLE if form else text) if form in ("", *known) else refused

    return answer


def ask(server: ProtocolServer, times: int = 1, *, retries: int = 0, key: str | None = None) -> list[Reply]:
    """So many calls of one client."""
    settings = ModelSettings("m", server.base_url, max_retries=retries, max_wait_seconds=0, timeout_seconds=20)
    model = EndpointModel(settings, api_key=key)

    async def calls() -> list[Reply]:
        return [await model.complete(MESSAGES, POSITION, schema=SCHEMA) for _ in range(times)]

    replies = asyncio.run(calls())
    assert model.requests == len(server.requests)
    return replies


def test_the_form_of_a_verdict() -> None:
    """As strict endpoints want it; the reasoning first, and no candidate that is not on the ballot."""
    schema = verdict_schema([3, 1, 3]).schema
    assert list(schema["properties"]) == schema["required"] == ["analysis", "choice", "reason", "tips"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["choice"]["enum"] == [1, 3]
    assert {name: field["type"] for name, field in schema["properties"].items()} == {
        "analysis": "string",
        "choice": "integer",
        "reason": "string",
        "tips": "string",
    }
    with pytest.raises(ValueError, match="needs a candidate"):
        verdict_schema([])


def test_the_highest_rung() -> None:
    with protocol_server(server_with("json_schema", "json_object")) as server:
        [reply] = ask(server)
    assert reply.response_format == "json_schema"
    assert parse_choice(reply.text, (1, 2)) == Choice(2, "r", "t")
    [request] = server.requests
    assert request["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA.schema},
    }


def test_the_middle_rung_is_remembered() -> None:
    with protocol_server(server_with("json_object")) as server:
        replies = ask(server, 2)
    assert [form_of(request) for request in server.requests] == ["json_schema", "json_object", "json_object"]
    assert [reply.response_format for reply in replies] == ["json_object", "json_object"]
    assert server.requests[1]["response_format"] == {"type": "json_object"}


def test_the_lowest_rung_is_remembered() -> None:
    with protocol_server(server_with()) as server:
        replies = ask(server, 2)
    assert [form_of(request) for request in server.requests] == ["json_schema", "json_object", "", ""]
    assert "response_format" not in server.requests[3]
    assert [reply.response_format for reply in replies] == ["", ""]
    assert parse_choice(replies[1].text, (1, 2)) == Choice(2, "r", "t")


def test_without_a_schema_no_form_is_asked_for() -> None:
    with protocol_server(server_with()) as server:
        reply = asyncio.run(EndpointModel(ModelSettings("m", server.base_url)).complete(MESSAGES, POSITION))
    assert reply.response_format == ""
    assert [form_of(request) for request in server.requests] == [""]


def test_a_server_that_ignores_the_form() -> None:
    with protocol_server(lambda request: FENCED) as server:
        [reply] = ask(server)
    assert parse_choice(reply.text, (1, 2)) == Choice(2, "r", "t")


def body_of(data: Any) -> bytes:
    """JSON data as a body."""
    return json.dumps(data).encode()


REFUSALS = {
    "openai, older model": Fault(
        status=400,
        message="Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ),
    "openai, bad schema": Fault(status=400, message="Invalid schema for response_format 'verdict': enum is no type"),
    "deepseek": Fault(status=400, message="This response_format type is unavailable now"),
    "deepseek, another": Fault(
        status=422, body=b"Failed to deserialize the JSON body: response_format: unknown variant `json_schema`"
    ),
    "lm studio": Fault(status=400, body=body_of({"error": "'response_format.type' must be 'json_schema' or 'text'"})),
    "older llama.cpp": Fault(
        status=500, message='response_format type must be one of "text" or "json_object", but got: json_schema'
    ),
    "llama.cpp": Fault(status=400, message="Failed to initialize samplers: failed to parse grammar"),
    "in words": Fault(status=400, message="This model does not support response format `json_schema`."),
    "a form that was not reached": Fault(status=400, message="Failed to generate JSON", code="json_validate_failed"),
    "gemini": Fault(status=400, message="Unknown name \"additionalProperties\" at 'generation_config.response_schema'"),
    "no such parameters": Fault(status=404, message="No endpoints found that can handle the requested parameters."),
    "strict about names": Fault(
        status=422, body=body_of({"detail": [{"loc": ["body"], "msg": "Extra inputs are not permitted"}]})
    ),
    "an old server": Fault(status=400, message="Unrecognized request argument supplied: response_format"),
    "a gateway": Fault(
        status=400, body=body_of({"error": {"metadata": {"raw": '{"message": "structured outputs: no"}'}}})
    ),
    "not implemented": Fault(status=501, message="json_schema is not implemented"),
    "a list": Fault(status=422, body=body_of(["response_format"])),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_way_to_refuse(name: str) -> None:
    """The refusal is no try of the transport: there is none to spare here."""
    with protocol_server(server_with(refusal=REFUSALS[name])) as server:
        [reply] = ask(server, retries=0)
    assert (reply.text, len(server.requests)) == (FENCED, 3)


OTHERS = {
    "key": Fault(status=401, message="Incorrect API key; response_format needs a paid account"),
    "permission": Fault(status=403, message="json_schema is for other plans"),
    "too many": Fault(status=429, message="too many requests with response_format"),
    "too long": Fault(
        status=400, message="maximum context length is 4096 tokens, with your response_format", code="context_length"
    ),
    "too long, in other words": Fault(status=400, message="prompt is too long for structured outputs"),
    "temperature": Fault(status=400, message="Unsupported parameter: 'temperature' is not supported"),
    "limit": Fault(status=400, message="Unrecognized request argument supplied: max_completion_tokens"),
    "model": Fault(status=404, message="The model `m` does not exist"),
    "anything": Fault(status=400, message="no"),
    "trouble": Fault(status=500, message="Unsupported parameter"),
    "garbled": Fault(body=b"response_format"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_refusal_of_the_form(name: str) -> None:
    with protocol_server(lambda request: OTHERS[name]) as server, pytest.raises(EndpointError):
        ask(server)
    assert [form_of(request) for request in server.requests] == ["json_schema"]


def test_an_error_that_only_mentions_the_form_is_not_remembered() -> None:
    """A server that repeats the request in its errors: the rung is lost for this call at most."""
    echo = Fault(status=422, message="bad seed in {'response_format': 1}")
    with protocol_server(server_with("json_schema")) as server:
        server.faults = [echo, echo, echo]
        settings = ModelSettings("m", server.base_url)
        model = EndpointModel(settings)
        with pytest.raises(EndpointError, match="bad seed"):
            asyncio.run(model.complete(MESSAGES, POSITION, schema=SCHEMA))
        assert len(server.requests) == 3
        assert asyncio.run(model.complete(MESSAGES, POSITION, schema=SCHEMA)).response_format == "json_schema"


def test_faults_on_the_way_down_are_tried_again() -> None:
    """A refusal leaves the tries of the transport as they were: one is left after the first 500, none after that."""
    with protocol_server(server_with("json_object")) as server:
        server.faults = [Fault(status=500), REFUSALS["deepseek"]]
        [reply] = ask(server, retries=1)
        assert (reply.response_format, len(server.requests)) == ("json_object", 3)
        server.faults = [Fault(status=500), REFUSALS["deepseek"], Fault(status=500)]
        with pytest.raises(EndpointError, match="after 2 tries"):
            ask_again(server)


def ask_again(server: ProtocolServer) -> None:
    """One call of another client, which has one retry."""
    settings = ModelSettings("m", server.base_url, max_retries=1, max_wait_seconds=0)
    asyncio.run(EndpointModel(settings).complete(MESSAGES, POSITION, schema=SCHEMA))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"analysis": "Candidate 1 uses {} and so', "The reply was cut off before its verdict ended"),
        ('{"analysis": "", "choice": 2, "reason": "because', "The reply was cut off before its verdict ended"),
        ("", "all its tokens went into reasoning"),
    ],
)
def test_a_verdict_that_is_cut_off_is_a_reply(text: str, said: str) -> None:
    """The library below would raise here, and the tokens would be lost."""
    body = completion(text, {"model": "m"}, finish_reason="length")
    with protocol_server(lambda request: Fault(body=body)) as server:
        [reply] = ask(server)
    assert (reply.text, reply.finish_reason, reply.response_format) == (text, "length", "json_schema")
    assert reply.usage.output_tokens == 20
    found = parse_choice(reply.text, (1, 2), finish_reason=reply.finish_reason)
    assert isinstance(found, Unusable)
    assert said in found.problem


def test_many_at_once() -> None:
    """Calls that learn of the refusal together pay for it each, and none goes up again."""
    with protocol_server(server_with("json_object")) as server:
        model = EndpointModel(ModelSettings("m", server.base_url))

        async def all_of_them() -> list[Reply]:
            return await asyncio.gather(*(model.complete(MESSAGES, POSITION, schema=SCHEMA) for _ in range(4)))

        assert {reply.response_format for reply in asyncio.run(all_of_them())} == {"json_object"}
        asked = len(server.requests)
        asyncio.run(model.complete(MESSAGES, POSITION, schema=SCHEMA))
        assert len(server.requests) == asked + 1


@pytest.mark.parametrize("status", [200, 302, 401, 402, 403, 408, 409, 413, 429, 502, 503])
def test_other_statuses_are_never_a_refusal(status: int) -> None:
    assert not refuses_form(status, "response_format json_schema unsupported parameter")


def test_a_reply_remembers_its_form_and_older_records_are_read() -> None:
    data = Reply("x", response_format="json_object").to_json()
    assert Reply.from_json(data).response_format == "json_object"
    del data["response_format"]
    assert Reply.from_json(data).response_format == ""
