"""Faults of the transport: which of them are worth another try, and the one clear error in which the others end."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qredit.errors import EndpointError

if TYPE_CHECKING:
    import openai

    from qredit.agents.settings import ModelSettings

LARGEST_BODY = 32_000_000
RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_KEY_LIKE = re.compile(r"(?i)\bbearer\s+\S+|\b(?:sk|pk|rk|gsk|xai|key|api[_-]?key|token)[-_=:][\w\-*.]{6,}|[\w-]{40,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
KEPT = " What was answered is kept: `--resume RUN` goes on from there."
# What servers say about a form of reply that they cannot be held to, and about parameters that they do not know.
_REFUSING = frozenset({400, 404, 422, 501})
_ABOUT_FORM = re.compile(
    r"(?i)response[_ -]?(?:format|schema)|json[_ -]?(?:schema|object|mode|validate)|structured[_ -]?output"
    r"|guided[_ -]?(?:json|decoding)|grammar|additional_?properties"
)
_UNKNOWN_PARAMETER = re.compile(
    r"(?i)(?:unsupported|unknown|unrecogni[sz]ed|unexpected|extra|additional|requested)[\w \"'\\-]{0,30}"
    r"(?:param|arg|field|input|property|properties|key|name)|extra_forbidden"
)
_TOO_LONG = re.compile(r"(?i)context[_ -]?(?:length|window|size)|maximum (?:context|length)|too (?:long|many tokens)")
_OTHER_PARAMETER = re.compile(r"(?i)temperature|top_p|max_(?:completion_)?tokens|messages|stream")


class GarbledBodyError(Exception):
    """The endpoint said 200 and sent something that is no chat completion."""


class RefusedFormError(Exception):
    """The endpoint cannot be held to the form of reply that was asked for; asked otherwise, it may answer."""


@dataclass(frozen=True)
class Fault:
    """One failed try."""

    kind: str
    """`status`, `quota`, `connection`, `timeout`, `garbled`, `form` or `other`."""
    detail: str
    """What was said or seen, not yet safe to show."""
    status: int | None = None
    """HTTP status, where there was one."""
    retry_after_seconds: float | None = None
    """How long the endpoint asks to wait."""
    retryable: bool = False
    """Whether another try makes sense."""


async def reject_garbled(response: Any) -> None:
    """Hook of the HTTP client: read a good answer whole and check its form, before a library chokes on it.

    Raises:
        GarbledBodyError: too large, no UTF-8, no JSON, or without a usable choice.
    """
    if response.status_code != 200:
        return
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > LARGEST_BODY:
        raise GarbledBodyError(f"the body has {announced} bytes, more than {LARGEST_BODY}")
    body: bytes = await response.aread()
    if len(body) > LARGEST_BODY:
        raise GarbledBodyError(f"the body has {len(body)} bytes, more than {LARGEST_BODY}")
    check_completion(body)


async def reject_refused_form(response: Any) -> None:
    """Hook of the HTTP client for requests that ask for a form: see a refusal of it before a library warns of it.

    Raises:
        RefusedFormError: the endpoint refuses the form, and not something else about the request.
    """
    if response.status_code in _REFUSING or response.status_code == 500:
        body: bytes = await response.aread()
        said = body[:20_000].decode("utf-8", "replace")
        if refuses_form(response.status_code, said):
            raise RefusedFormError(f"HTTP {response.status_code}: {said}")


def refuses_form(status: int, said: str) -> bool:
    """Whether an error is about the form of reply that was asked for.

    Generous: a wrong yes costs a request, a wrong no costs the run. With a status of 500, as older llama.cpp has it,
    only where the form is named.
    """
    if _TOO_LONG.search(said) or (status not in _REFUSING and status != 500):
        return False
    if _ABOUT_FORM.search(said):
        return True
    return status != 500 and bool(_UNKNOWN_PARAMETER.search(said)) and not _OTHER_PARAMETER.search(said)


def check_completion(body: bytes) -> None:
    """Check that a body is a chat completion.

    Raises:
        GarbledBodyError: it is not; the message says why.
    """
    try:
        data = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise GarbledBodyError(f"the body is not UTF-8 (byte {error.start})") from None
    except (ValueError, RecursionError) as error:
        start = body[:80].decode("utf-8", "replace")
        raise GarbledBodyError(f"the body is not JSON ({error}); it starts with {start!r}") from None
    if not isinstance(data, dict):
        raise GarbledBodyError("the body is not a JSON object")
    if data.get("error"):
        raise GarbledBodyError(f"the body reports an error: {str(data['error'])[:300]}")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        raise GarbledBodyError("`choices` is empty or missing")
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
        raise GarbledBodyError("the first choice has no message with text")
    if not isinstance(data.get("usage"), dict | None):
        raise GarbledBodyError("`usage` is not an object")


def fault_of(error: BaseException) -> Fault:
    """What kind of fault this is."""
    import openai

    if isinstance(error, openai.APIConnectionError):
        error = _raised_by_a_hook(error) or error
    if isinstance(error, GarbledBodyError):
        return Fault("garbled", str(error), retryable=True)
    if isinstance(error, RefusedFormError):
        return Fault("form", str(error))
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Fault("timeout", "no complete answer in time")
    if isinstance(error, openai.APIStatusError):
        return _status_fault(error)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        return Fault("connection", f"{type(cause).__name__}: {cause}" if cause else str(error), retryable=True)
    return Fault("other", f"{type(error).__name__}: {error}")


def endpoint_error(
    fault: Fault, settings: ModelSettings, *, tries: int, secrets: Iterable[str | None] = ()
) -> EndpointError:
    """The one error in which a call ends: what was asked, why it failed, what to do."""
    tried = f" after {tries} tries" if tries > 1 else ""
    return EndpointError(
        f"model `{settings.model}` at {settings.base_url} did not answer{tried}",
        cause=_cause(fault, settings, redacted(fault.detail, secrets)),
        remedy=_remedy(fault, settings) + KEPT,
    )


def redacted(text: str, secrets: Iterable[str | None] = ()) -> str:
    """`text` on one line, at most 300 characters, without the given secrets and without what looks like a key."""
    for secret in secrets:
        if secret and len(secret) >= 4:
            text = text.replace(secret, "[redacted]")
    text = _KEY_LIKE.sub("[redacted]", text[:2000])
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= 300 else f"{line[:297]}..."


def _raised_by_a_hook(error: BaseException) -> BaseException | None:
    """What a hook of ours raised, which some versions of the libraries wrap, once or twice."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, GarbledBodyError | RefusedFormError):
        cause = cause.__cause__
    return cause


