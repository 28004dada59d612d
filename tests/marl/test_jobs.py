"""Jobs in processes of their own: results, errors across the border, deaths, interruption, no orphans."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import (
    ArtifactError,
    InfrastructureError,
    ModelError,
    NothingAcceptedError,
    QreditError,
    StorageError,
    UnknownNameError,
    UserError,
)
from qredit.marl.cores import quota_cores, usable_cores
from qredit.marl.engines.local import run_jobs
from qredit.marl.jobs import Job, JobProgress
from qredit.marl.worker import error_from_json, error_to_json

HERE = Path(__file__).parent
PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _toys_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def job(tmp_path: Path, work: str, name: str = "toy", **arguments: Any) -> Job:
    return Job(name, f"toy_work:{work}", arguments, 3, tmp_path / f"{name}.log")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process still runs; a zombie that nobody has reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_all_jobs_run_with_one_thread_each_and_report(tmp_path: Path) -> None:
    seen: list[JobProgress] = []
    jobs = [job(tmp_path, "succeed", name, file=str(tmp_path / name)) for name in "abc"]
    run_jobs(jobs, workers=2, on_progress=seen.append)
    # The variable is set before anything is imported, torch least of all.
    assert [(tmp_path / name).read_text() for name in "abc"] == ["1 False"] * 3
    for name in "abc":
        mine = [p for p in seen if p.job == name]
        assert mine[0] == JobProgress(name, "waiting", 0, 3)
        assert mine[-1] == JobProgress(name, "finished", 3, 3)
        assert mine[-2] == JobProgress(name, "running", 3, 3)
    assert (tmp_path / "a.log").read_text() == "a library prints something\n"


def test_no_jobs_are_no_work() -> None:
    run_jobs([], workers=1)


def test_somebody_has_to_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers = 0"):
        run_jobs([job(tmp_path, "succeed")], workers=0)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        ("known", NothingAcceptedError, "nothing: all failed. Try `x`."),
        ("composed", UnknownNameError, "unknown task `lfb`: no task has this name. Did you mean `lbf`?"),
        ("foreign", ArtifactError, "artifact: bad. Make it again."),
    ],
)
def test_an_error_of_ours_arrives_as_what_it_was(
    tmp_path: Path, error: str, expected: type[QreditError], words: str
) -> None:
    with pytest.raises(expected) as caught:
        run_jobs([job(tmp_path, "refuse", error=error)], workers=1)
    assert type(caught.value) is expected
    assert str(caught.value) == words
    assert "job `toy`" in caught.value.__notes__[0]
    assert "Traceback" in (tmp_path / "toy.log").read_text()


@pytest.mark.parametrize("cls", [UserError, ModelError, InfrastructureError, StorageError])
def test_every_family_survives_the_way_through_json(cls: type[QreditError]) -> None:
    back = error_from_json(error_to_json(cls("what", cause="cause", remedy="Remedy.")))
    assert (type(back), str(back), back.exit_code) == (cls, "what: cause. Remedy.", cls.exit_code)


def test_a_bug_in_a_job_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="exit code 1: ZeroDivisionError: a bug in the job") as caught:
        run_jobs([job(tmp_path, "crash")], workers=1)
    assert "--resume" in caught.value.remedy
    assert str(tmp_path / "toy.log") in caught.value.remedy


def test_an_address_that_leads_nowhere_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="ModuleNotFoundError: No module named 'nowhere'"):
        run_jobs([Job("lost", "nowhere:work", {}, 1, tmp_path / "log")], workers=1)


def test_a_killed_job_is_one_clear_error_and_the_finished_stay(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "succeed", "first", file=str(tmp_path / "first")),
        job(tmp_path, "die", "second"),
        job(tmp_path, "succeed", "third", file=str(tmp_path / "third")),
    ]
    with pytest.raises(InfrastructureError, match=r"job `second` died: .*signal 9 .*ran out of memory.*--jobs"):
        run_jobs(jobs, workers=1)
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "third").exists()


def test_when_one_fails_the_others_are_interrupted(tmp_path: Path) -> None:
    def wait_until_both_run(progress: JobProgress) -> None:
        if progress.job == "second" and progress.state == "running":
            wait_for((tmp_path / "started").exists)

    jobs = [job(tmp_path, "linger", "first", folder=str(tmp_path)), job(tmp_path, "die", "second")]
    with pytest.raises(InfrastructureError, match="`second`"):
        run_jobs(jobs, workers=2, on_progress=wait_until_both_run)
    assert (tmp_path / "interrupted").exists()
    assert not is_alive(int((tmp_path / "started").read_text()))


def test_an_interrupt_here_interrupts_the_jobs(tmp_path: Path) -> None:
    def press_ctrl_c(progress: JobProgress) -> None:
        if progress.state == "running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([job(tmp_path, "linger", folder=str(tmp_path))], workers=1, on_progress=press_ctrl_c)
    assert (tmp_path / "interrupted").exists()
    assert not is_alive(int((tmp_path / "started").read_text()))


def test_a_job_can_be_interrupted_by_a_parent_that_cannot(tmp_path: Path) -> None:
    """Processes inherit which signals are blocked."""

    def press_ctrl_c(progress: JobProgress) -> None:
        if progress.state == "running":
            raise KeyboardInterrupt

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            run_jobs([job(tmp_path, "linger", folder=str(tmp_path))], workers=1, on_progress=press_ctrl_c)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (tmp_path / "interrupted").exists()


def test_a_job_that_does_not_obey_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qredit.marl.engines.local.GRACE_SECONDS", 0.2)

    def press_ctrl_c(progress: JobProgress) -> None:
        if progress.state == "running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([job(tmp_path, "disobey", folder=str(tmp_path))], workers=1, on_progress=press_ctrl_c)
    assert not is_alive(int((tmp_path / "started").read_text()))


def parent_of_one_job(tmp_path: Path) -> subprocess.Popen[bytes]:
    """Another process that runs the job `linger` through `run_jobs`."""
    program = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path\n"
        "from qredit.marl.engines.local import run_jobs\n"
        "from qredit.marl.jobs import Job\n"
        f"folder = {str(tmp_path)!r}\n"
        "run_jobs([Job('toy', 'toy_work:linger', {'folder': folder}, 1, Path(folder) / 'log')], workers=1)\n"
    )
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, process_group=0)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_job_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    with parent_of_one_job(tmp_path) as parent:
        started = tmp_path / "started"
        wait_for(lambda: started.exists() and started.read_text() != "")
        parent.send_signal(how)
        parent.wait(PATIENCE_SECONDS)
        pid = int(started.read_text())
        wait_for(lambda: not is_alive(pid))
    assert (tmp_path / "interrupted").exists()


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"Not a directory|File exists"):
        run_jobs([Job("toy", "toy_work:crash", {}, 1, tmp_path / "file" / "folder" / "log")], workers=1)


def test_usable_cores_is_at_least_one_and_at_most_the_affinity() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_quota_of_cgroup_version_2_is_the_tightest_of_all_levels(tmp_path: Path) -> None:
    (tmp_path / "mount/a/b").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/a/b\n")
    (tmp_path / "mount/a/b/cpu.max").write_text("max 100000\n")
    (tmp_path / "mount/a/cpu.max").write_text("250000 100000\n")
    assert quota_cores(tmp_path / "mount", tmp_path / "own") == 2.5
    (tmp_path / "mount/cpu.max").write_text("150000 100000\n")
    assert quota_cores(tmp_path / "mount", tmp_path / "own") == 1.5


def test_quota_of_cgroup_version_1(tmp_path: Path) -> None:
    folder = tmp_path / "mount/cpu,cpuacct/job"
    folder.mkdir(parents=True)
    (tmp_path / "own").write_text("5:memory:/job\n4:cpu,cpuacct:/job\n")
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert quota_cores(tmp_path / "mount", tmp_path / "own") == math.inf
    (folder / "cpu.cfs_quota_us").write_text("300000\n")
    assert quota_cores(tmp_path / "mount", tmp_path / "own") == 3.0


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota_cores(tmp_path / "none", tmp_path / "nothing") == math.inf


def test_a_quota_below_one_core_still_lets_one_process_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qredit.marl.cores.quota_cores", lambda cgroups, own: 0.5)
    assert usable_cores() == 1
