"""The client against a real server: what it sends, what it keeps, and that each fault ends in one clear error."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from qredit.agents import Message, ModelSettings, Position, Reply
from qredit.agents.client import EndpointModel
from qredit.agents.messages import Usage
from qredit.agents.parsing import Unusable, parse_code
from qredit.errors import EndpointError
from tests.agents.protocol_server import Fault, ProtocolServer, completion, protocol_server

MESSAGES = (Message("system", "You are terse."), Message("user", "Say hello."))
POSITION = Position("coder", 1, 1, 1)
KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    """A server that says hello."""
    with protocol_server(lambda request: "hello") as running:
        yield running


class Waits:
    """Instead of sleeping, remember how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def ask(
    server: ProtocolServer,
    *,
    key: str | None = KEY,
    waits: Waits | None = None,
    retries: int = 3,
    timeout: float = 20.0,
) -> Reply:
    """One call."""
    settings = ModelSettings("m", server.base_url, max_retries=retries, timeout_seconds=timeout)
    return asyncio.run(EndpointModel(settings, api_key=key, sleep=waits or Waits()).complete(MESSAGES, POSITION))


def test_a_good_answer(server: ProtocolServer) -> None:
    reply = ask(server)
    assert (reply.text, reply.model, reply.finish_reason) == ("hello", "m-served", "stop")
    assert reply.usage == Usage(100, 20)
    assert reply.prompt_differs is None
    assert reply.seconds > 0
    [request] = server.requests
    assert request["messages"] == [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Say hello."},
    ]
    assert set(request) <= {"model", "messages", "stream"}  # nothing that was not asked for is sent
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_parameters_and_no_key(server: ProtocolServer) -> None:
    settings = ModelSettings(
        "o4-mini", server.base_url, temperature=0.5, top_p=0.9, max_reply_tokens=64, legacy_max_tokens=True
    )
    asyncio.run(EndpointModel(settings).complete(MESSAGES, POSITION))
    [request] = server.requests  # `o4-mini` would switch to another API by its name
    assert (request["temperature"], request["top_p"]) == (0.5, 0.9)
    assert (request["max_completion_tokens"], request["max_tokens"]) == (64, 64)
    assert server.headers[0]["authorization"] == "Bearer unused"