def _status_fault(error: openai.APIStatusError) -> Fault:
    status = error.status_code
    detail = _said(error)
    if status == 429 and "insufficient_quota" in detail:
        return Fault("quota", detail, status=status)
    return Fault(
        "status",
        detail,
        status=status,
        retry_after_seconds=_retry_after(error.response.headers) if status in (429, 503) else None,
        retryable=status in RETRYABLE,
    )


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        return " ".join(str(body[name]) for name in ("code", "message") if body.get(name)) or str(body)
    return str(body) if body else ""


def _retry_after(headers: Any) -> float | None:
    """Seconds that Retry-After asks for: a number, or a date (then measured by our clock, never negative)."""
    value = str(headers.get("retry-after", "")).strip()
    try:
        seconds = float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        if date is None:
            return None
        seconds = email.utils.mktime_tz(date) - time.time()
    return max(seconds, 0.0) if seconds < 1e9 else 1e9  # also for `nan`, which compares as false


def _cause(fault: Fault, settings: ModelSettings, detail: str) -> str:
    said = f"; it says: {detail}" if detail else ""
    if fault.kind == "timeout":
        return f"no complete answer within {settings.timeout_seconds:g} s"
    if fault.kind == "garbled":
        return f"its answer cannot be read: {detail}"
    if fault.status is not None:
        wait = fault.retry_after_seconds
        asks = f" and asks to wait {wait:.0f} s" if wait is not None else ""
        return f"HTTP {fault.status}{asks}{said}"
    return f"the connection failed ({detail})" if fault.kind == "connection" else detail


def _remedy(fault: Fault, settings: ModelSettings) -> str:
    by_status = {
        400: "Check the model's name and the sampling settings; some models refuse a temperature.",
        401: "Check OPENAI_API_KEY: the key is missing, wrong or for another provider.",
        402: "Check the credit of your account.",
        403: "The key may not use this model: check its permissions and the model's name.",
        404: "Check the model's name and the base URL, which usually ends in /v1.",
        413: "The prompt is too long for this endpoint: choose another model.",
        429: "Wait until the limit is over, or lower the number of calls at once.",
    }
    if fault.kind == "quota":
        return "Check the credit and the limits of your account."
    if fault.status is not None and 300 <= fault.status < 400:
        return "Redirects are not followed, since they would carry the key away: give the final address as base URL."
    if fault.status is not None:
        fallback = "The endpoint has trouble: try again later." if fault.status >= 500 else "Check the settings."
        return by_status.get(fault.status, fallback)
    if fault.kind == "timeout":
        return "Raise the timeout, or choose a faster model; the endpoint may still charge for this call."
    if fault.kind == "garbled":
        return "Check that the base URL is an OpenAI-compatible one; it usually ends in /v1."
    if fault.kind == "connection":
        return f"Check that a server runs at {settings.base_url} and that the network works."
    return "Check the model's name, the base URL and the settings."
