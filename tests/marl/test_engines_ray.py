"""Ray: its own cluster of two nodes on loopback, with processes and a node that are lost in mid-job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Told = dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Told:
    """What `ray_sweeps.py` has seen; one cluster for all, since it takes long to start."""
    search = os.pathsep.join([str(repository), str(HERE)])
    with tempfile.TemporaryDirectory(prefix="ray") as short:  # the paths of sockets have to be short
        done = subprocess.run(
            [sys.executable, "-P", "-W", "error", HERE / "ray_sweeps.py", tmp_path_factory.mktemp("sweeps")],
            env={**os.environ, "PYTHONPATH": search, "RAY_TMPDIR": short},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-5000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def test_an_error_of_a_job_comes_back_as_what_it_was(told: Told) -> None:
    assert told["error"]["class"] == "NothingAcceptedError"
    assert told["error"]["words"] == "nothing: all failed. Try `x`."
    assert "job `refuse-0`" in told["error"]["notes"][0]


def test_a_job_whose_process_was_lost_goes_on(told: Told) -> None:
    assert (told["lost_process"]["sum"], told["lost_process"]["starts"]) == (55, 2)
    assert told["lost_process"]["first"] == {"job": "lose_parent-1", "state": "waiting", "done": 0, "total": 10}
    assert told["lost_process"]["last"] == {"job": "lose_parent-1", "state": "finished", "done": 10, "total": 10}


def test_an_interrupt_here_stops_the_jobs_and_leaves_them_resumable(told: Told) -> None:
    left = {name: told["interrupt"][name] for name in ("alive", "lock", "status")}
    assert left == {"alive": False, "lock": False, "status": "interrupted"}
    assert (told["interrupt"]["sum"], told["interrupt"]["starts"]) == (65, 2)


def test_a_sweep_that_loses_a_node_ends_with_the_same_numbers(told: Told) -> None:
    """Of two jobs one was on the lost node: it, and only it, was started a second time."""
    assert told["lost_node"] == {"sums": [75, 85], "starts": 3, "alive": []}


def test_nothing_beyond_loopback_was_tried(told: Told) -> None:
    assert told["network"] == []
