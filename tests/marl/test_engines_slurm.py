"""SLURM through submitit: its real processes on this machine, and stand-ins for SLURM's own commands."""

from __future__ import annotations

import itertools
import os
import pickletools
from collections.abc import Callable
from pathlib import Path

import pytest

from qredit.errors import ConfigurationError, InfrastructureError, NothingAcceptedError
from qredit.marl.engines import EngineSettings, SlurmEngine, make_engine
from qredit.marl.jobs import Job, JobProgress
from tests.marl.engine_jobs import make_job, result, starts

HERE = Path(__file__).parent
LOCAL = "cluster=local,settle_seconds=0.5"


@pytest.fixture(autouse=True)
def _work_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def engine(folder: Path, options: str = LOCAL) -> SlurmEngine:
    made = make_engine(EngineSettings(engine="slurm", engine_options=options), folder)
    assert isinstance(made, SlurmEngine)
    return made


def run(folder: Path, jobs: list[Job], on_progress: Callable[[JobProgress], None] = lambda progress: None) -> None:
    engine(folder).run(jobs, workers=2, on_progress=on_progress)


def test_all_jobs_run_and_tell_how_far_they_are(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, seed=seed) for seed in range(3)]
    seen: list[JobProgress] = []
    run(tmp_path, jobs, seen.append)
    assert [result(job) for job in jobs] == [45, 55, 65]
    for job in jobs:
        mine = [progress for progress in seen if progress.job == job.name]
        assert mine[0] == JobProgress(job.name, "waiting", 0, 10)
        assert mine[-2:] == [JobProgress(job.name, "running", 10, 10), JobProgress(job.name, "finished", 10, 10)]


def test_what_is_submitted_is_data_and_a_name(tmp_path: Path) -> None:
    run(tmp_path, [make_job(tmp_path)])
    [pickled] = (tmp_path / "slurm").glob("*_submitted.pkl")
    words = [str(argument) for _, argument, _ in pickletools.genops(pickled.read_bytes()) if isinstance(argument, str)]
    assert {"qredit.marl.engines.slurm", "Attempt"} <= set(words)
    assert not [word for word in words if "cloudpickle" in word]


def test_an_error_of_a_job_comes_back_and_stops_the_others(tmp_path: Path) -> None:
    with pytest.raises(NothingAcceptedError, match="nothing: all failed") as caught:
        run(tmp_path, [make_job(tmp_path, "refuse"), make_job(tmp_path, slow_at=2)])
    assert "job `refuse-0`" in caught.value.__notes__[0]


def test_a_lost_machine_is_one_clear_error_and_the_sweep_goes_on_later(tmp_path: Path) -> None:
    job = make_job(tmp_path, "lose_parent", seed=3)
    with pytest.raises(InfrastructureError, match=r"job `lose_parent-3` died: SLURM calls its job \d+ .*left no word"):
        run(tmp_path, [job])
    run(tmp_path, [job])
    assert (result(job), starts(job)) == (75, 2)


def test_a_job_whose_time_is_up_is_queued_again_and_goes_on(tmp_path: Path) -> None:
    job = make_job(tmp_path, "be_preempted", seed=1)
    run(tmp_path, [job])
    assert (result(job), starts(job)) == (55, 2)


