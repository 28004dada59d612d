"""A small real HTTP server that speaks the OpenAI protocol, faults included, for tests of clients and commands.

    with protocol_server(lambda request: "hello") as server:
        ...  # server.base_url, server.requests; `/v1/models` lists server.models
        server.faults = [Fault(status=429, headers={"Retry-After": "0"})]

Faults are taken from the list one per request, before the answer function is asked. It runs in a thread, answers many
requests at once and listens on loopback only.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Request = dict[str, Any]
Answer = Callable[[Request], "str | Fault"]


@dataclass(frozen=True)
class Fault:
    """One answer that is no good."""

    status: int = 200
    """HTTP status."""
    body: bytes | None = None
    """Body instead of a completion; `None` for an error object in the protocol's form."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""
    message: str = "something is wrong"
    """Text of the error object."""
    code: str = ""
    """Code of the error object, such as `insufficient_quota`."""
    reset: Literal["no", "before", "middle"] = "no"
    """Whether the connection is reset, before any answer or in the middle of a good body."""
    delay_seconds: float = 0.0
    """Wait before the answer; with a status of 200 and no body, the good answer comes then."""
    drip_seconds: float = 0.0
    """Pause between the bytes of the body: an answer that never quite ends."""


class ProtocolServer:
    """The server as a test sees it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.faults: list[Fault] = []
        """Faults for the next requests, the first first."""
        self.requests: list[Request] = []
        """Bodies of the requests so far."""
        self.headers: list[dict[str, str]] = []
        """Headers of the requests so far, names in lower case."""
        self.models = ["m"]
        """Names that the list of models holds."""
        self.listing: Fault | None = None
        """What comes instead of the list of models."""
        self.gets: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each GET so far."""
        self.answered = 0
        """Requests that got a good answer to its last byte."""
        self.base_url = ""
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def take(self, request: Request, headers: dict[str, str]) -> Fault | None:
        """Note a request and take the next fault."""
        with self.lock:
            self.requests.append(request)
            self.headers.append(headers)
            return self.faults.pop(0) if self.faults else None


def completion(
    text: str,
    request: Request,
    *,
    reasoning: str | None = None,
    finish_reason: str = "stop",
    tokens: tuple[int, int] | None = (100, 20),
) -> bytes:
    """A good body; without `tokens` (read, written), the usage is left out."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    data: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{request.get('model')}-served",
        "choices": [choice],
    }
    if tokens is not None:
        data["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return json.dumps(data).encode()


@contextlib.contextmanager
def protocol_server(answer: Answer) -> Iterator[ProtocolServer]:
    """Run a server until the block ends."""
    state = ProtocolServer(answer)

    class Handler(_Handler):
        server_state = state

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: ProtocolServer

    def do_GET(self) -> None:
        state, fault = self.server_state, self.server_state.listing
        with state.lock:
            state.gets.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        entries = [{"id": name, "object": "model"} for name in state.models]
        if fault is None:
            self._send(200, json.dumps({"object": "list", "data": entries}).encode(), {})
            return
        state.closing.wait(fault.delay_seconds)
        self._bad(fault, {})

    def do_POST(self) -> None:
        state = self.server_state
        length = int(self.headers.get("Content-Length", 0))
        request: Request = json.loads(self.rfile.read(length) or b"{}")
        fault = state.take(request, {name.lower(): value for name, value in self.headers.items()})
        if fault is None:
            answer = state.answer(request)
            if isinstance(answer, str):
                self._good(completion(answer, request))
                return
            fault = answer
        state.closing.wait(fault.delay_seconds)
        self._bad(fault, request)

    def _good(self, body: bytes) -> None:
        with self.server_state.lock:  # counted before the last byte: whoever has the answer sees the count
            self.server_state.answered += 1
        self._send(200, body, {})

    def _bad(self, fault: Fault, request: Request) -> None:
        if fault.reset == "before":
            self._reset()
        elif fault.reset == "middle":
            body = completion("a text that is cut off", request)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            time.sleep(0.05)  # lets the client see the half before the reset
            self._reset()
        elif fault.status == 200 and fault.body is None and not fault.drip_seconds:
            text = self.server_state.answer(request)
            assert isinstance(text, str)
            self._good(completion(text, request))
        else:
            error = {"error": {"message": fault.message, "type": "error", "code": fault.code or None}}
            body = fault.body if fault.body is not None else json.dumps(error).encode()
            self._send(fault.status, body, fault.headers, drip_seconds=fault.drip_seconds)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, drip_seconds: float = 0.0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not drip_seconds:
            self.wfile.write(body)
            return
        for byte in body:
            if self.server_state.closing.wait(drip_seconds):
                return
            self.wfile.write(bytes([byte]))

    def _reset(self) -> None:
        """Close with a reset instead of a polite end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""
