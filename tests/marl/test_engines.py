"""Engines and what those with several machines share: settings, tickets, attempts, whose turn it is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import (
    ConfigurationError,
    InfrastructureError,
    NothingAcceptedError,
    RunFolderError,
    UnknownNameError,
)
from qredit.marl.engines import ENGINES, EngineSettings, LocalEngine, make_engine
from qredit.marl.engines.attempt import run_attempt
from qredit.marl.engines.options import require_package
from qredit.marl.engines.ray import RayEngine
from qredit.marl.engines.tickets import (
    Progress,
    Ticket,
    Turn,
    read_progress,
    read_turn,
    write_progress,
    write_ticket,
    write_turn,
)
from qredit.marl.jobs import Job
from qredit.marl.worker import error_from_json
from tests.marl.engine_jobs import make_job, result, starts

HERE = Path(__file__).parent
PATIENCE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _work_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def ticket_of(job: Job, *, patience_seconds: float = PATIENCE_SECONDS) -> Ticket:
    return write_ticket(job, patience_seconds=patience_seconds)


def attempt(ticket: Ticket) -> Any:
    """Run an attempt with what would arrive on another machine."""
    error = run_attempt(json.loads(json.dumps(ticket.to_json())))
    return None if error is None else error_from_json(error)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_the_registry_makes_what_it_names(tmp_path: Path) -> None:
    assert set(ENGINES) == {"local", "ray", "slurm"}
    assert isinstance(make_engine(EngineSettings(), tmp_path), LocalEngine)
    options = "address=10.0.0.1:6379,num_gpus=0.25,max_retries=2"
    engine = make_engine(EngineSettings(engine="ray", engine_options=options), tmp_path)
    assert engine == RayEngine(address="10.0.0.1:6379", max_retries=2, num_cpus=1, num_gpus=0.25)
    with pytest.raises(UnknownNameError, match=r"unknown engine `rya`.*`ray`"):
        make_engine(EngineSettings(engine="rya"), tmp_path)


@pytest.mark.parametrize(
    ("engine", "options", "words"),
    [
        ("local", "num_cpus=2", "unknown option of the engine `local` `num_cpus`"),
        ("ray", "num_cpu=2", "unknown option of the engine `ray` `num_cpu`.*`num_cpus`"),
        ("ray", "num_cpus=many", "`num_cpus=many`: it is no number"),
        ("ray", "num_gpus=-1", "`num_gpus=-1`: it is no number from 0 on"),
        ("ray", "fast", "`fast` is not NAME=VALUE"),
        ("slurm", "cluster=sge", "unknown cluster `sge`"),
        ("slurm", "cluster=local,slurm_partitoin=x", "Unknown argument 'partitoin'"),
        ("slurm", "cluster=local,timeout_min=long", 'submitit says: Parameter "timeout_min"'),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_starts(
    tmp_path: Path, engine: str, options: str, words: str
) -> None:
    with pytest.raises((ConfigurationError, UnknownNameError), match=words):
        make_engine(EngineSettings(engine=engine, engine_options=options), tmp_path)


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"engine `ray`: the package `nowhere` .* pip install 'qredit\[ray\]'"):
        require_package("nowhere", extra="ray", needed_by="engine `ray`")


def test_nobody_at_work_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 jobs"):
        EngineSettings(jobs=0)


@given(
    st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True), st.from_regex("[a-z0-9:.,-]{1,9}", fullmatch=True))
)
def test_options_come_back_as_they_were_given(options: dict[str, str]) -> None:
    """Values may hold commas; only NAME= after one starts another option."""
    text = ",".join(f"{name}={value}" for name, value in options.items())
    assert EngineSettings(engine_options=text).options == options


def test_a_jobs_identity_is_what_decides_its_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("a", "module:work", {"folder": "/x"}, 10, tmp_path / "log", {"seed": 0, "task": {"id": "T"}})
    same = replace(
        job, name="b", arguments={"folder": "/y"}, log=Path("/elsewhere"), facts={"task": {"id": "T"}, "seed": 0}
    )
    assert job.sha256 == same.sha256
    assert len({job.sha256, replace(job, facts={"seed": 1}).sha256, replace(job, work="module:other").sha256}) == 3
    before = job.sha256
    monkeypatch.setattr("qredit.marl.jobs.TRAINING_SCHEMA", -1)
    assert job.sha256 != before


def test_a_ticket_survives_the_way_and_carries_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QREDIT_TRUST_ENV", "1")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    ticket = ticket_of(make_job(tmp_path))
    text = json.dumps(ticket.to_json())
    assert Ticket.from_json(json.loads(text)) == ticket
    assert ticket.environment == {"QREDIT_TRUST_ENV": "1"}
    assert "secret" not in text


def test_an_attempt_does_the_job_and_says_so(tmp_path: Path) -> None:
    job = make_job(tmp_path, seed=7)
    ticket = ticket_of(job)
    assert read_progress(ticket) is None
    assert attempt(ticket) is None
    assert result(job) == 10 * 7 + 45
    assert read_progress(ticket) == Progress(ticket.submission, "finished", 10, 10)
    assert not (job.log.parent / "lock").exists()


def test_an_error_of_ours_comes_back_as_data(tmp_path: Path) -> None:
    ticket = ticket_of(make_job(tmp_path, "refuse"))
    error = attempt(ticket)
    assert type(error) is NothingAcceptedError
    progress = read_progress(ticket)
    assert progress is not None
    assert progress.state == "failed"
    assert progress.error is not None
    assert str(error_from_json(progress.error)) == str(error) == "nothing: all failed. Try `x`."


def test_a_bug_is_not_tried_again(tmp_path: Path) -> None:
    error = attempt(ticket_of(make_job(tmp_path, "crash")))
    assert type(error) is InfrastructureError
    assert "ZeroDivisionError: a bug in the job" in str(error)


def test_a_killed_process_is_started_again_and_goes_on(tmp_path: Path) -> None:
    job = make_job(tmp_path, seed=1, die_at=4)
    assert attempt(ticket_of(job)) is None
    assert (result(job), starts(job)) == (55, 2)


def test_a_process_that_is_killed_each_time_is_given_up(tmp_path: Path) -> None:
    job = make_job(tmp_path, "always_die")
    error = attempt(ticket_of(job))
    assert type(error) is InfrastructureError
    assert "signal 9" in str(error)
    assert starts(job) == 3


def test_a_folder_that_the_machine_does_not_see_is_one_clear_error(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    ticket = ticket_of(job)
    elsewhere = replace(ticket, job=replace(job, log=tmp_path / "unseen" / "worker.log"))
    error = attempt(elsewhere)
    assert "file system that all machines share" in str(error)
    assert not (tmp_path / "unseen").exists()
    assert not (job.log.parent / "result.json").exists()


def test_a_ticket_of_an_older_sweep_does_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    old, new = ticket_of(job), ticket_of(job)
    assert "another sweep has taken over" in str(attempt(old))
    assert attempt(new) is None


def test_another_version_on_the_machine_is_one_clear_error(tmp_path: Path) -> None:
    ticket = replace(ticket_of(make_job(tmp_path)), qredit="0.0.1")
    assert "started by qredit 0.0.1. Install the same version on all machines." in str(attempt(ticket))


def write_lock(job: Job, **more: str) -> None:
    """A lock as a process on another machine has left it."""
    lock = {"host": "another-machine", "pid": 4242, "started": "1", **more}
    (job.log.parent / "lock").write_text(json.dumps(lock))


def test_the_lock_of_a_lost_attempt_on_another_machine_is_outwaited(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    write_lock(job, attempt="0123")
    assert attempt(ticket_of(job, patience_seconds=0.3)) is None
    assert result(job) == 45


def test_the_lock_of_anybody_else_on_another_machine_stays(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    write_lock(job)
    error = attempt(ticket_of(job, patience_seconds=0.3))
    assert type(error) is RunFolderError
    assert "process 4242 on another-machine is writing to it" in str(error)
    assert (job.log.parent / "lock").exists()


def test_a_live_attempt_lets_go_for_a_newer_one(tmp_path: Path) -> None:
    job = make_job(tmp_path, seed=2, slow_at=3)
    program = (
        "import json, sys\n"
        "from qredit.marl.engines.attempt import run_attempt\n"
        "print(run_attempt(json.load(sys.stdin)))\n"
    )
    older = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(HERE), "PATH": ""},
        text=True,
    )
    assert older.stdin is not None
    json.dump(ticket_of(job).to_json(), older.stdin)
    older.stdin.close()
    wait_for(lambda: '"step": 3' in _text(job.log.parent / "checkpoint.json"))
    assert "attempt" in json.loads((job.log.parent / "lock").read_text())
    assert attempt(ticket_of(job)) is None
    assert older.stdout is not None
    assert "a newer attempt has taken over" in older.stdout.read()
    older.stdout.close()
    assert older.wait(PATIENCE_SECONDS) == 0
    assert (result(job), starts(job)) == (65, 2)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"submission": 3}', '{"submission": "x", "state": "odd"}'])
def test_notes_that_make_no_sense_are_none(tmp_path: Path, content: str) -> None:
    job = make_job(tmp_path)
    ticket = ticket_of(job)
    write_turn(job, Turn(ticket.submission, "a"))
    assert read_turn(job) == Turn(ticket.submission, "a")
    write_progress(job, Progress(ticket.submission, "running", 1, 2))
    assert read_progress(ticket) is not None
    (job.log.parent / "worker.attempt.json").write_text(content)
    (job.log.parent / "worker.progress.json").write_text(content)
    assert read_turn(job) is None
    assert read_progress(ticket) is None
