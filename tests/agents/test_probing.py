"""What a probe finds out about endpoints that can all, some and nothing of what a generation wants."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass

import pytest

from qredit.agents import ModelSettings
from qredit.agents.listing import list_models
from qredit.agents.local_servers import LARGEST_LIST
from qredit.agents.opening import Endpoint
from qredit.agents.probing import Observation, probe_endpoint
from tests.agents.protocol_server import Fault, ProtocolServer, Request, completion, protocol_server

KEY = "canary.0123"  # looks like no key: only who knows it can take it out
CODE = "```python\ndef credit(state):\n    return state['x'] * 2\n```"
FENCED = '```json\n{"choice": 2, "reason": "r", "tips": "t"}\n```'
TOPICS = [
    "endpoint",
    "model list",
    "chat",
    "system message",
    "usage",
    "reasoning",
    "code block",
    "verdict",
    "reply limit",
    "parallel calls",
    "speed",
    "cost of this probe",
]


@dataclass(frozen=True)
class Able:
    """A server's answers, each as it should be unless told otherwise."""

    chat: str = "Blue. KESTREL"
    code: str = CODE
    reasoning: str | None = None
    forms: tuple[str, ...] = ("json_schema", "json_object")
    obeys_forms: bool = True
    limits: tuple[str, ...] = ("max_completion_tokens",)
    tells_usage: bool = True
    fails: str = ""
    """A word in the last message of the requests that fail."""

    def __call__(self, request: Request) -> str | Fault:
        asked = str(request["messages"][-1]["content"])
        form = str(request.get("response_format", {}).get("type", ""))
        if self.fails and self.fails in asked:
            return Fault(status=400, message="cannot")
        if form and form not in self.forms:
            return Fault(status=400, message="response_format is not supported")
        text, tokens, finish = self.say(asked, form), 60, "stop"
        if "Count" in asked:
            tokens = 150
            for name in self.limits:
                tokens = min(tokens, request.get(name, 150))
            text = text[: 3 * tokens]
        usage = (10, tokens) if self.tells_usage else None
        body = completion(text, request, reasoning=self.reasoning, finish_reason=finish, tokens=usage)
        return Fault(body=body)

    def say(self, asked: str, form: str) -> str:
        """The text of an answer."""
        if "colour" in asked:
            return self.chat
        if "module" in asked:
            return self.code
        if "larger" in asked:
            if not form or not self.obeys_forms:
                return FENCED
            verdict = {"choice": 2, "reason": "r", "tips": "t"}
            return json.dumps({"analysis": "a", **verdict} if form == "json_schema" else verdict)
        return " ".join(map(str, range(1, 61))) if "Count" in asked else "Hello."


def probe(server: ProtocolServer, *, model: str = "m", timeout: float = 20.0) -> dict[str, Observation]:
    """What a probe says, by topic."""
    settings = ModelSettings(model, server.base_url, timeout_seconds=timeout, max_retries=1, max_wait_seconds=0)
    found = asyncio.run(probe_endpoint(Endpoint(settings, KEY)))
    assert len({seen.topic for seen in found}) == len(found)
    assert KEY not in repr(found)
    assert all(seen.remedy == "" or seen.remedy.endswith(".") for seen in found)
    assert not any("--resume" in seen.remedy for seen in found)
    return {seen.topic: seen for seen in found}


def seen_of(able: Able, topic: str) -> Observation:
    """What a probe says of one topic."""
    with protocol_server(able) as server:
        return probe(server)[topic]


