"""Whatever stops a run, no answered call is asked again, with or without the checkpoints."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from qredit.agents import Position, ScriptedModel
from qredit.agents.messages import canonical
from qredit.errors import ArtifactError, RunFolderError, StorageError
from qredit.files import read_json_lines, sha256
from qredit.graphs import Event, GenerationResult, GenerationSettings, generate, read_trace
from qredit.graphs.events import OnEvent
from qredit.graphs.kinds import Assignment
from qredit.runs import Run
from qredit.sandbox.verdict import Accepted, Rejected
from tests.agents.protocol_server import Request, protocol_server
from tests.graphs import support
from tests.graphs.generation_process import run_against
from tests.graphs.support import CALLS_OF_PLAN, code, new_run, plan, verdict


class KilledError(Exception):
    """Stands for the end of the process: nothing in qredit knows it."""


def session(run: Run, model: ScriptedModel, on_event: OnEvent) -> GenerationResult:
    """One session of a run."""
    return support.run_it(run, model, on_event=on_event)


def stored_positions(run: Run) -> set[Position]:
    """Positions of all answered calls."""
    path = run.path / "replies.jsonl"
    return {Position(**r["position"]) for r in read_json_lines(path)} if path.exists() else set()


def forget_checkpoints(run: Run) -> None:
    """Delete the database with its side files."""
    for path in run.path.glob("checkpoints.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("checkpoints", ["kept", "lost"])
def test_killed_at_every_step(tmp_path: Path, checkpoints: str) -> None:
    """Each session dies at the first event that no session before it lived to see."""
    undisturbed = session(new_run(tmp_path), ScriptedModel(plan), lambda event: None)
    run, seen, sessions = new_run(tmp_path), set[Event](), 0
    while True:
        model, answered = ScriptedModel(plan), stored_positions(run)

        def die_at_news(event: Event) -> None:
            if event not in seen:
                seen.add(event)
                raise KilledError

        sessions += 1
        try:
            result = session(run, model, die_at_news)
            break
        except KilledError:
            pass
        finally:
            assert not answered & {where for where, _ in model.calls}
        if checkpoints == "lost":
            forget_checkpoints(run)
            if sessions % 2:  # damaged instead of missing
                (run.path / "checkpoints.sqlite").write_bytes(b"SQLite format 3\0 and then nonsense" * 50)
    assert sessions > 20
    assert (result.chosen, result.payload) == (undisturbed.chosen, undisturbed.payload)
    assert result.rounds == undisturbed.rounds
    assert result.parents == undisturbed.parents
    assert result.spend.calls == CALLS_OF_PLAN
    ids = [record["id"] for record in read_trace(run.trace_path)]
    assert len(ids) == len(set(ids))
    assert {r["id"] for r in read_trace(run.trace_path) if r["type"] == "message"} == {
        str(position) for position in stored_positions(run)
    }


def test_a_finished_run_is_given_again(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    first = session(run, ScriptedModel(plan), lambda event: None)
    again = ScriptedModel(plan)
    second = session(run, again, lambda event: None)
    assert again.calls == []
    assert (second.chosen, second.rounds, second.payload) == (first.chosen, first.rounds, first.payload)
    assert (second.spend.calls, second.spend.calls_this_session) == (CALLS_OF_PLAN, 0)


def answer(request: Request) -> str:
    """A server's plan, from the messages alone; slow enough to be killed in the middle."""
    time.sleep(0.05)
    system, user = (message["content"] for message in request["messages"])
    if "You judge" in system:
        return verdict(2)
    broken = "Write candidate 2 of 3" in user and "What to correct" not in user
    return code(f"{'BROKEN ' if broken else ''}{sha256(user.encode())[:12]}")


@pytest.mark.parametrize(("killed_after", "checkpoints"), [(2, True), (5, False)])
def test_kill_9(tmp_path: Path, repository: Path, killed_after: int, checkpoints: bool) -> None:
    """A real process, killed without a chance to tidy up; the lock it leaves is taken over."""
    run = new_run(tmp_path)
    with protocol_server(answer) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.graphs.generation_process", str(run.path), server.base_url], cwd=repository
        )
        try:
            deadline = time.monotonic() + 60
            while len(stored_positions(run)) < killed_after:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if not checkpoints:
            forget_checkpoints(run)
        answered = {r["prompt_sha256"] for r in read_json_lines(run.path / "replies.jsonl")}
        before = len(server.requests)
        assert (run.path / "lock").exists()
        result = run_against(run, server.base_url)
        asked_now = [sha256(canonical(request["messages"])) for request in server.requests[before:]]
    assert not answered & set(asked_now)
    assert max(Counter(asked_now).values()) == 1
    assert len(answered) + len(asked_now) == result.spend.calls == (4 + 1) * 2
    assert not (run.path / "lock").exists()


