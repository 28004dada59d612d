"""Which local model servers answer on this machine, asked without a key, and what they offer."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

PORTS: Mapping[str, int] = {"Ollama": 11434, "llama.cpp": 8080, "vLLM": 8000, "LM Studio": 1234}
"""The ports that these servers take unless told otherwise; something else may listen there."""
TIMEOUT_SECONDS = 0.5
LARGEST_LIST = 1_000_000
LONGEST_NAME = 100
SHOWN = 3


@dataclass(frozen=True)
class LocalServer:
    """A server on this machine that lists models as the OpenAI protocol has it."""

    kind: str
    """The server whose usual port it is; what really answers there is not known."""
    base_url: str
    """Base URL for `--base-url`."""
    models: tuple[str, ...]
    """Models that it lists, in its order."""

    def __str__(self) -> str:
        shown = ", ".join(self.models[:SHOWN]) or "no model yet"
        more = f" and {len(self.models) - SHOWN} more" if len(self.models) > SHOWN else ""
        return f"{self.base_url} (usual port of {self.kind}) lists {shown}{more}"

    def command(self, task: str) -> str:
        """The command that generates with it."""
        chat = next((name for name in self.models if "embed" not in name.lower()), "NAME")
        return f"qredit generate {task} --model {shlex.quote(chat)} --base-url {self.base_url}"


def find_local_servers(
    ports: Mapping[str, int] | None = None, *, timeout_seconds: float | None = None
) -> tuple[LocalServer, ...]:
    """Ask the usual ports for their models, all at once, and no longer than the given time.

    No key is sent, no redirect is followed and no proxy is used.

    Args:
        ports: kind of server -> port; by default `PORTS`.
        timeout_seconds: longest time for all of it; by default `TIMEOUT_SECONDS`.
    """
    asked = PORTS if ports is None else ports
    seconds = TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    deadline = time.monotonic() + seconds
    questions = [_Question(kind, port, seconds) for kind, port in asked.items()]
    return tuple(found for question in questions if (found := question.answer(deadline)) is not None)


def model_names(body: bytes) -> tuple[str, ...] | None:
    """The names in a list of models, those left out that are long or not printable; `None` if it is no such list."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    entries = data.get("data") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return None
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and _is_decent(name)))


class _Question:
    """One port that is asked, in a thread of its own: the standard client bounds each step but not the whole."""

    def __init__(self, kind: str, port: int, timeout_seconds: float) -> None:
        self._kind = kind
        self._base_url = f"http://127.0.0.1:{port}/v1"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
        self._socket: socket.socket | None = None
        self._body: bytes | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def answer(self, deadline: float) -> LocalServer | None:
        """What answered, if it did in time."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closes
        models = model_names(self._body) if self._body is not None else None
        return None if models is None else LocalServer(self._kind, self._base_url, models)

    def _ask(self) -> None:
        try:
            self._connection.connect()
            self._socket = self._connection.sock  # the connection forgets it where the server wants to close
            self._connection.request("GET", "/v1/models", headers={"Accept": "application/json"})
            with self._connection.getresponse() as response:
                body = response.read(LARGEST_LIST + 1)
                if response.status == 200 and len(body) <= LARGEST_LIST:
                    self._body = body
        except (OSError, http.client.HTTPException):
            pass  # nobody there, or no web server
        finally:
            self._connection.close()


def _is_decent(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and not name.startswith("-")
