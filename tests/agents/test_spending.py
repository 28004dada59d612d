"""The budget behind the reply store: what is not made, what lands, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qredit.agents import Message, Position, ScriptedModel
from qredit.agents.budget import Budget
from qredit.agents.messages import Identity, Reply, Role, Usage
from qredit.agents.prices import Price
from qredit.agents.store import StoredModel
from qredit.agents.team import Models
from qredit.errors import BudgetSpentError, EndpointError, StorageError
from tests.root.test_files import file_size_limit

HOSTED = Identity("https://api.example.org/v1", "m", {})
FIRST = Position("coder", 1, 1, 1)


def text(characters: int) -> tuple[Message, ...]:
    """A context of this length."""
    return (Message("user", "y" * characters),)


def total(usage: Usage) -> int:
    """All its tokens."""
    return usage.input_tokens + usage.output_tokens


def said(output: int) -> Reply:
    """A reply with this usage and 100 tokens read."""
    return Reply("fine", usage=Usage(100, output))


def test_of_ten_calls_at_once_four_are_made(tmp_path: Path) -> None:
    """One waits for what another holds, which needs less than it set aside; what fits never is refused at the end."""
    model = ScriptedModel(lambda messages, position: said(900), latency_seconds=0.02)
    positions = [replace(FIRST, candidate=k) for k in range(1, 11)]

    async def run() -> None:
        store = StoredModel(model, tmp_path / "replies.jsonl", Budget(max_tokens=4100))
        done = await asyncio.gather(*(store.complete(text(400), p) for p in positions), return_exceptions=True)
        assert [type(d) for d in done] == [Reply] * 4 + [BudgetSpentError] * 6
        assert (store.in_flight, store.calls, store.failure, store.reserved) == (0, 4, None, Usage())
        assert store.spend() == Usage(400, 3600)
        store.close()

    asyncio.run(run())
    assert [where.candidate for where, _ in model.calls] == [1, 2, 3, 4]


def test_a_failure_ends_the_waiting(tmp_path: Path) -> None:
    def down(messages: Sequence[Message], position: Position) -> str:
        raise EndpointError("model `m`", cause="HTTP 500", remedy="Wait.")

    async def run() -> None:
        store = StoredModel(ScriptedModel(down), tmp_path / "replies.jsonl", Budget(max_tokens=4100))
        calls = (store.complete(text(400), replace(FIRST, candidate=k)) for k in (1, 2))
        assert {type(d) for d in await asyncio.gather(*calls, return_exceptions=True)} == {EndpointError}
        store.close()

    asyncio.run(run())


def test_earlier_sessions_count_and_what_they_stored_stays_readable(tmp_path: Path) -> None:
    model, second = ScriptedModel(lambda messages, position: said(900)), replace(FIRST, candidate=2)

    async def session(limit: int, position: Position) -> Usage:
        store = StoredModel(model, tmp_path / "replies.jsonl", Budget(max_tokens=limit))
        try:
            assert (await store.complete(text(400), FIRST)).text == "fine"
            await store.complete(text(400), position)
            return store.spend()
        finally:
            assert store.reserved == Usage()
            store.close()

    assert asyncio.run(session(5000, FIRST)) == Usage(100, 900)
    with pytest.raises(BudgetSpentError, match=r"1000 are spent, 0 are reserved .* about 1000"):
        asyncio.run(session(1999, second))
    assert asyncio.run(session(2000, second)) == Usage(200, 1800)
    assert len(model.calls) == 2


def test_spend_and_cost_by_role(tmp_path: Path) -> None:
    models = Models(
        coder=ScriptedModel(lambda messages, position: said(1000), identity=HOSTED),
        evaluator=ScriptedModel(lambda messages, position: said(10)),
    )

    async def run(budget: Budget | None) -> tuple[dict[Role, Usage], float | None]:
        store = StoredModel(models, tmp_path / "replies.jsonl", budget)
        await store.complete(text(400), FIRST)
        await store.complete(text(400), Position("evaluator", 1, 0, 1))
        store.close()
        return store.spend_by_role(), store.cost()

    by_role: dict[Role, Usage] = {"coder": Usage(100, 1000), "evaluator": Usage(100, 10)}
    assert asyncio.run(run(None)) == (by_role, None)
    assert asyncio.run(run(Budget(max_usd=1.0, prices={"coder": Price(10.0, 2.0)}))) == (by_role, 0.003)


def test_a_failed_call_gives_its_reservation_back(tmp_path: Path) -> None:
    def down(messages: Sequence[Message], position: Position) -> str:
        raise EndpointError("model `m`", cause="HTTP 500", remedy="Wait.")

    async def run() -> None:
        store = StoredModel(ScriptedModel(down), tmp_path / "replies.jsonl", Budget(max_tokens=5000))
        with pytest.raises(EndpointError):
            await store.complete(text(400), FIRST)
        assert (store.reserved, store.spend()) == (Usage(), Usage())
        store.close()

    asyncio.run(run())


def test_a_reply_that_the_disk_had_no_room_for_gives_its_reservation_back(tmp_path: Path) -> None:
    async def run() -> None:
        model = ScriptedModel(lambda messages, position: said(5))
        store = StoredModel(model, tmp_path / "replies.jsonl", Budget(max_tokens=5000))
        with file_size_limit(100), pytest.raises(StorageError):
            await store.complete(text(400), FIRST)
        assert (store.reserved, store.spend()) == (Usage(), Usage())
        store.close()

    asyncio.run(run())


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_call_gives_its_reservation_back(tmp_path: Path, begun: bool) -> None:
    """Also one that is cancelled before its first step."""
    model = ScriptedModel(lambda messages, position: said(5), latency_seconds=600)

    async def run() -> None:
        store = StoredModel(model, tmp_path / "replies.jsonl", Budget(max_tokens=5000))
        caller = asyncio.create_task(store.complete(text(400), FIRST))
        while not store.in_flight or begun > len(model.calls):
            await asyncio.sleep(0)
        assert len(model.calls) == int(begun)
        assert total(store.reserved) == 4100
        await store.abandon()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert (store.reserved, store.in_flight) == (Usage(), 0)
        store.close()

    asyncio.run(run())


def test_a_cancelled_caller_leaves_the_reservation_to_its_call(tmp_path: Path) -> None:
    async def run() -> None:
        model = ScriptedModel(lambda messages, position: said(5), latency_seconds=0.05)
        store = StoredModel(model, tmp_path / "replies.jsonl", Budget(max_tokens=5000))
        caller = asyncio.create_task(store.complete(text(400), FIRST))
        while not model.calls:
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert total(store.reserved) == 4100
        assert (await store.complete(text(400), replace(FIRST, candidate=2))).text == "fine"  # after the first
        assert [where.candidate for where, _ in model.calls] == [1, 2]
        assert (store.reserved, store.spend()) == (Usage(), Usage(200, 10))
        store.close()

    asyncio.run(run())
