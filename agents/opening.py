"""From what the user named to a chat model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.agents.local_servers import find_local_servers
from qredit.agents.settings import OPENAI_URL, ModelSettings, no_model_configured
from qredit.errors import ConfigurationError, RecordingError

if TYPE_CHECKING:
    from qredit.agents.human import Pause
    from qredit.agents.messages import ChatModel

REPLAY = "replay"
HUMAN = "human"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that the user named, with the key that may go there."""

    settings: ModelSettings
    """Model, URL and how to ask."""
    api_key: str | None = field(repr=False)
    """The key, if there is one; never to be shown."""


def open_model(
    name: str | None,
    *,
    environ: Mapping[str, str],
    base_url: str | None = None,
    recording: Path | None = None,
    human_folder: Path | None = None,
    pause: Pause | None = None,
    settings: ModelSettings | None = None,
    task: str = "TASK",
    local_ports: Mapping[str, int] | None = None,
) -> ChatModel:
    """The chat model that the user asked for; opens no connection to it yet.

    Args:
        name: name of the model, `replay` for recorded replies, `human` for a person, or `None` when nothing was
            named; only then the usual ports of local servers are asked what they offer, for the message.
        environ: the user's environment: `OPENAI_BASE_URL`, `OPENAI_API_KEY`.
        base_url: endpoint given on the command line; comes before the environment's.
        recording: recorded replies for `replay`.
        human_folder: where prompts and replies lie for `human`.
        pause: what to do while the reply to a prompt is missing, for `human`; by default the run stops there.
        settings: sampling and timeout settings; its model and URL are replaced by the ones above.
        task: name of the task, for messages.
        local_ports: ports of local servers, by kind; by default the usual ones.

    Raises:
        ConfigurationError: no model, neither a URL nor a key, or `human` without a folder.
        RecordingError: `replay` without a recording.
    """
    if name is None or not name.strip():
        raise no_model_configured(task, servers=find_local_servers(local_ports))
    if name == REPLAY:
        from qredit.agents.recording import ReplayModel, load_recording

        if recording is None or not recording.is_file():
            raise RecordingError(
                f"no recorded replies for task `{task}`",
                cause="the task ships without a recording" if recording is None else f"`{recording}` does not exist",
                remedy="Generate with a live model: `--model NAME --base-url URL`, or replay another task.",
            )
        return ReplayModel(load_recording(recording))
    if name == HUMAN:
        from qredit.agents.human import HumanModel, stop_until_answered

        if human_folder is None:
            raise ConfigurationError(
                f"model `{HUMAN}`",
                cause="there is no folder for its prompts",
                remedy="Give a folder, such as the run's.",
            )
        return HumanModel(human_folder, stop_until_answered if pause is None else pause)
    from qredit.agents.client import EndpointModel

    endpoint = endpoint_of(name, environ=environ, base_url=base_url, settings=settings, task=task)
    return EndpointModel(endpoint.settings, api_key=endpoint.api_key)


def endpoint_of(
    name: str,
    *,
    environ: Mapping[str, str],
    base_url: str | None = None,
    settings: ModelSettings | None = None,
    task: str = "TASK",
) -> Endpoint:
    """The endpoint of a named model; the arguments are those of `open_model`.

    The key is read from `environ` and goes to the URL given here or in `environ`, never to one from a file.

    Raises:
        ConfigurationError: neither a URL nor a key, or settings that cannot be.
    """
    url = base_url or environ.get("OPENAI_BASE_URL") or None
    key = environ.get("OPENAI_API_KEY") or None
    if url is None and key is None:
        raise no_model_configured(task, why=f"for model `{name}` there is neither a base URL nor OPENAI_API_KEY")
    base = settings or ModelSettings(model=name)
    return Endpoint(replace(base, model=name, base_url=url or OPENAI_URL), key)
