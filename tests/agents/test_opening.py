"""From what the user named to a model; recordings; settings."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from qredit.agents import Message, ModelSettings, Position, ScriptedModel, export_recording, open_model
from qredit.agents.messages import ChatModel, Identity, prompt_sha256
from qredit.agents.opening import endpoint_of
from qredit.agents.recording import Drift, ReplayModel, drift_of, load_recording
from qredit.agents.store import StoredModel
from qredit.errors import ConfigurationError, RecordingError
from qredit.runs import Run, create_run

HELLO = (Message("user", "hello"),)
FIRST = Position("coder", 1, 1, 1)


@pytest.mark.parametrize("name", [None, "", "  ", "gpt"])
def test_without_a_model_the_four_ways_are_shown(name: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_model(name, environ={}, task="my-task", local_ports={})
    assert caught.value.remedy.startswith("Choose one of four ways")
    for way in (
        "OPENAI_API_KEY=... qredit generate my-task --model NAME",
        "--base-url http://127.0.0.1:11434/v1",
        "qredit generate my-task --model replay",
        "qredit generate my-task --model human",
    ):
        assert way in caught.value.remedy


def test_where_the_url_comes_from() -> None:
    def endpoint(**given: str | None) -> str:
        environ = {name.upper(): value for name, value in given.items() if name != "base_url" and value}
        return open_model("m", environ=environ, base_url=given.get("base_url")).identity.endpoint

    assert endpoint(openai_api_key="k") == "https://api.openai.com/v1"
    assert endpoint(openai_base_url="http://127.0.0.1:1/v1/") == "http://127.0.0.1:1/v1"
    assert (
        endpoint(openai_base_url="http://127.0.0.1:1/v1", base_url="http://127.0.0.1:2/v1") == "http://127.0.0.1:2/v1"
    )
    identity = open_model(
        "m", environ={"OPENAI_API_KEY": "sk-secret"}, settings=ModelSettings("x", temperature=0.5)
    ).identity
    assert identity == Identity("https://api.openai.com/v1", "m", {"temperature": 0.5})
    assert "secret" not in repr(identity)


def test_an_endpoint_keeps_its_key_to_itself() -> None:
    endpoint = endpoint_of("m", environ={"OPENAI_API_KEY": "sk-secret"}, base_url="http://127.0.0.1:1/v1/")
    assert endpoint.api_key == "sk-secret"
    assert endpoint.settings == ModelSettings("m", "http://127.0.0.1:1/v1")
    assert "secret" not in repr(endpoint)
    with pytest.raises(ConfigurationError, match="for model `m` there is neither a base URL nor OPENAI_API_KEY"):
        endpoint_of("m", environ={})


def test_the_limit_of_a_reply_is_sent_under_its_name_in_the_protocol() -> None:
    assert ModelSettings("m", max_reply_tokens=7).parameters == {"max_tokens": 7}


@pytest.mark.parametrize(
    "url", ["ftp://host/v1", "host:8000", "http://", "http://user:pw@host/v1", "http://host/v1?key=abc", "http://[x/v1"]
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ModelSettings("m", url)
    assert "pw" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("change", [{"timeout_seconds": 0}, {"max_retries": -1}, {"max_reply_tokens": 0}])
def test_bad_settings(change: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        ModelSettings("m", **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="name is empty"):
        ModelSettings(" ")


def recorded_run(root: Path, model: ChatModel, positions: list[Position]) -> Run:
    """A run whose store holds these calls."""
    run = create_run("generate", "toy", {}, root=root)
    run.update(generation={"task": "toy", "settings": {"candidates": 3}})

    async def ask() -> None:
        store = StoredModel(model, run.path / "replies.jsonl")
        for position in positions:
            await store.complete(HELLO, position)
        store.close()

    asyncio.run(ask())
    return run


def test_record_and_replay(tmp_path: Path) -> None:
    second = Position("evaluator", 1, 0, 1)
    run = recorded_run(tmp_path, ScriptedModel({FIRST: "one", second: "two \ud83d"}), [second, FIRST])
    path = export_recording(run, tmp_path / "recordings" / "toy")
    assert path == tmp_path / "recordings" / "toy" / "recording.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert header["settings"] == {"candidates": 3}
    assert [line["position"]["role"] for line in lines] == ["coder", "evaluator"]
    assert lines[0]["prompt_sha256"] == prompt_sha256(HELLO)

    model = open_model("replay", environ={}, recording=path)
    assert isinstance(model, ReplayModel)
    assert model.identity == Identity("recording:toy", "scripted", {})
    same = asyncio.run(model.complete(HELLO, FIRST))
    other = asyncio.run(model.complete((Message("user", "hullo"),), second))
    assert (same.text, same.prompt_differs, other.text, other.prompt_differs) == (
        "one",
        False,
        "two \ud83d",
        True,
    )
    assert drift_of([same, other]) == Drift(1, 2)
    assert str(Drift(1, 2)) == "1 of 2 prompts differ from the recording"
    with pytest.raises(RecordingError, match=r"call `coder/2/1/1`.*candidates = 3"):
        asyncio.run(model.complete(HELLO, Position("coder", 2, 1, 1)))


def test_the_bytes_of_a_recording_are_stable(tmp_path: Path) -> None:
    """Replays of one run differ in nothing that a diff would show, whatever the order of the answers was."""
    script = {Position("coder", 1, k, 1): f"idea {k}" for k in (1, 2, 3)}
    first = export_recording(recorded_run(tmp_path, ScriptedModel(script), sorted(script)), tmp_path / "a")
    second = export_recording(recorded_run(tmp_path, ScriptedModel(script), sorted(script)[::-1]), tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no answered call"):
        export_recording(create_run("generate", "toy", {}, root=tmp_path), tmp_path / "r")


def test_no_recording(tmp_path: Path) -> None:
    for path in (None, tmp_path / "recording.jsonl"):
        with pytest.raises(RecordingError, match="no recorded replies for task `toy`"):
            open_model("replay", environ={}, recording=path, task="toy")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        '{"schema": 1, "kind": "recording"}\n',
        '{"schema": 9, "kind": "recording", "task": "t", "model": "m", "parameters": {}, "settings": {}}\n',
        "no json\n",
        '{"schema": 1, "kind": "recording", "task": "t", "model": "m", "parameters": {}, "settings": {}}\n{"a": 1}\n',
        '{"schema": 1, "kind": "recording", "task": "t", "model": "m", "parameters": 5, "settings": {}}\n',
    ],
)
def test_damaged_recordings(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(text)
    with pytest.raises(RecordingError):
        load_recording(path)
