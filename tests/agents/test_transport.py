"""Faults by themselves: what passes as a completion, what is redacted, how long to wait."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import ModelSettings
from qredit.agents.transport import GarbledBodyError, check_completion, endpoint_error, fault_of, redacted

SETTINGS = ModelSettings("m", "http://127.0.0.1:1/v1")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_passes_or_is_garbled(data: object) -> None:
    """What passes has the form that the library below needs."""
    try:
        check_completion(json.dumps(data).encode())
    except GarbledBodyError:
        return
    assert isinstance(data, dict)
    assert isinstance(data["choices"][0]["message"], dict)


@given(st.binary(max_size=100))
def test_any_bytes_are_garbled(body: bytes) -> None:
    with pytest.raises(GarbledBodyError):
        check_completion(body)


@given(
    st.text(alphabet="abcdefghijklmnop0123456789", min_size=8, max_size=60), st.text(max_size=50), st.text(max_size=50)
)
def test_a_known_secret_never_shows(secret: str, before: str, after: str) -> None:
    shown = redacted(before + secret + after, [None, "", secret])
    assert secret not in shown
    assert len(shown) <= 300
    assert shown.isprintable() or not any(ord(c) < 32 for c in shown)


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdef123456",
        "header Authorization: Bearer eyJhbGciOi.J9",
        "api_key=abcdef123456",
        "token: x" + "a1" * 30,
        "gsk_0123456789abcdef",
    ],
)
def test_what_looks_like_a_key_is_redacted(text: str) -> None:
    assert "[redacted]" in redacted(text)
    assert text.split()[-1] not in redacted(text)


def test_ordinary_messages_stay_whole() -> None:
    text = "The model `llama-3.1-70b-instruct` does not exist; max_tokens must be at most 4096."
    assert redacted(text) == text


def status_error(status: int, headers: dict[str, str]) -> openai.APIStatusError:
    """As the library raises it."""
    request = httpx.Request("POST", "http://127.0.0.1:1/v1/chat/completions")
    response = httpx.Response(status, headers=headers, request=request)
    return openai.APIStatusError("no", response=response, body=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("", None), ("nan", 1e9), ("inf", 1e9), ("1e300", 1e9)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert fault_of(status_error(429, {"retry-after": value})).retry_after_seconds == seconds


def test_retry_after_a_date() -> None:
    ahead = fault_of(status_error(503, {"retry-after": formatdate(time.time() + 3600)})).retry_after_seconds
    assert ahead is not None
    assert 0 < ahead <= 3600
    assert fault_of(status_error(503, {"retry-after": formatdate(0)})).retry_after_seconds == 0


@pytest.mark.parametrize("status", [300, 400, 401, 402, 403, 404, 408, 413, 418, 429, 500, 503, 529])
def test_every_status_has_cause_and_remedy(status: int) -> None:
    error = endpoint_error(fault_of(status_error(status, {})), SETTINGS, tries=1)
    assert f"HTTP {status}" in error.cause
    assert len(error.remedy.split(".")[0]) > 10
    assert "after" not in error.what


def test_what_a_hook_raises_is_recognised_when_it_is_wrapped() -> None:
    wrapped = openai.APIConnectionError(request=httpx.Request("POST", "http://127.0.0.1:1"))  # type: ignore[arg-type]
    wrapped.__cause__ = GarbledBodyError("the body is not JSON")
    assert fault_of(wrapped).kind == "garbled"
    assert fault_of(openai.OpenAIError("odd")).kind == "other"