def test_the_environment_does_not_redirect_the_key(server: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads addresses and keys from the environment by itself: ours come first."""
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    assert ask(server, key=None).text == "hello"
    assert server.headers[0]["authorization"] == "Bearer unused"


def test_reasoning_is_kept() -> None:
    for name in ("reasoning_content", "reasoning"):
        body = json.loads(completion("hello", {"model": "m"}, reasoning="thinking"))
        body["choices"][0]["message"][name] = body["choices"][0]["message"].pop("reasoning_content")
        fault = Fault(body=json.dumps(body).encode())
        with protocol_server(lambda request, fault=fault: fault) as server:  # type: ignore[misc]
            assert ask(server).reasoning == "thinking"


def test_usage_that_nobody_tells_is_estimated() -> None:
    body = json.loads(completion("x" * 40, {"model": "m"}))
    del body["usage"]
    with protocol_server(lambda request: Fault(body=json.dumps(body).encode())) as server:
        assert ask(server).usage == Usage((len("You are terse.") + len("Say hello.")) // 4, 10, estimated=True)
    body["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "estimated": True}
    with protocol_server(lambda request: Fault(body=json.dumps(body).encode())) as server:
        assert ask(server).usage == Usage(7, 3, estimated=True)


def test_an_empty_text_is_a_reply() -> None:
    """All tokens went into reasoning: a fault of the model, not of the transport."""
    body = json.loads(completion("", {"model": "m"}))
    body["choices"][0] |= {"finish_reason": "length"}
    body["choices"][0]["message"]["content"] = None
    with protocol_server(lambda request: Fault(body=json.dumps(body).encode())) as server:
        reply = ask(server)
    assert (reply.text, reply.finish_reason) == ("", "length")


def test_three_megabytes_arrive() -> None:
    with protocol_server(lambda request: "x" * 3_000_000) as server:
        assert len(ask(server).text) == 3_000_000


SKETCH = "```python\ndef credit(state):\n    return 1\n```"
BETTER = "```python\ndef credit(state):\n    return 2\n```"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I would rather not.", "The reply has no Python block."),
        ("```python\ndef credit(state):", "The code block has no end"),
        (f"{SKETCH}\nBetter:\n{BETTER}", "def credit(state):\n    return 2\n"),
        (f"{BETTER}\n{'x' * 3_000_000}", "The reply has 3000"),
        ("\ud83d", "The reply has no Python block."),
    ],
    ids=["no code", "half a block", "two blocks", "three megabytes", "half a character"],
)
def test_a_reply_that_is_no_good_is_no_fault_of_the_transport(text: str, found: str) -> None:
    """It is paid for and arrives as it is, once; what is wrong with it is said by whoever reads it."""
    with protocol_server(lambda request: text) as server:
        reply = ask(server)
        assert (reply.text, len(server.requests)) == (text, 1)
    parsed = parse_code(reply.text)
    said = parsed.problem if isinstance(parsed, Unusable) else parsed.source
    assert said.startswith(found)


def test_a_body_that_is_too_large(server: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qredit.agents.transport.LARGEST_BODY", 1000)
    server.answer = lambda request: "x" * 1000
    with pytest.raises(EndpointError, match=r"the body has \d+ bytes, more than 1000"):
        ask(server, retries=0)


GARBLED = {
    "truncated JSON": completion("hello", {"model": "m"})[:-20],
    "invalid UTF-8": completion("hello", {"model": "m"}).replace(b"hello", b"h\xffllo"),
    "a web page": b"<html>Not found</html>",
    "empty choices": b'{"choices": []}',
    "null choices": b'{"choices": null}',
    "no message": b'{"choices": [{}]}',
    "text of the wrong type": b'{"choices": [{"message": {"content": 5}}]}',
    "an error with status 200": b'{"error": {"message": "overloaded"}}',
    "usage of the wrong type": b'{"choices": [{"message": {"content": "x"}}], "usage": 5}',
    "a list": b"[]",
    "nothing": b"",
    "deep nesting": b"[" * 100_000,
}
PASSING = {
    "429": Fault(status=429),
    "500": Fault(status=500),
    "502": Fault(status=502),
    "503": Fault(status=503),
    "reset before": Fault(reset="before"),
    "reset in the middle": Fault(reset="middle"),
    **{name: Fault(body=body) for name, body in GARBLED.items()},
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again(server: ProtocolServer, name: str) -> None:
    waits = Waits()
    server.faults = [PASSING[name], PASSING[name]]
    assert ask(server, waits=waits).text == "hello"
    assert len(server.requests) == 3
    assert len(waits.seconds) == 2
    assert 0.3 < waits.seconds[0] < 0.7 < waits.seconds[1] < 1.4


@pytest.mark.parametrize("name", PASSING)
def test_a_lasting_fault_ends_in_one_error(server: ProtocolServer, name: str) -> None:
    server.faults = [PASSING[name]] * 9
    with pytest.raises(EndpointError, match=r"model `m` at http://127.* did not answer after 3 tries") as caught:
        ask(server, retries=2)
    assert len(server.requests) == 3
    assert "`--resume RUN`" in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=400, message="temperature is not supported"), "HTTP 400; it says: temperature is not supported"),
        (Fault(status=401), "Check OPENAI_API_KEY"),
        (Fault(status=403), "may not use this model"),
        (Fault(status=404), "base URL, which usually ends in /v1"),
        (Fault(status=429, code="insufficient_quota"), "Check the credit"),
        (Fault(status=429, headers={"Retry-After": "3600"}), "asks to wait 3600 s"),
        (Fault(status=302, headers={"Location": "http://127.0.0.1:9/v1/chat/completions"}), "Redirects are not"),
    ],
)
def test_a_hopeless_fault_ends_at_once(server: ProtocolServer, fault: Fault, said: str) -> None:
    server.faults = [fault]
    waits = Waits()
    with pytest.raises(EndpointError, match=said):
        ask(server, waits=waits)
    assert (len(server.requests), waits.seconds) == (1, [])


def test_retry_after_is_obeyed(server: ProtocolServer) -> None:
    waits = Waits()
    server.faults = [
        Fault(status=429, headers={"Retry-After": "7"}),
        Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=429, headers={"Retry-After": "soon"}),
    ]
    assert ask(server, waits=waits).text == "hello"
    assert waits.seconds[:2] == [7.0, 0.0]  # a date in the past, as after a jump of the clock, is now
    assert waits.seconds[2] > 0


def test_a_limit_that_lasts_ends_in_one_error(server: ProtocolServer) -> None:
    """Every wait that is asked for is kept, and the tries are bounded all the same."""
    waits = Waits()
    server.faults = [Fault(status=429, headers={"Retry-After": "2"})] * 9
    with pytest.raises(EndpointError, match=r"after 3 tries: HTTP 429 and asks to wait 2 s.*Wait until the limit"):
        ask(server, waits=waits, retries=2)
    assert (waits.seconds, len(server.requests)) == ([2.0, 2.0], 3)


def test_no_retries(server: ProtocolServer) -> None:
    """For endpoints that queue each request: a repeated one would be answered, and paid for, twice."""
    server.faults = [Fault(status=504)]
    with pytest.raises(EndpointError, match="HTTP 504"):
        ask(server, retries=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [Fault(delay_seconds=30), Fault(body=b" " * 1000, drip_seconds=0.05)])
def test_a_timeout_is_not_paid_twice(server: ProtocolServer, fault: Fault) -> None:
    """Also when bytes keep dripping in."""
    server.faults = [fault]
    with pytest.raises(EndpointError, match=r"no complete answer within 0.4 s.*Raise the timeout"):
        ask(server, timeout=0.4)
    assert len(server.requests) == 1


def test_nothing_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        settings = ModelSettings("m", f"http://127.0.0.1:{held.getsockname()[1]}/v1", max_retries=1)
        with pytest.raises(EndpointError, match=r"after 2 tries: the connection failed.*Check that a server runs"):
            asyncio.run(EndpointModel(settings, sleep=Waits()).complete(MESSAGES, POSITION))


def test_the_key_follows_no_redirect(server: ProtocolServer) -> None:
    seen = list[str]()

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)

        do_GET = do_POST

    other = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        server.faults = [
            Fault(status=s, headers={"Location": f"http://127.0.0.1:{other.server_port}/"}) for s in (307, 301)
        ]
        for _ in range(2):
            with pytest.raises(EndpointError):
                ask(server)
    finally:
        other.shutdown()
        thread.join()
        other.server_close()
    assert seen == []


def test_keys_in_error_bodies_are_redacted(server: ProtocolServer) -> None:
    other = "sk-proj-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    server.faults = [Fault(status=401, message=f"Incorrect API key: {KEY}, not {other}; Bearer abc.def\x1b[2J")]
    with pytest.raises(EndpointError) as caught:
        ask(server)
    assert KEY not in str(caught.value)
    assert other not in str(caught.value)
    assert "abc.def" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.__cause__ is None  # a traceback would show the body


def test_many_at_once(server: ProtocolServer) -> None:
    async def all_of_them() -> list[Reply]:
        model = EndpointModel(ModelSettings("m", server.base_url))
        return await asyncio.gather(*(model.complete(MESSAGES, POSITION) for _ in range(16)))

    assert [reply.text for reply in asyncio.run(all_of_them())] == ["hello"] * 16


def test_tracing_is_off_by_default() -> None:
    """Even where another project's variable switches it on; `LANGSMITH_TRACING` itself decides."""
    script = (
        "from qredit.agents import ModelSettings; from qredit.agents.client import EndpointModel;"
        "EndpointModel(ModelSettings('m', 'http://127.0.0.1:9'));"
        "from langsmith.utils import tracing_is_enabled; print(tracing_is_enabled())"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH_", "LANGCHAIN_"))}
    for extra, expected in (({"LANGCHAIN_TRACING_V2": "true"}, "False"), ({"LANGSMITH_TRACING": "true"}, "True")):
        done = subprocess.run(
            [sys.executable, "-c", script], env={**clean, **extra}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
