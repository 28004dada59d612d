"""Local servers: who answers, what is believed of the answer, and that nothing else is sent or waited for."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import open_model
from qredit.agents.local_servers import LARGEST_LIST, PORTS, LocalServer, find_local_servers, model_names
from qredit.errors import ConfigurationError, RecordingError
from tests.agents.protocol_server import Fault, ProtocolServer, protocol_server

LONG = 30.0
"""Seconds for a search that must not end for want of time."""


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    """A server with two models."""
    with protocol_server(lambda request: "hello") as running:
        running.models = ["llama3", "mistral:7b"]
        yield running


def port_of(server: ProtocolServer) -> int:
    """The port it listens on."""
    port = urlsplit(server.base_url).port
    assert port is not None
    return port


def test_the_usual_ports() -> None:
    assert PORTS == {"Ollama": 11434, "llama.cpp": 8080, "vLLM": 8000, "LM Studio": 1234}


def test_what_answers_is_found_in_order(server: ProtocolServer) -> None:
    with protocol_server(lambda request: "hello") as other, socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        ports = {"A": port_of(other), "B": held.getsockname()[1], "C": port_of(server)}
        found = find_local_servers(ports, timeout_seconds=LONG)
    assert found == (
        LocalServer("A", other.base_url, ("m",)),
        LocalServer("C", server.base_url, ("llama3", "mistral:7b")),
    )
    assert str(found[1]) == f"{server.base_url} (usual port of C) lists llama3, mistral:7b"


def test_no_key_and_no_proxy(server: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert len(find_local_servers({"A": port_of(server)}, timeout_seconds=LONG)) == 1
    [(path, headers)] = server.gets
    assert path == "/v1/models"
    assert set(headers) <= {"host", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    "listing",
    [
        Fault(status=302, headers={"Location": "/v1/models"}),
        Fault(status=401),
        Fault(status=404),
        Fault(status=500),
        Fault(body=b"<html>a web site</html>"),
        Fault(body=b'{"data": 5}'),
        Fault(body=b"[]"),
        Fault(body=b"\xff"),
        Fault(body=b"[" * 100_000),
        Fault(body=b'{"data": [{"id": "m"}]}' + b" " * LARGEST_LIST),
        Fault(reset="before"),
        Fault(reset="middle"),
    ],
)
def test_what_is_no_list_is_no_server(server: ProtocolServer, listing: Fault) -> None:
    server.listing = listing
    assert find_local_servers({"A": port_of(server)}, timeout_seconds=LONG) == ()
    assert len(server.gets) == 1


def test_something_else_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        assert find_local_servers({"A": listening.getsockname()[1]}, timeout_seconds=LONG) == ()
        thread.join()


@pytest.mark.parametrize("fault", [Fault(delay_seconds=LONG), Fault(body=b" " * 10_000, drip_seconds=0.05)])
def test_who_is_slow_is_left_out_and_let_go(server: ProtocolServer, fault: Fault) -> None:
    """Also when bytes keep dripping in. Another server that answers is found all the same."""
    server.listing = fault
    before = set(threading.enumerate())
    with protocol_server(lambda request: "hello") as other:
        ports = {"slow": port_of(server), "good": port_of(other)}
        assert [found.kind for found in find_local_servers(ports, timeout_seconds=2.0)] == ["good"]
        for asking in [t for t in threading.enumerate() if t not in before and "_ask" in t.name]:
            asking.join(60)
            assert not asking.is_alive()  # the server drips for minutes: only a closed connection ends this


def test_names_that_are_shown_are_decent() -> None:
    names = ["good:7b", "bad\x1b[2J", "bidi\u202etxt", "x" * 101, "", "--help", 5, None, "good:7b", "mod\u00e8le"]
    body = json.dumps({"data": [*({"id": name} for name in names), "odd", {}]}).encode()
    assert model_names(body) == ("good:7b", "mod\u00e8le")


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({"data": [{"id": text}]}).encode()))
def test_any_answer_is_read_without_an_accident(body: bytes) -> None:
    for name in model_names(body) or ():
        assert name.isprintable()


def test_the_command_names_a_model_that_chats() -> None:
    def command(*models: str) -> str:
        return LocalServer("Ollama", "http://127.0.0.1:11434/v1", models).command("my-task")

    assert command("llama3") == "qredit generate my-task --model llama3 --base-url http://127.0.0.1:11434/v1"
    assert "--model qwen --" in command("nomic-embed-text:latest", "qwen")
    assert "--model NAME --" in command()
    assert "--model 'a; rm -rf ~' --" in command("a; rm -rf ~")


def test_many_models_are_counted() -> None:
    assert str(LocalServer("X", "http://h/v1", tuple("abcde"))).endswith("lists a, b, c and 2 more")
    assert str(LocalServer("X", "http://h/v1", ())).endswith("lists no model yet")


def test_without_a_model_the_command_for_what_answers_comes_first(server: ProtocolServer) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_model(None, environ={}, task="my-task", local_ports={"Ollama": port_of(server)})
    remedy = caught.value.remedy
    command = f"  qredit generate my-task --model llama3 --base-url {server.base_url}\n"
    assert 0 < remedy.index("usual port of Ollama") < remedy.index(command) < remedy.index("one of four ways")
    assert "--model replay" in remedy


@pytest.mark.parametrize(
    ("name", "environ"), [("gpt", {}), ("gpt", {"OPENAI_API_KEY": "k"}), ("human", {}), ("replay", {})]
)
def test_with_a_model_nobody_is_asked(server: ProtocolServer, name: str, environ: dict[str, str]) -> None:
    with contextlib.suppress(ConfigurationError, RecordingError):
        open_model(name, environ=environ, local_ports={"Ollama": port_of(server)})
    assert server.gets == []
