"""Sweeps on a Ray cluster of two nodes on loopback, in a process of their own; prints what happened as JSON.

python ray_sweeps.py FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qredit.errors import QreditError
from qredit.marl.engines.ray import RayEngine
from qredit.marl.jobs import Job, JobProgress
from tests.conftest import Tripwire
from tests.marl.engine_jobs import make_job, result, starts

NODE: dict[str, Any] = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}


def is_alive(pid: int) -> bool:
    """Whether a process still runs."""
    return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


def pids(job: Job) -> list[int]:
    """Of all starts of a job."""
    return [int(line) for line in (job.log.parent / "starts").read_text().split() if line.isdigit()]


class Sweeps:
    """The sweeps, one after the other on one cluster."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self.cluster: Any = Cluster(initialize_head=True, head_node_args=NODE)
        self.other = self.cluster.add_node(**NODE)
        self.engine = RayEngine(address=self.cluster.address)

    def run(self, jobs: list[Job], on_progress: Callable[[JobProgress], None] = lambda progress: None) -> None:
        self.engine.run(jobs, workers=None, on_progress=on_progress)

    def error(self) -> dict[str, Any]:
        """A job refuses."""
        try:
            self.run([make_job(self.folder, "refuse")])
        except QreditError as error:
            return {"class": type(error).__name__, "words": str(error), "notes": error.__notes__}
        return {}

    def lost_process(self) -> dict[str, Any]:
        """Ray's process that watches a job is killed."""
        job = make_job(self.folder, "lose_parent", seed=1)
        seen: list[JobProgress] = []
        self.run([job], seen.append)
        return {"sum": result(job), "starts": starts(job), "first": asdict(seen[0]), "last": asdict(seen[-1])}

    def interrupt(self) -> dict[str, Any]:
        """Ctrl-C in the middle, then once more."""
        job = make_job(self.folder, seed=2, slow_at=5)

        def press_ctrl_c(progress: JobProgress) -> None:
            if progress.done == 5:
                raise KeyboardInterrupt

        try:
            self.run([job], press_ctrl_c)
        except KeyboardInterrupt:
            status = json.loads((job.log.parent / "run.json").read_text())["status"]
            left = {"alive": is_alive(pids(job)[0]), "lock": (job.log.parent / "lock").exists(), "status": status}
        self.run([job])
        return {**left, "sum": result(job), "starts": starts(job)}

    def lost_node(self) -> dict[str, Any]:
        """A node with all its processes is killed while each of the two nodes has a job half way."""
        jobs = [make_job(self.folder, seed=seed, slow_at=5) for seed in (3, 4)]
        half_way: set[str] = set()

        def kill_the_other_node(progress: JobProgress) -> None:
            if progress.done == 5:
                half_way.add(progress.job)
            if len(half_way) == 2 and not (self.folder / "go").exists():
                self.cluster.remove_node(self.other, allow_graceful=False)
                # Its job learns of the loss when the process that watches it is gone; until then it must not go on.
                deadline = time.monotonic() + 60
                while all(is_alive(pids(job)[-1]) for job in jobs) and time.monotonic() < deadline:
                    time.sleep(0.05)
                (self.folder / "go").touch()

        self.run(jobs, kill_the_other_node)
        alive = [pid for job in jobs for pid in pids(job) if is_alive(pid)]
        return {"sums": [result(job) for job in jobs], "starts": sum(map(starts, jobs)), "alive": alive}


def main() -> None:
    """Print everything as one line."""
    tripwire = Tripwire()
    sys.addaudithook(tripwire.audit)
    # Ray looks for the way to the network with a socket of its own unless it is told that there is no cluster.
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    sweeps = Sweeps(Path(sys.argv[1]))
    try:
        told = {name: getattr(sweeps, name)() for name in ("error", "lost_process", "interrupt", "lost_node")}
    finally:
        sweeps.cluster.shutdown()
    sys.stdout.write(json.dumps({**told, "network": tripwire.attempts}) + "\n")


if __name__ == "__main__":
    main()
