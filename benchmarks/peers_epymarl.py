"""One training of EPyMARL, timed: run by `benchmarks/peers.py` with the interpreter that has what EPyMARL needs.

    PYTHON benchmarks/peers_epymarl.py JOB

JOB is JSON: `checkout`, `task`, `algorithm`, `steps`, and `changes` of EPyMARL's own configuration. Prints one JSON
line: environment steps per second between the first metric after a fifth of the steps and the last, by EPyMARL's own
time stamps. One evaluation of one collection at the start cannot be switched off; it is in the part that does not
count. EPyMARL also writes into `results/` of its checkout.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

# A PettingZoo without MPE still has a package `mpe`, which only says so: where `mpe2` is there, it is the one to play.
SPREAD = "mpe2" if importlib.util.find_spec("mpe2") else "mpe"
TASKS = {
    "lbf-10x10-3p-3f-2s": {"key": "lbforaging:Foraging-2s-10x10-3p-3f-v3", "time_limit": 50},
    "mpe-spread-3": {"key": f"pz-{SPREAD}-simple-spread-v3", "time_limit": 25},
}
SHARED = {"test_interval": 10**9, "test_nepisode": 1, "use_cuda": False, "hidden_dim": 64, "use_rnn": False, "seed": 0}
INTERVALS = ("log_interval", "runner_log_interval", "learner_log_interval")


def main() -> None:
    """Train as the job says."""
    print(json.dumps({"steps_per_second": train(**json.loads(sys.argv[1]))}))


def train(checkout: str, task: str, algorithm: str, steps: int, changes: Mapping[str, Any]) -> float:
    """Run its command line; steps per second."""
    environment = {f"env_args.{name}": value for name, value in TASKS[task].items()}
    options = {**environment, **SHARED, **dict.fromkeys(INTERVALS, steps // 50), "t_max": steps, **changes}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "main.py", f"--config={algorithm}", "--env-config=gymma"]
        command += ["-F", folder, "with", *(f"{name}={value}" for name, value in options.items())]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=Path(checkout) / "src", stdout=sys.stderr, env=one_thread, check=True)
        found = next(Path(folder).glob("[0-9]*/metrics.json"))  # the number is that of the run in EPyMARL's own results
        series = json.loads(found.read_text())["ep_length_mean"]
    moments = [datetime.fromisoformat(moment).timestamp() for moment in series["timestamps"]]
    seen = [(done, at) for done, at in zip(series["steps"], moments, strict=True) if done >= steps / 5]
    (first, begun), (last, ended) = seen[0], seen[-1]
    return float((last - first) / (ended - begun))


if __name__ == "__main__":
    main()
