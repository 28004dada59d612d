"""A soak of every jail: hundreds of candidates, attacks among them, and nothing is left of any.

`benchmarks/soak.py` does the same with thousands. It runs in a process of its own, so that what it counts is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Require = Callable[[str, str | None], None]

CANDIDATES = 200
JOBS_PER_SERVER = 90
"""So that a server is replaced under way."""

LEAKY = """
import os, subprocess, sys, tempfile, threading
from benchmarks import soak, soak_census

what = sys.argv.pop(1)
kept = []
COMMAND = [sys.executable, "-c", "import time; time.sleep(60)", soak_census.SERVER_MAIN]
DAEMON = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(60)"

class Jail:
    def __init__(self, jobs_per_server):
        self.server = subprocess.Popen(COMMAND)
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.server.kill()
        if what != "zombie":
            self.server.wait()

def verdict(number, specimen, subject, jail):
    if number == 30:
        if what == "process":
            kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        elif what == "daemon":
            subprocess.run([sys.executable, "-c", DAEMON], check=True)
        elif what == "descriptor":
            kept.append(os.open("/dev/null", os.O_RDONLY))
        elif what == "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        elif what == "file":
            tempfile.mkstemp()
        elif what == "run":
            os.mkdir(os.environ["QREDIT_RUNS"] + "/left")
        elif what == "memory":
            kept.append(b"x" * 50_000_000)
        elif what == "server":
            subprocess.Popen(COMMAND)
        elif what == "verdict":
            return "graph/contract"
    return specimen.expected

soak.OPENERS["lockdown"] = Jail
soak.verdict = verdict
soak.load_subject = lambda task: None
soak.SETTLE_SECONDS = 0.5
code = soak.main()
sys.stdout.flush()
for process in soak_census.below(os.getpid()):
    os.kill(process.pid, 9)
os._exit(code)
"""


def soaked(repository: Path, *command: str) -> tuple[int, dict[str, Any]]:
    """Run a soak of one jail; gives its exit code and its report."""
    done = subprocess.run(
        [sys.executable, *command, "--json"], cwd=repository, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout.count("\n") == 1, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


@pytest.mark.parametrize("jail", ["lockdown", "bubblewrap", "docker"])
def test_nothing_is_left_of_hundreds_of_candidates(jail: str, repository: Path, require: Require) -> None:
    arguments = ("--jails", jail, "--candidates", str(CANDIDATES), "--jobs-per-server", str(JOBS_PER_SERVER))
    code, report = soaked(repository, "-m", "benchmarks.soak", *arguments)
    require(jail, report.get("unavailable"))
    assert report["leaks"] == []
    assert code == 0
    assert sum(report["verdicts"].values()) == CANDIDATES
    assert set(report["verdicts"]) == {
        "accepted",
        "gate/forbidden",
        "gate/unsupported",
        "trace/trace",
        "trace/resource",
        "contract/contract",
        "graph/graph",
    }
    ((first,), (last,)) = (report["moments"][name]["servers"] for name in ("start", "end"))
    assert first != last


LEAKS = {
    "process": "processes: 1 at `start`, 2 at `end`",
    "daemon": "processes: 0 at `before`, 1 at `closed`",
    "descriptor": "descriptors: ",
    "thread": "threads: ",
    "file": "files: 0 at `before`, 1 at `end`",
    "run": "files: 0 at `before`, 1 at `closed`",
    "memory": "megabytes: ",
    "server": "servers: ",
    "verdict": "unexpected verdict: ",
}
"""What is left behind -> how the report says so."""


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found(leak: str, repository: Path) -> None:
    code, report = soaked(repository, "-c", LEAKY, leak, "--jails", "lockdown", "--candidates", "60")
    assert code == 1
    assert [text for text in report["leaks"] if text.startswith(LEAKS[leak])], report["leaks"]


def test_without_a_leak_none_is_found(repository: Path) -> None:
    code, report = soaked(repository, "-c", LEAKY, "nothing", "--jails", "lockdown", "--candidates", "60")
    assert (code, report["leaks"]) == (0, [])