def test_an_interrupt_here_stops_the_jobs_and_leaves_them_resumable(tmp_path: Path) -> None:
    job = make_job(tmp_path, slow_at=5)

    def press_ctrl_c(progress: JobProgress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [job], press_ctrl_c)
    pid = int((job.log.parent / "starts").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    run(tmp_path, [job])
    assert (result(job), starts(job)) == (45, 2)


def test_no_slurm_on_this_machine_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no `sbatch` on this machine.*cluster=local"):
        engine(tmp_path, "slurm_partition=gpu")


class Slurm:
    """Stand-ins for SLURM's commands; `sbatch` runs what it gets at once, in the background."""

    _ids = itertools.count(77)  # submitit remembers for the whole process what it has heard of a job

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, next(self._ids)
        folder.mkdir()
        self.command(
            "srun", 'while [ "${1#-}" != "$1" ]; do case "$1" in --output|--error) shift;; esac; shift; done\n"$@"'
        )
        self.command("scancel", "exit 0")
        self.state("PENDING")
        self.command(
            "sbatch", f'echo x >> "{folder}/calls"; cp "$1" "{folder}/script"; echo "Submitted batch job {self.id}"'
        )

    def command(self, name: str, body: str) -> None:
        (self.folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (self.folder / name).chmod(0o755)

    def state(self, state: str) -> None:
        """What `sacct` says of all jobs."""
        lines = "".join(f"\\n{job}|{state}|node1" for job in (self.id, f"{self.id}_0", f"{self.id}_1"))
        self.command("sacct", f"printf 'JobID|State|NodeList{lines}\\n'")

    @property
    def calls(self) -> int:
        """How often `sbatch` was called."""
        return len((self.folder / "calls").read_text().splitlines())


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


def test_a_refused_submission_says_what_sbatch_says(tmp_path: Path, slurm: Slurm) -> None:
    slurm.command("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(InfrastructureError, match="invalid partition specified: gpu"):
        engine(tmp_path, "slurm_partition=gpu").run([make_job(tmp_path)], workers=None, on_progress=print)


def test_jobs_are_one_array_with_the_options_given(tmp_path: Path, slurm: Slurm) -> None:
    jobs = [make_job(tmp_path, seed=seed) for seed in range(2)]
    made = engine(tmp_path, "slurm_partition=gpu,slurm_account=lab,timeout_min=90")
    assert made.submit(jobs, workers=1) == {"count-0": f"{slurm.id}_0", "count-1": f"{slurm.id}_1"}
    script = (slurm.folder / "script").read_text()
    for line in ("--partition=gpu", "--account=lab", "--time=90", "--cpus-per-task=1", "--array=0-1%1"):
        assert f"#SBATCH {line}\n" in script


def test_what_is_queued_is_not_queued_twice(tmp_path: Path, slurm: Slurm) -> None:
    jobs = [make_job(tmp_path, seed=seed) for seed in range(2)]
    first = engine(tmp_path, "timeout_min=90").submit(jobs, workers=None)
    assert engine(tmp_path, "timeout_min=90").submit(jobs, workers=None) == first
    assert slurm.calls == 1
    slurm.state("CANCELLED")
    engine(tmp_path, "timeout_min=90").submit(jobs, workers=None)
    assert slurm.calls == 2


def test_a_sweep_left_alone_is_collected_later(tmp_path: Path, slurm: Slurm) -> None:
    """Submitted by one process; while another one waits, the job runs, as SLURM would start it."""
    job = make_job(tmp_path, seed=4)
    engine(tmp_path, "timeout_min=90").submit([job], workers=None)
    script = slurm.folder / "script"
    environment = {"SLURM_JOB_ID": str(slurm.id), "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}

    def start_it(progress: JobProgress) -> None:
        if progress.state == "waiting":
            assert os.spawnvpe(os.P_WAIT, "bash", ["bash", str(script)], {**os.environ, **environment}) == 0

    engine(tmp_path, "timeout_min=90").run([job], workers=None, on_progress=start_it)
    assert (result(job), slurm.calls) == (85, 1)


def test_a_job_that_slurm_has_ended_in_silence_says_how(tmp_path: Path, slurm: Slurm) -> None:
    slurm.state("OUT_OF_MEMORY")
    with pytest.raises(InfrastructureError, match=f"SLURM calls its job {slurm.id} OUT_OF_MEMORY"):
        engine(tmp_path, "settle_seconds=0.1").run(
            [make_job(tmp_path)], workers=None, on_progress=lambda progress: None
        )