def test_all_is_well() -> None:
    with protocol_server(Able()) as server:
        found = probe(server)
    assert list(found) == TOPICS
    assert {seen.state for seen in found.values()} == {"ok"}
    assert found["chat"].detail == "answers: 'Blue. KESTREL'"
    assert found["usage"].detail == "reported: 10 + 60 tokens"
    assert found["verdict"].detail == "json_schema is obeyed"
    assert found["reasoning"].detail == "none given"
    assert "tokens/s" in found["speed"].detail
    # colour, code, verdict, count, hello, goodbye: six chats and the list; 5 * 60 + 24 tokens written
    assert found["cost of this probe"].detail == "7 requests, 60 + 324 tokens"
    assert len(server.requests) + len(server.gets) == 7
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert [(path, headers["authorization"]) for path, headers in server.gets] == [("/v1/models", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("able", "topic", "state", "said"),
    [
        (Able(chat="Blue."), "system message", "note", "not obeyed in this reply"),
        (Able(chat=""), "chat", "missing", "the reply is empty"),
        (Able(chat="<think>KESTREL"), "chat", "missing", "the reply is empty"),
        (Able(chat="<think>KESTREL</think>Blue"), "system message", "note", "not obeyed"),
        (Able(chat="<think>so</think>Blue kestrel"), "reasoning", "ok", "as <think>"),
        (Able(reasoning="well"), "reasoning", "ok", "given separately"),
        (Able(tells_usage=False), "usage", "note", "characters / 4"),
        (Able(tells_usage=False), "speed", "ok", "about "),
        (Able(tells_usage=False), "cost of this probe", "ok", "(some of them estimated)"),
        (Able(code="def credit(state): return 1"), "code block", "missing", "has no Python block"),
        (Able(code=f"{CODE}\nor\n{CODE}"), "code block", "ok", "has 2 blocks"),
        (Able(forms=("json_object",)), "verdict", "ok", "json_object is obeyed"),
        (Able(forms=()), "verdict", "ok", "JSON in the reply is read; json_schema and json_object are refused"),
        (Able(obeys_forms=False), "verdict", "ok", "json_schema is accepted but not obeyed"),
        (Able(fails="larger"), "verdict", "note", "HTTP 400; it says: cannot"),
        (Able(limits=("max_tokens",)), "reply limit", "note", "under its old name only"),
        (Able(limits=("max_tokens", "max_completion_tokens")), "reply limit", "ok", "respected"),
        (Able(limits=()), "reply limit", "note", "ignored under both"),
        (Able(limits=(), tells_usage=False), "reply limit", "note", "ignored under both"),
        (Able(tells_usage=False), "reply limit", "ok", "respected"),
        (Able(fails="Count"), "reply limit", "note", "refused: HTTP 400"),
        (Able(fails="goodbye"), "parallel calls", "note", "1 of 2 failed: HTTP 400"),
    ],
)
def test_each_ability_that_lacks_is_told(able: Able, topic: str, state: str, said: str) -> None:
    seen = seen_of(able, topic)
    assert (seen.state, said in seen.detail) == (state, True), seen


def test_remedies_name_the_options() -> None:
    assert "--legacy-max-tokens" in seen_of(Able(limits=("max_tokens",)), "reply limit").remedy
    assert "--max-concurrency 1" in seen_of(Able(fails="hello"), "parallel calls").remedy


@pytest.mark.parametrize(
    ("word", "failed"),
    [
        ("colour", {"chat", "system message", "usage"}),
        ("module", {"code block"}),
        ("larger", {"verdict"}),
        ("Count", {"reply limit"}),
        ("hello", {"parallel calls"}),
    ],
)
def test_one_failure_hides_no_other_answer(word: str, failed: set[str]) -> None:
    """Each question in turn fails for good; every other topic is told as if nothing had happened."""
    with protocol_server(Able(fails=word)) as server:
        found = probe(server)
    assert list(found) == TOPICS
    assert {topic for topic, seen in found.items() if seen.state != "ok"} == failed


def test_what_passes_is_tried_again_and_counted() -> None:
    with protocol_server(Able()) as server:
        server.faults = [Fault(status=500)]
        found = probe(server)
    assert found["chat"].state == "ok"
    assert found["cost of this probe"].detail.startswith("8 requests")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["m"], "lists `m`"),
        (["other", "m:latest"], "lists `m`"),
        ([], "lists nothing, not `m`"),
        (["a", "b", "c", "d", "e", "f", "g"], "lists `a`, `b`, `c`, `d`, `e` and 2 more, not `m`"),
        (["bad\x1b[2J"], "lists nothing, not `m`"),
    ],
)
def test_the_list_of_models(models: list[str], said: str) -> None:
    with protocol_server(Able()) as server:
        server.models = models
        assert probe(server)["model list"].detail == said


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (Fault(status=404), "HTTP 404"),
        (Fault(status=401, message=f"no {KEY}"), "HTTP 401 no [redacted]"),
        (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (Fault(body=b"<html>"), "the answer is no list of models"),
        (Fault(body=b" " * (LARGEST_LIST + 1)), f"more than {LARGEST_LIST}"),
        (Fault(reset="before"), "Error"),
    ],
)
def test_no_list_is_no_reason_to_stop(listing: Fault, said: str) -> None:
    with protocol_server(Able()) as server:
        server.listing = listing
        found = probe(server)
    assert (found["model list"].state, found["endpoint"].state) == ("note", "ok")
    assert said in found["model list"].detail
    assert list(found) == TOPICS


def test_a_list_that_does_not_end() -> None:
    with protocol_server(Able()) as server:
        server.listing = Fault(body=b" " * 10_000, drip_seconds=0.05)
        settings = ModelSettings("m", server.base_url, timeout_seconds=0.5)
        listing = asyncio.run(list_models(Endpoint(settings, None)))
        assert (listing.names, listing.reachable) == (None, False)
        assert server.gets[0][1]["authorization"] == "Bearer unused"


def unusable(found: dict[str, Observation]) -> None:
    """Check that the other questions were not asked, and that this was said."""
    assert list(found) == [
        "endpoint",
        "model list",
        "chat",
        "system message",
        "usage",
        "the rest",
        "cost of this probe",
    ]
    assert (found["endpoint"].state, found["chat"].state) == ("missing", "missing")
    assert found["the rest"].detail.startswith("not asked")


def test_a_key_that_is_refused() -> None:
    with protocol_server(lambda request: Fault(status=401, message=f"wrong key {KEY}")) as server:
        server.listing = Fault(status=401)
        found = probe(server)
    unusable(found)
    assert "Check OPENAI_API_KEY" in found["endpoint"].remedy
    assert len(server.requests) == 1


def test_a_key_that_is_refused_where_the_list_is_for_all() -> None:
    with protocol_server(lambda request: Fault(status=401)) as server:
        found = probe(server)
    assert found["endpoint"].detail == f"{server.base_url} can be reached"
    assert (found["chat"].state, found["code block"].state) == ("missing", "missing")
    assert "Check OPENAI_API_KEY" in found["chat"].remedy


def test_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = ProtocolServer(Able())
        closed.base_url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        found = probe(closed)
    unusable(found)
    assert "Check that a server runs" in found["endpoint"].remedy


def test_an_endpoint_that_says_nothing() -> None:
    with protocol_server(lambda request: Fault(delay_seconds=60)) as server:
        server.listing = Fault(delay_seconds=60)
        found = probe(server, timeout=0.4)
    unusable(found)
    assert "no complete answer within 0.4 s" in found["endpoint"].detail
    assert len(server.requests) == 1
