"""From what the user named to a chat model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.agents.settings import OPENAI_URL, ModelSettings, no_model_configured
from qredit.errors import RecordingError

if TYPE_CHECKING:
    from qredit.agents.messages import ChatModel

REPLAY = "replay"


def open_model(
    name: str | None,
    *,
    environ: Mapping[str, str],
    base_url: str | None = None,
    recording: Path | None = None,
    settings: ModelSettings | None = None,
    task: str = "TASK",
) -> ChatModel:
    """The chat model that the user asked for; opens no connection yet.

    The key is read from `environ` and goes to the URL given here or in `environ`, never to one from a file.

    Args:
        name: name of the model, `replay` for recorded replies, or `None` when nothing was named.
        environ: the user's environment: `OPENAI_BASE_URL`, `OPENAI_API_KEY`.
        base_url: endpoint given on the command line; comes before the environment's.
        recording: recorded replies for `replay`.
        settings: sampling and timeout settings; its model and URL are replaced by the ones above.
        task: name of the task, for messages.

    Raises:
        ConfigurationError: no model, or neither a URL nor a key.
        RecordingError: `replay` without a recording.
    """
    if name is None or not name.strip():
        raise no_model_configured(task)
    if name == REPLAY:
        from qredit.agents.recording import ReplayModel, load_recording

        if recording is None or not recording.is_file():
            raise RecordingError(
                f"no recorded replies for task `{task}`",
                cause="the task ships without a recording" if recording is None else f"`{recording}` does not exist",
                remedy="Generate with a live model: `--model NAME --base-url URL`, or replay another task.",
            )
        return ReplayModel(load_recording(recording))
    from qredit.agents.client import EndpointModel

    url = base_url or environ.get("OPENAI_BASE_URL") or None
    key = environ.get("OPENAI_API_KEY") or None
    if url is None and key is None:
        raise no_model_configured(task, why=f"for model `{name}` there is neither a base URL nor OPENAI_API_KEY")
    base = settings or ModelSettings(model=name)
    return EndpointModel(replace(base, model=name, base_url=url or OPENAI_URL), api_key=key)