def test_a_verdict_that_depends_on_the_clock_is_kept(tmp_path: Path) -> None:
    """Checked again, the candidate might get another message, and the next prompt would be another one."""
    run, checks = new_run(tmp_path), 0

    def slow_once(source: str, assignment: Assignment, jail: object) -> Accepted | Rejected:
        nonlocal checks
        checks += 1
        if checks == 1:
            return Rejected("trace", "resource", "The time limit of 10 s is over.", None, 10.0)
        return support.check(source)

    def die_after_repair(event: Event) -> None:
        if event.kind == "replied" and event.attempt == 2:
            raise KilledError

    def good(messages: object, position: Position) -> str:
        return verdict(1) if position.role == "evaluator" else code(f"idea {position}")

    def once(model: ScriptedModel, on_event: OnEvent) -> GenerationResult:
        settings = GenerationSettings(candidates=1, rounds=1)
        return support.run_it(run, model, settings, on_event, kind=replace(support.KIND, check=slow_once))

    with pytest.raises(KilledError):
        once(ScriptedModel(good), die_after_repair)
    forget_checkpoints(run)
    model = ScriptedModel(good)
    assert once(model, lambda event: None).rounds[0].candidates[0].attempts == 2
    assert [where.role for where, _ in model.calls] == ["evaluator"]


def test_a_forged_verdict_does_not_pass(tmp_path: Path) -> None:
    """A stranger's run folder says that a broken candidate was accepted: the last check finds out."""
    run = new_run(tmp_path)
    result = session(run, ScriptedModel(plan), lambda event: None)
    folder = run.path / "candidates"
    forged = b'{"graph of": "something else"}'
    (folder / f"{result.chosen}.payload").write_bytes(forged)
    with pytest.raises(ArtifactError, match="does not match its SHA-256"):
        session(run, ScriptedModel(plan), lambda event: None)
    record = folder / f"{result.chosen}.verdict.json"
    record.write_text(record.read_text().replace(result.verdict.payload_sha256, sha256(forged)))
    with pytest.raises(RunFolderError, match="is not what the checks say"):
        session(run, ScriptedModel(plan), lambda event: None)


def test_a_forged_checkpoint_names_no_file_outside(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    result = session(run, ScriptedModel(plan), lambda event: None)
    with sqlite3.connect(run.path / "checkpoints.sqlite") as database:
        for table, column in (("checkpoints", "checkpoint"), ("writes", "value")):
            for row, value in database.execute(f"select rowid, {column} from {table}").fetchall():
                forged = bytes(value).replace(result.chosen.encode(), b"../" * 21 + b"x")
                database.execute(f"update {table} set {column} = ? where rowid = ?", (forged, row))
    database.close()
    with pytest.raises(RunFolderError, match="which is no SHA-256"):
        session(run, ScriptedModel(plan), lambda event: None)


def test_a_full_disk_stops_cleanly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qredit.files import AppendOnlyLines

    run, real, written = new_run(tmp_path), AppendOnlyLines.append, 0

    def append(self: AppendOnlyLines, record: dict[str, object]) -> None:
        nonlocal written
        written += "reply" in record
        if written > 4:
            raise StorageError("cannot write `replies.jsonl`", cause="No space left on device", remedy="Free some.")
        real(self, record)

    monkeypatch.setattr(AppendOnlyLines, "append", append)
    with pytest.raises(StorageError, match="No space left"):
        session(run, ScriptedModel(plan), lambda event: None)
    monkeypatch.undo()
    assert len(stored_positions(run)) == 4
    model = ScriptedModel(plan)
    session(run, model, lambda event: None)
    assert len(model.calls) == CALLS_OF_PLAN - 4


def test_cancelled_calls_are_cut_short(tmp_path: Path) -> None:
    """Ctrl-C: nobody waits for an answer that takes minutes."""
    run = new_run(tmp_path)

    async def interrupted() -> None:
        task = asyncio.ensure_future(generate(support.job(ScriptedModel(plan, latency_seconds=600)), run))
        while not (run.path / "checkpoints.sqlite").exists():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    started = time.monotonic()
    asyncio.run(interrupted())
    assert time.monotonic() - started < 300
    assert run.record["spend"]["calls"] == 0


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock is set back and forth by days: the same choices, and a trace that can be read."""
    undisturbed = session(new_run(tmp_path), ScriptedModel(plan), lambda event: None)
    jumps = itertools.cycle([0.0, 1e6, -1e6, 3e9])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    run = new_run(tmp_path)
    result = session(run, ScriptedModel(plan), lambda event: None)
    assert (result.chosen, result.rounds) == (undisturbed.chosen, undisturbed.rounds)
    ids = [record["id"] for record in read_trace(run.trace_path)]
    assert len(ids) == len(set(ids))
    again = ScriptedModel(plan)
    assert session(run, again, lambda event: None).chosen == result.chosen
    assert again.calls == []
