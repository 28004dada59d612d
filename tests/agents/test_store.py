"""The reply store: on disk before use, never asked twice, one failure stops new calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import Message, Position, Reply, ScriptedModel
from qredit.agents.messages import Identity, Usage
from qredit.agents.store import StoredModel, read_replies, reply_key
from qredit.errors import ArtifactError, EndpointError, RecordingError, StorageError
from tests.root.test_files import file_size_limit

HELLO = (Message("user", "hello"),)
FIRST = Position("coder", 1, 1, 1)


def echo(messages: Sequence[Message], position: Position) -> str:
    """Says where it was asked."""
    return f"{messages[-1].text} at {position}"


def test_an_answered_call_is_not_repeated(tmp_path: Path) -> None:
    path, model = tmp_path / "replies.jsonl", ScriptedModel(echo)

    async def twice() -> None:
        store = StoredModel(model, path)
        first = await store.complete(HELLO, FIRST)
        [line] = path.read_text().splitlines()
        assert json.loads(line)["reply"]["text"] == first.text == "hello at coder/1/1/1"
        assert await store.complete(HELLO, FIRST) == first
        assert await store.complete(HELLO, replace(FIRST, attempt=2)) != first  # another sample of the same prompt
        assert (store.calls, store.answered_live) == (2, 2)
        store.close()
        again = StoredModel(model, path)
        assert await again.complete(HELLO, FIRST) == first
        assert (again.calls, again.answered_live) == (2, 0)
        assert again.spend() == Usage(2, 10, estimated=True)
        again.close()

    asyncio.run(twice())
    assert len(model.calls) == 2


def test_the_key_depends_on_all_that_is_sent() -> None:
    identity = Identity("http://h/v1", "m", {"temperature": 1.0})
    keys = {
        reply_key(identity, HELLO, FIRST),
        reply_key(replace(identity, endpoint="http://other/v1"), HELLO, FIRST),
        reply_key(replace(identity, model="n"), HELLO, FIRST),
        reply_key(replace(identity, parameters={}), HELLO, FIRST),
        reply_key(identity, (Message("system", "hello"),), FIRST),
        reply_key(identity, (Message("user", "hello!"),), FIRST),
        reply_key(identity, HELLO, replace(FIRST, candidate=2)),
        reply_key(identity, HELLO, replace(FIRST, role="evaluator")),
    }
    assert len(keys) == 8
    assert reply_key(identity, HELLO, FIRST) in keys


def test_a_cancelled_caller_loses_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"

    async def cancelled() -> None:
        store = StoredModel(ScriptedModel(echo, latency_seconds=0.1), path)
        caller = asyncio.create_task(store.complete(HELLO, FIRST))
        await asyncio.sleep(0.02)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert store.in_flight == 1
        await store.drain()
        assert (store.in_flight, store.calls) == (0, 1)
        store.close()

    asyncio.run(cancelled())
    assert len(path.read_text().splitlines()) == 1


def test_after_a_failure_nothing_new_is_asked(tmp_path: Path) -> None:
    def failing(messages: Sequence[Message], position: Position) -> str:
        if position.candidate == 2:
            raise EndpointError("model `m`", cause="HTTP 401", remedy="Check the key.")
        return "fine"

    async def run() -> None:
        model = ScriptedModel(failing)
        store = StoredModel(model, tmp_path / "replies.jsonl")
        await store.complete(HELLO, FIRST)
        for candidate in (2, 3):
            with pytest.raises(EndpointError, match="HTTP 401"):
                await store.complete(HELLO, replace(FIRST, candidate=candidate))
        assert (await store.complete(HELLO, FIRST)).text == "fine"  # what is stored can still be read
        assert len(model.calls) == 2
        store.close()

    asyncio.run(run())


def test_a_torn_last_line_was_never_used(tmp_path: Path) -> None:
    path, model = tmp_path / "replies.jsonl", ScriptedModel(echo)

    async def once(position: Position) -> None:
        store = StoredModel(model, path)
        await store.complete(HELLO, position)
        store.close()

    asyncio.run(once(FIRST))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    asyncio.run(once(replace(FIRST, candidate=2)))
    assert path.read_bytes().startswith(whole)
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("cut_at", "keeps"),
    [(b'"messages"', 0), ("é".encode(), 1), (b"\n", 0)],
    ids=["half a line", "half a character", "only the end of the line is missing"],
)
def test_a_torn_record_is_dropped_and_its_call_asked_again(tmp_path: Path, cut_at: bytes, keeps: int) -> None:
    """A crash in the middle of the last write: the call before it is not repeated, its own is."""
    path, second = tmp_path / "replies.jsonl", replace(FIRST, candidate=2)

    def session() -> tuple[list[str], list[Position]]:
        model = ScriptedModel(lambda messages, position: f"café {position}")

        async def run() -> list[str]:
            store = StoredModel(model, path)
            texts = [(await store.complete(HELLO, position)).text for position in (FIRST, second)]
            assert store.spend() == Usage(2, 2 * (len(texts[0]) // 4), estimated=True)
            store.close()
            return texts

        return asyncio.run(run()), [position for position, _ in model.calls]

    texts, asked = session()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(cut_at) + keeps])
    assert asked == [FIRST, second]
    assert session() == (texts, [second])
    assert path.read_bytes() == whole


def test_a_full_disk_in_the_middle_of_a_record(tmp_path: Path) -> None:
    """Part of the record fits: none of it stays, nothing more is asked, and with room again only its call is."""
    path, second = tmp_path / "replies.jsonl", replace(FIRST, candidate=2)

    async def run(model: ScriptedModel, room: int) -> None:
        store = StoredModel(model, path)
        try:
            await store.complete(HELLO, FIRST)
            with file_size_limit(path.stat().st_size + room):
                await store.complete(HELLO, second)
        finally:
            third = replace(FIRST, candidate=3)
            if store.failure is not None:
                with pytest.raises(StorageError):
                    await store.complete(HELLO, third)
            store.close()

    first = ScriptedModel(echo)
    with pytest.raises(StorageError, match="cannot write"):
        asyncio.run(run(first, 50))
    assert [position for position, _ in first.calls] == [FIRST, second]
    assert [record["position"]["candidate"] for record in read_replies(path)] == [1]
    assert path.read_bytes().endswith(b"\n")
    again = ScriptedModel(echo)
    asyncio.run(run(again, 100_000))
    assert [position for position, _ in again.calls] == [second]
    assert [record["position"]["candidate"] for record in read_replies(path)] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"reply": {}},
        {"reply": None},
        {"reply": {**Reply("").to_json(), "usage": {"input_tokens": 1e999, "output_tokens": 0, "estimated": False}}},
        {"position": {"role": "coder", "round": "1", "candidate": 1, "attempt": 1}},
        {"position": {"role": "boss", "round": 1, "candidate": 1, "attempt": 1}},
        {"position": {"role": "coder"}},
    ],
)
def test_a_forged_store_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "replies.jsonl"

    async def once() -> None:
        store = StoredModel(ScriptedModel(echo), path)
        await store.complete(HELLO, FIRST)
        store.close()

    asyncio.run(once())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}) + "\n")
    with pytest.raises(ArtifactError, match="record 1"):
        asyncio.run(once())


def test_a_script_with_a_gap() -> None:
    model = ScriptedModel({FIRST: Reply("yes")})
    assert asyncio.run(model.complete(HELLO, FIRST)).text == "yes"
    with pytest.raises(RecordingError, match="coder/1/1/2"):
        asyncio.run(model.complete(HELLO, replace(FIRST, attempt=2)))


@given(st.text(), st.text(), st.integers(0, 10**9), st.booleans(), st.sampled_from([None, True, False]))
def test_replies_survive_json(text: str, reasoning: str, tokens: int, estimated: bool, differs: bool | None) -> None:
    reply = Reply(text, reasoning, Usage(tokens, 1, estimated), "m", 1.5, "stop", prompt_differs=differs)
    assert Reply.from_json(json.loads(json.dumps(reply.to_json()))) == reply
