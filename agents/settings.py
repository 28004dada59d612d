"""Settings of a chat model, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.agents.local_servers import LocalServer

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class ModelSettings:
    """Which model to ask, where, and how."""

    model: str
    """Name of the model as its endpoint knows it, such as `deepseek-reasoner`."""
    base_url: str = OPENAI_URL
    """Base URL of an OpenAI-compatible endpoint, usually ending in `/v1`."""
    temperature: float | None = None
    """Sampling temperature; not sent when unset, since some models refuse it."""
    top_p: float | None = None
    """Nucleus sampling; not sent when unset."""
    max_reply_tokens: int | None = None
    """Most tokens of a reply; the endpoint's own limit when unset."""
    legacy_max_tokens: bool = False
    """Whether this limit is sent under its old name `max_tokens` too, which older servers need."""
    timeout_seconds: float = 900.0
    """Longest time for one call, answer included; reasoning models take minutes."""
    max_retries: int = 4
    """How often a call is repeated after a transport fault (429, 5xx, a broken connection, a garbled body)."""
    max_wait_seconds: float = 120.0
    """Longest wait between two tries that an endpoint may ask for with Retry-After."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", normalised_url(self.base_url))
        problem = None
        if not self.model.strip():
            problem = "the model's name is empty"
        elif self.timeout_seconds <= 0 or self.max_retries < 0 or self.max_wait_seconds < 0:
            problem = "times must be positive and retries not negative"
        elif self.max_reply_tokens is not None and self.max_reply_tokens < 1:
            problem = f"max_reply_tokens is {self.max_reply_tokens}"
        if problem:
            raise ConfigurationError("model settings", cause=problem, remedy="Correct this setting.")

    @property
    def parameters(self) -> dict[str, float | int | str | bool]:
        """The sampling parameters that are sent: part of a reply's key."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_reply_tokens}
        return {name: value for name, value in given.items() if value is not None}


def normalised_url(url: str) -> str:
    """A base URL without trailing slash.

    Raises:
        ConfigurationError: no http(s) URL, or one with a user name, a password or a query, which would end up in
            traces.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _bad_url("(malformed)", "it cannot be read as a URL") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # not quoted: it may hold a secret
        raise _bad_url("(withheld)", "it holds a user name, a password, a query or a fragment")
    if parts.scheme not in ("http", "https") or not host:
        raise _bad_url(url, "it does not start with http:// or https:// and a host")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def no_model_configured(
    task: str = "TASK", *, why: str = "none was named", servers: Sequence[LocalServer] = ()
) -> ConfigurationError:
    """The error that shows the ways to a model.

    Args:
        task: the task, for the commands.
        why: what was missing.
        servers: local servers that answer; for each the exact command is given first.
    """
    found = "".join(f"  {server.command(task)}\n" for server in servers)
    answering = "; ".join(map(str, servers))
    here = f"Use what answers on this machine ({answering}):\n{found}Or choose" if servers else "Choose"
    return ConfigurationError(
        "no language model is configured",
        cause=why,
        remedy=(
            f"{here} one of four ways:\n"
            f"  hosted:        OPENAI_API_KEY=... qredit generate {task} --model NAME"
            "   (another provider: add --base-url URL)\n"
            f"  local server:  qredit generate {task} --model NAME --base-url http://127.0.0.1:11434/v1"
            "   (Ollama, llama.cpp, vLLM, LM Studio; no key)\n"
            f"  recording:     qredit generate {task} --model replay"
            "   (tasks that ship with recorded replies; no model needed)\n"
            f"  by hand:       qredit generate {task} --model human"
            "   (each prompt becomes a file; you paste it into a chat and save the answer beside it)"
        ),
    )


def _bad_url(shown: str, cause: str) -> ConfigurationError:
    return ConfigurationError(
        f"base URL `{shown}`",
        cause=cause,
        remedy="Give it as http://127.0.0.1:11434/v1 or https://api.openai.com/v1; a key goes into OPENAI_API_KEY.",
    )
