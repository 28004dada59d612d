"""The list of models of an endpoint that the user named."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from qredit.agents.client import DUMMY_KEY
from qredit.agents.local_servers import LARGEST_LIST, model_names
from qredit.agents.opening import Endpoint
from qredit.agents.transport import GarbledBodyError, fault_of, redacted

LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Listing:
    """What `/models` answered."""

    names: tuple[str, ...] | None
    """The models, or `None` where there is no list: the protocol does not demand one."""
    reachable: bool
    """Whether the endpoint could be reached and did not refuse the key."""
    problem: str = ""
    """Why there is no list."""


async def list_models(endpoint: Endpoint) -> Listing:
    """Ask an endpoint for its models, with the key that belongs to it; no redirect is followed."""
    import openai

    seconds = min(endpoint.settings.timeout_seconds, LONGEST_WAIT_SECONDS)
    try:
        async with (
            asyncio.timeout(seconds),
            openai.DefaultAsyncHttpxClient(
                follow_redirects=False, timeout=seconds, event_hooks={"response": [_reject_large]}
            ) as http,
        ):
            client = openai.AsyncOpenAI(
                api_key=endpoint.api_key or DUMMY_KEY,
                base_url=endpoint.settings.base_url,
                http_client=http,
                max_retries=0,
            )
            answer = await client.models.with_raw_response.list()
            names = model_names(answer.content)
    except (openai.OpenAIError, GarbledBodyError, TimeoutError) as error:
        fault = fault_of(error)
        said = redacted(f"HTTP {fault.status} {fault.detail}" if fault.status else fault.detail, [endpoint.api_key])
        answered = fault.kind in ("status", "quota", "garbled")
        return Listing(None, reachable=answered and fault.status not in (401, 403), problem=said)
    return Listing(names, reachable=True, problem="" if names is not None else "the answer is no list of models")


async def _reject_large(response: Any) -> None:
    """Hook of the HTTP client: read the answer, unless it is larger than any list of models.

    Raises:
        GarbledBodyError: it is.
    """
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > LARGEST_LIST:
        raise GarbledBodyError(f"the list has {announced} bytes, more than {LARGEST_LIST}")
    body: bytes = await response.aread()
    if len(body) > LARGEST_LIST:
        raise GarbledBodyError(f"the list has {len(body)} bytes, more than {LARGEST_LIST}")
