"""Models per role: each is asked its own, under its own name, live and from a recording."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qredit.agents import Message, Position, ScriptedModel, export_recording
from qredit.agents.messages import ChatModel, Identity, Role
from qredit.agents.recording import RecordedModel, ReplayModel, load_recording
from qredit.agents.store import StoredModel, read_replies, reply_key
from qredit.agents.team import ROLES, Models
from qredit.errors import RecordingError
from qredit.prompts import recording_path
from qredit.runs import Run, create_run

HELLO = (Message("user", "hello"),)
CODER = Position("coder", 1, 1, 1)
EVALUATOR = Position("evaluator", 1, 0, 1)
STRONG = Identity("https://a.example/v1", "strong", {"temperature": 0.9})
CHEAP = Identity("https://b.example/v1", "cheap", {})


def speaking(identity: Identity) -> ScriptedModel:
    """A model that says its name."""
    return ScriptedModel(lambda messages, position: identity.model, identity=identity)


def asked(models: Models | ChatModel, path: Path) -> dict[Role, str]:
    """What each role answers, through a store."""

    async def run() -> dict[Role, str]:
        store = StoredModel(models, path)
        said = {position.role: (await store.complete(HELLO, position)).text for position in (CODER, EVALUATOR)}
        store.close()
        return said

    return asyncio.run(run())


def run_of(root: Path, models: Models | ChatModel) -> Run:
    """A run in which both roles answered."""
    run = create_run("generate", "toy", {}, root=root)
    run.update(generation={"task": "toy", "settings": {"candidates": 1}})
    asked(models, run.path / "replies.jsonl")
    return run


def test_one_model_for_all_roles() -> None:
    model = speaking(STRONG)
    for models in (Models.of(model), Models(model), Models.of(Models(model))):
        assert {role: models[role] for role in ROLES} == {"coder": model, "evaluator": model}
        assert models.identities == {"coder": STRONG, "evaluator": STRONG}


def test_each_role_has_its_model(tmp_path: Path) -> None:
    models, path = Models(speaking(STRONG), speaking(CHEAP)), tmp_path / "replies.jsonl"
    assert models.identities == {"coder": STRONG, "evaluator": CHEAP}
    assert asked(models, path) == {"coder": "strong", "evaluator": "cheap"}
    coder, evaluator = read_replies(path)
    assert coder["identity"] == {"endpoint": STRONG.endpoint, "model": "strong", "parameters": {"temperature": 0.9}}
    assert evaluator["identity"] == {"endpoint": CHEAP.endpoint, "model": "cheap", "parameters": {}}
    assert coder["key"] == reply_key(STRONG, HELLO, CODER)
    assert evaluator["key"] == reply_key(CHEAP, HELLO, EVALUATOR)


def test_another_evaluator_does_not_repeat_the_coder(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    asked(Models(speaking(STRONG), speaking(CHEAP)), path)
    coder, evaluator = speaking(STRONG), speaking(STRONG)
    assert asked(Models(coder, evaluator), path) == {"coder": "strong", "evaluator": "strong"}
    assert (coder.calls, len(evaluator.calls)) == ([], 1)


def test_what_a_store_says_of_itself(tmp_path: Path) -> None:
    store = StoredModel(Models(speaking(STRONG), speaking(CHEAP)), tmp_path / "replies.jsonl")
    assert (store.identity, store.identities) == (STRONG, {"coder": STRONG, "evaluator": CHEAP})
    store.close()


# Recordings


def test_a_recording_of_two_models(tmp_path: Path) -> None:
    path = export_recording(run_of(tmp_path, Models(speaking(STRONG), speaking(CHEAP))), tmp_path / "r")
    header = json.loads(path.read_text().splitlines()[0])
    assert header["schema"] == 2
    assert header["models"] == {
        "coder": {"model": "strong", "parameters": {"temperature": 0.9}},
        "evaluator": {"model": "cheap", "parameters": {}},
    }
    replay = ReplayModel(load_recording(path))
    assert replay.identity == Identity("recording:toy", "strong", {"temperature": 0.9})
    replayed = Models.of(replay).identities
    assert replayed == {"coder": replay.identity, "evaluator": Identity("recording:toy", "cheap", {})}
    assert asked(replay, tmp_path / "again.jsonl") == {"coder": "strong", "evaluator": "cheap"}


def test_a_role_that_was_never_asked(tmp_path: Path) -> None:
    run = create_run("generate", "toy", {}, root=tmp_path)

    async def ask() -> None:
        store = StoredModel(speaking(STRONG), run.path / "replies.jsonl")
        await store.complete(HELLO, CODER)
        store.close()

    asyncio.run(ask())
    recording = load_recording(export_recording(run, tmp_path / "r"))
    assert recording.models == {"coder": RecordedModel("strong", {"temperature": 0.9})}
    assert {i.model for i in Models.of(ReplayModel(recording)).identities.values()} == {"strong"}


def test_two_models_in_one_role_make_no_recording(tmp_path: Path) -> None:
    run = run_of(tmp_path, Models(speaking(STRONG), speaking(CHEAP)))
    asked(Models(speaking(STRONG)), run.path / "replies.jsonl")
    with pytest.raises(RecordingError, match="its evaluator come from several models"):
        export_recording(run, tmp_path / "r")


def test_a_recording_of_schema_1_has_one_model_for_all_roles(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    header = {"schema": 1, "kind": "recording", "task": "t", "model": "m", "parameters": {"top_p": 0.5}, "settings": {}}
    path.write_text(json.dumps(header) + "\n")
    identity = Identity("recording:t", "m", {"top_p": 0.5})
    assert Models.of(ReplayModel(load_recording(path))).identities == {"coder": identity, "evaluator": identity}


def test_the_recording_in_the_package_is_served_as_it_stands() -> None:
    """Every reply, under the name it was recorded with."""
    path = recording_path("lbf-5x5-2p-1f")
    recording = load_recording(path)
    models = Models.of(ReplayModel(recording))
    assert {(i.endpoint, i.model) for i in models.identities.values()} == {("recording:lbf-5x5-2p-1f", "bridge")}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(records) == len(recording.replies) >= 8
    for record in records:
        position = Position(**record["position"])
        served = asyncio.run(models[position.role].complete(HELLO, position))
        assert served.text == record["reply"]["text"]


@pytest.mark.parametrize(
    "models",
    [
        {},
        {"boss": {"model": "m", "parameters": {}}},
        {"coder": "m"},
        {"coder": {"model": "m"}},
        {"coder": {"model": "m", "parameters": 5}},
        [],
        None,
    ],
)
def test_a_header_without_usable_models(tmp_path: Path, models: Any) -> None:
    path = tmp_path / "recording.jsonl"
    header: Mapping[str, Any] = {"schema": 2, "kind": "recording", "task": "t", "models": models, "settings": {}}
    path.write_text(json.dumps(header) + "\n")
    with pytest.raises(RecordingError, match="cannot be read"):
        load_recording(path)
