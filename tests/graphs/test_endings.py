"""How a run ends before its last round, and how it goes on with more: budget, attempts, rounds, replies of a human."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from qredit.agents import Message, Position, Reply, ScriptedModel
from qredit.agents.budget import Budget
from qredit.agents.human import HumanModel
from qredit.agents.messages import Usage
from qredit.errors import BudgetSpentError, NothingAcceptedError, NoUsableReplyError, RunFolderError
from qredit.files import read_json_lines, write_atomic
from qredit.graphs import Event, GenerationResult, GenerationSettings, generate, pause, read_trace
from tests.graphs.support import SCORED, code, job, new_run, run_it, verdict
from tests.graphs.test_generate import sha_of

PRICE = 1500
"""Tokens that each reply of `costly` uses; its prompts are counted by their characters for reservations only."""
ENOUGH_FOR_THREE = Budget(6200)
"""A first call reserves 4000 tokens and its prompt of about 1600; a fourth one would need more than is left."""


def costly(messages: Sequence[Message], position: Position) -> Reply:
    """Good candidates, the second the best, and usage that is easy to add up."""
    best = 0.1 * position.round + (0.05 if position.candidate == 2 else 0.0)
    text = verdict(1) if position.role == "evaluator" else code(f"idea {position} score={best:.2f}")
    return Reply(text, usage=Usage(0, PRICE), model="scripted")


def test_a_spent_budget_publishes_the_best_so_far(tmp_path: Path) -> None:
    """One candidate at a time; the budget ends in round 1, before its evaluation: the score selects."""
    run, model, events = new_run(tmp_path), ScriptedModel(costly), list[Event]()
    settings = GenerationSettings(candidates=3, rounds=3, patience=0, max_concurrency=1)
    result = run_it(run, model, settings, events.append, kind=SCORED, budget=ENOUGH_FOR_THREE)
    assert result.stopped == "budget"
    assert result.chosen == sha_of("idea coder/1/2/1 score=0.15")
    assert result.spend.usage.output_tokens == 3 * PRICE
    assert [e.kind for e in events].count("out_of_budget") >= 1
    assert read_trace(run.trace_path)[-1]["stopped"] == "budget"
    asked = len(model.calls)

    again = run_it(run, model, settings, kind=SCORED, budget=ENOUGH_FOR_THREE)
    assert (again.chosen, again.stopped, len(model.calls)) == (result.chosen, "budget", asked)

    more = run_it(run, model, settings, kind=SCORED)
    assert (more.stopped, len(more.rounds)) == ("", 3)
    assert len(model.calls) == 12  # nothing was asked twice
    choices = {r["id"]: r for r in read_trace(run.trace_path) if r["type"] == "choice"}
    assert choices["choice/1"]["reason"] == "the highest score; the budget is spent"
    assert choices["choice/1#2"]["reason"] == "it is right"


def test_a_budget_for_nothing(tmp_path: Path) -> None:
    model = ScriptedModel(costly)
    run = new_run(tmp_path)
    with pytest.raises(BudgetSpentError, match="before any candidate was accepted") as caught:
        run_it(run, model, kind=SCORED, budget=Budget(100))
    assert caught.value.exit_code == 1
    assert model.calls == []
    assert run_it(run, model, kind=SCORED).chosen


def test_a_run_of_failures_goes_on_with_more_attempts(tmp_path: Path) -> None:
    def third_time_lucky(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict(1)
        return code(f"idea {position}" if position.attempt == 3 else f"BROKEN {position}")

    run, model = new_run(tmp_path), ScriptedModel(third_time_lucky)
    few = GenerationSettings(candidates=2, rounds=1, attempts=2)
    with pytest.raises(NothingAcceptedError, match="--attempts"):
        run_it(run, model, few)
    assert len(model.calls) == 8
    result = run_it(run, model, GenerationSettings(candidates=2, rounds=1, attempts=3))
    assert result.chosen == sha_of("idea coder/1/1/3")
    assert len(model.calls) == 8 + 2 + 1  # both candidates of round 1 are repaired once more, and judged
    with pytest.raises(RunFolderError, match="`settings`"):
        run_it(run, model, few)


def test_an_evaluator_may_try_more_often(tmp_path: Path) -> None:
    def slow_to_choose(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict(1) if position.attempt == 3 else "hm"
        return code(f"idea {position}")

    run, model = new_run(tmp_path), ScriptedModel(slow_to_choose)
    with pytest.raises(NoUsableReplyError, match="--evaluator-attempts"):
        run_it(run, model, GenerationSettings(rounds=1, evaluator_attempts=2))
    run_it(run, model, GenerationSettings(rounds=1, evaluator_attempts=3))
    assert len(model.calls) == 3 + 3


def test_a_finished_run_may_have_more_rounds(tmp_path: Path) -> None:
    def good(messages: Sequence[Message], position: Position) -> str:
        return verdict(2) if position.role == "evaluator" else code(f"idea {position}")

    run, model = new_run(tmp_path), ScriptedModel(good)
    run_it(run, model, GenerationSettings(rounds=1))
    result = run_it(run, model, GenerationSettings(rounds=2))
    assert len(result.rounds) == 2
    assert len(model.calls) == 2 * 4


def answer(prompt: Path, text: str) -> None:
    """A person saves a reply."""
    write_atomic(prompt.with_name(prompt.name.replace(".prompt.md", ".reply.md")), text.encode())


def test_a_human_answers_by_files(tmp_path: Path) -> None:
    """Prompts come as files; replies are taken as they come, in any order; a bad one is asked for again."""
    run, waited = new_run(tmp_path), list[str]()
    human = HumanModel(run.path / "human", pause)

    async def play() -> str:
        task = asyncio.ensure_future(
            generate(job(human), run, settings=GenerationSettings(candidates=2, rounds=1), on_event=tell)
        )
        await replies(task)
        return (await task).chosen

    def tell(event: Event) -> None:
        if event.kind == "waiting":
            waited.append(Path(event.text).name)

    async def replies(task: asyncio.Future[GenerationResult]) -> None:
        said = {
            "coder-1-2-1": code("BROKEN"),
            "coder-1-1-1": code("idea 1"),
            "coder-1-2-2": code("idea 2"),
            "evaluator-1-0-1": verdict(2),
        }
        for name, text in said.items():
            prompt = run.path / "human" / f"{name}.prompt.md"
            while not prompt.exists():
                assert not task.done(), task.result()
                await asyncio.sleep(0.01)
            answer(prompt, text)

    assert asyncio.run(play()) == sha_of("idea 2")
    assert sorted(waited) == [
        f"{name}.prompt.md" for name in ("coder-1-1-1", "coder-1-2-1", "coder-1-2-2", "evaluator-1-0-1")
    ]
    assert len(read_json_lines(run.path / "replies.jsonl")) == 4


def test_a_human_may_go_home(tmp_path: Path) -> None:
    """The command is ended while it waits; replies that come meanwhile are found by the next one."""
    run = new_run(tmp_path)
    settings = GenerationSettings(candidates=2, rounds=1)

    async def until_it_waits() -> None:
        waiting = asyncio.Event()
        human = HumanModel(run.path / "human", pause)
        task = asyncio.ensure_future(
            generate(
                job(human), run, settings=settings, on_event=lambda e: waiting.set() if e.kind == "waiting" else None
            )
        )
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(until_it_waits())
    for candidate in (1, 2):
        answer(run.path / "human" / f"coder-1-{candidate}-1.prompt.md", code(f"idea {candidate}"))
    answer(run.path / "human" / "evaluator-1-0-1.prompt.md", verdict(1))
    result = run_it(run, HumanModel(run.path / "human", pause), settings)
    assert result.chosen == sha_of("idea 1")
