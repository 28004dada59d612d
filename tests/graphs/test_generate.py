"""A whole generation: rounds, repairs, duplicates, choices, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qredit.agents import Message, Position, Reply, ScriptedModel
from qredit.agents.messages import ReplySchema
from qredit.agents.recording import Drift
from qredit.errors import EndpointError, NothingAcceptedError, NoUsableReplyError, RunFolderError
from qredit.files import read_json_lines, sha256
from qredit.graphs import Event, GenerationSettings, read_trace
from tests.graphs.support import CALLS_OF_PLAN, SUBJECT, TASK, code, module, new_run, plan, run_it, verdict


def sha_of(idea: str) -> str:
    """The hash of a planned module."""
    return sha256(module(idea).encode())


def test_three_rounds_of_three(tmp_path: Path) -> None:
    run, events = new_run(tmp_path), list[Event]()
    result = run_it(run, ScriptedModel(plan), on_event=events.append)

    # Round 2 shows 1 = incumbent, 2 = `2.1`, 3 = `2.3`; round 3 shows 1 = incumbent, 2 = `3.1`, 3 = `3.2`, 4 = `3.3`.
    assert result.chosen == sha_of("idea 3.2")
    assert result.source == module("idea 3.2")
    assert json.loads(result.payload) == {"graph of": "idea 3.2"}
    assert result.verdict.payload_sha256 == sha256(result.payload)
    assert result.parents == (sha_of("idea 1.2"),)
    assert result.reason == "it is right"
    assert result.figures == "differs from VDN in 50 % of the states\nwarning: one warning"
    assert [r.chosen for r in result.rounds] == [sha_of("idea 1.2"), sha_of("idea 1.2"), sha_of("idea 3.2")]
    assert [r.tips for r in result.rounds] == [f"Tips of round {n}." for n in (1, 2, 3)]
    assert [(c.status, c.attempts) for c in result.rounds[0].candidates] == [
        ("accepted", 1),
        ("accepted", 3),
        ("rejected", 4),
    ]
    assert [c.status for c in result.rounds[1].candidates] == ["accepted", "duplicate", "accepted"]
    assert (result.spend.calls, result.spend.calls_this_session) == (CALLS_OF_PLAN, CALLS_OF_PLAN)
    assert result.drift is None
    assert run.record["spend"]["calls"] == CALLS_OF_PLAN
    kinds = [event.kind for event in events]
    assert kinds.count("asking") == kinds.count("replied") == CALLS_OF_PLAN
    assert kinds.count("round_started") == kinds.count("chosen") == 3
    assert (kinds.count("rejected"), kinds.count("no_code"), kinds.count("duplicate")) == (5, 1, 1)
    assert kinds[-1] == "finished"


def prompts_of(model: ScriptedModel, position: Position) -> str:
    """The user text of one call."""
    [found] = [messages for where, messages in model.calls if where == position]
    assert [m.speaker for m in found] == ["system", "user"]
    return found[1].text


def test_what_each_call_is_told(tmp_path: Path) -> None:
    model = ScriptedModel(plan)
    run_it(new_run(tmp_path), model)

    repair = prompts_of(model, Position("coder", 1, 2, 2))
    assert "weights are `nan` on the state of zeros" in repair
    assert module("BROKEN 1.2").strip() in repair
    no_code = prompts_of(model, Position("coder", 1, 2, 3))
    assert "has no Python block" in no_code
    assert "BROKEN" not in no_code

    ballot = prompts_of(model, Position("evaluator", 1, 0, 1))
    assert ballot.index("idea 1.1") < ballot.index("idea 1.2")
    assert "BROKEN" not in ballot
    assert "differs from VDN in 50 % of the states" in ballot
    assert "one warning" in ballot
    assert "There is no candidate '7'; the candidates are 1, 2." in prompts_of(model, Position("evaluator", 1, 0, 2))

    refine = prompts_of(model, Position("coder", 2, 1, 1))
    assert module("idea 1.2").strip() in refine
    assert "Tips of round 1." in refine
    assert "1 x check `contract`: weights are `nan`" in refine  # candidate 3 of round 1 ended so
    assert refine != prompts_of(model, Position("coder", 2, 2, 1))

    second = prompts_of(model, Position("evaluator", 2, 0, 1))
    assert "Candidate 1 (chosen in the round before)" in second
    assert "# mine!" not in second  # the duplicate is not on the ballot
    assert "Tips of round 2." in prompts_of(model, Position("coder", 3, 3, 1))


def test_the_trace_tells_it_all(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    result = run_it(run, ScriptedModel(plan))
    trace = read_trace(run.trace_path)
    by_type: dict[str, list[dict[str, object]]] = {}
    for record in trace:
        by_type.setdefault(str(record["type"]), []).append(record)
    assert len({record["id"] for record in trace}) == len(trace)
    assert {name: len(records) for name, records in by_type.items()} == {
        "run": 1,
        "message": CALLS_OF_PLAN,
        "verdict": 1 + 3 + 4 + 3 + 3,
        "bad_choice": 1,
        "duplicate": 1,
        "choice": 3,
        "result": 1,
    }
    assert by_type["run"][0]["task"] == TASK.model_dump(mode="json")
    said = next(r for r in by_type["message"] if r["id"] == "coder/2/1/1")
    assert said["parent"] == sha_of("idea 1.2")
    assert said["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": code("idea 2.1")}]}
    ]
    forbidden = [r for r in by_type["verdict"] if r.get("kind") == "forbidden"]
    assert [(r["candidate"], r["attempt"], r["line"]) for r in forbidden] == [(3, 2, 3)]
    assert by_type["choice"][2]["ballot"] == {
        "1": sha_of("idea 1.2"),
        "2": sha_of("idea 3.1"),
        "3": sha_of("idea 3.2"),
        "4": sha_of("idea 3.3"),
    }
    assert by_type["result"][0]["chosen"] == result.chosen
    stored = {r["prompt_sha256"] for r in read_json_lines(run.path / "replies.jsonl")}
    assert stored == {r["context_sha256"] for r in by_type["message"]}


def test_no_code_in_checkpoints(tmp_path: Path) -> None:
    """State holds hashes; the database would otherwise hold every text once per step."""
    run = new_run(tmp_path)
    run_it(run, ScriptedModel(plan))
    database = (run.path / "checkpoints.sqlite").read_bytes()
    assert sha_of("idea 1.2").encode() in database
    for word in (b"import torch", b"Tips of round", b"idea 1.1", b"Two agents and one food"):
        assert word not in database


def test_parallel_candidates(tmp_path: Path) -> None:
    """All K are asked before the first answers, and no more than `max_concurrency` at once."""
    under_way, most = 0, 0

    class Watching(ScriptedModel):
        async def complete(
            self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
        ) -> Reply:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.05)
            under_way -= 1
            return await super().complete(messages, position, schema=schema)

    def good(messages: Sequence[Message], position: Position) -> str:
        return verdict(1) if position.role == "evaluator" else code(f"idea {position}")

    run_it(new_run(tmp_path), Watching(good), GenerationSettings(candidates=6, rounds=1))
    assert most == 6
    most = 0
    run_it(new_run(tmp_path), Watching(good), GenerationSettings(candidates=6, rounds=1, max_concurrency=2))
    assert most == 2


def test_all_fail_then_a_fresh_round(tmp_path: Path) -> None:
    """The next round is told what went wrong, and counts as the first."""

    def script(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict(1)
        if position.round == 1:
            return code(f"BROKEN {position}") if position.candidate < 3 else "no"
        return code(f"idea {position}")

    run, events, model = new_run(tmp_path), list[Event](), ScriptedModel(script)
    result = run_it(run, model, GenerationSettings(rounds=2, attempts=2), events.append)
    assert [(r.number, r.chosen != "") for r in result.rounds] == [(1, False), (2, True), (3, True)]
    told = prompts_of(model, Position("coder", 2, 1, 1))
    assert "2 x check `contract`: weights are `nan` on the state of zeros" in told
    assert "1 x reply without usable code" in told
    assert [e.kind for e in events].count("all_failed") == 1


def test_all_fail_twice(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], position: Position) -> str:
        return code(f"BROKEN {position}")

    run, model = new_run(tmp_path), ScriptedModel(script)
    settings = GenerationSettings(candidates=2, attempts=2)
    with pytest.raises(
        NothingAcceptedError, match=r"none of 4 candidates in two rounds.*2 x check `contract`"
    ) as caught:
        run_it(run, model, settings)
    assert caught.value.exit_code == 1
    assert len(model.calls) == 8
    assert read_trace(run.trace_path)[-1]["family"] == "model"
    with pytest.raises(NothingAcceptedError):
        run_it(run, model, settings)
    assert len(model.calls) == 8


def test_a_later_round_of_failures_keeps_the_chosen_one(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict(2, tips="The tips.")
        return code(f"idea {position}" if position.round != 2 else f"BROKEN {position}")

    run, model = new_run(tmp_path), ScriptedModel(script)
    result = run_it(run, model, GenerationSettings(attempts=1))
    kept = sha_of("idea coder/1/2/1")
    assert [r.chosen for r in result.rounds][:2] == [kept, kept]
    assert not [where for where, _ in model.calls if where.role == "evaluator" and where.round == 2]
    third = prompts_of(model, Position("coder", 3, 1, 1))
    assert "The tips." in third
    assert "3 x check `contract`" in third
    assert result.chosen == sha_of("idea coder/3/1/1")


def test_only_duplicates_keep_the_chosen_one(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], position: Position) -> str:
        return verdict(1) if position.role == "evaluator" else code("always the same")

    run, events, model = new_run(tmp_path), list[Event](), ScriptedModel(script)
    result = run_it(run, model, on_event=events.append)
    assert result.chosen == sha_of("always the same")
    assert [[c.status for c in r.candidates] for r in result.rounds] == [
        ["accepted", "duplicate", "duplicate"],
        ["duplicate"] * 3,
        ["duplicate"] * 3,
    ]
    assert len([where for where, _ in model.calls if where.role == "evaluator"]) == 1
    assert [e.kind for e in events].count("duplicate") == 8
    assert result.parents == ()


def test_an_evaluator_that_never_chooses(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], position: Position) -> str:
        return "the first one" if position.role == "evaluator" else code(f"idea {position}")

    with pytest.raises(NoUsableReplyError, match=r"in 2 replies of the evaluator.*no JSON object"):
        run_it(new_run(tmp_path), ScriptedModel(script), GenerationSettings(evaluator_attempts=2))


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run_it(run, ScriptedModel(plan))
    with pytest.raises(RunFolderError, match="started with another `settings`"):
        run_it(run, ScriptedModel(plan), GenerationSettings(candidates=2))


def test_an_endpoint_fault_loses_no_answer_in_flight(tmp_path: Path) -> None:
    """Candidate 1 fails for good while 2 and 3 are under way: their answers are stored before the run stops."""

    class Failing(ScriptedModel):
        broken = True

        async def complete(
            self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
        ) -> Reply:
            if self.broken and position == Position("coder", 1, 1, 1):
                raise EndpointError("model `m`", cause="HTTP 500", remedy="Try later.")
            await asyncio.sleep(0.2 if self.broken else 0)
            return await super().complete(messages, position, schema=schema)

    run, model, events = new_run(tmp_path), Failing(plan), list[Event]()
    with pytest.raises(EndpointError, match="HTTP 500"):
        run_it(run, model, on_event=events.append)
    answered = read_json_lines(run.path / "replies.jsonl")
    assert [(r["position"]["candidate"], r["position"]["attempt"]) for r in answered] == [(2, 1), (3, 1)]
    assert [e.kind for e in events][-1] == "stopping"
    assert run.record["spend"]["calls"] == 2

    model.broken = False
    result = run_it(run, model)
    assert result.chosen == sha_of("idea 3.2")
    assert len(model.calls) == CALLS_OF_PLAN  # nothing was asked twice
    assert result.spend.calls_this_session == CALLS_OF_PLAN - 2


def test_replay_of_the_plan(tmp_path: Path) -> None:
    """Export a run, replay it without the model, and count changed prompts."""
    from qredit.agents import export_recording, open_model

    first = new_run(tmp_path)
    live = run_it(first, ScriptedModel(plan))
    path = export_recording(first, tmp_path / "recording")
    assert str(tmp_path) not in path.read_text()
    replayed = run_it(new_run(tmp_path), open_model("replay", environ={}, recording=path))
    assert replayed.chosen == live.chosen
    assert replayed.drift == Drift(0, CALLS_OF_PLAN)
    assert replayed.identities["coder"].model == "scripted"
    assert replayed.identities["evaluator"].endpoint == "recording:toy-foraging"

    changed = TASK.model_copy(update={"goal": "Eat the food soon."})
    events = list[Event]()
    drifted = run_it(
        new_run(tmp_path),
        open_model("replay", environ={}, recording=path),
        on_event=events.append,
        subject=replace(SUBJECT, task=changed),
    )
    assert drifted.drift == Drift(CALLS_OF_PLAN, CALLS_OF_PLAN)
    assert [e.text for e in events if e.kind == "drift"] == [
        f"{CALLS_OF_PLAN} of {CALLS_OF_PLAN} prompts differ from the recording"
    ]
