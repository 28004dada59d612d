"""Time to a return: how long ours trains until it is as good as EPyMARL is after five minutes.

    python benchmarks/time_to_return.py --epymarl CHECKOUT --epymarl-python PYTHON [--only lbf] [--seconds 300]
        [--algorithms qmix,vdn,ippo] [--seeds 0-4] [--jobs 2] [--folder runs/time-to-return]

EPyMARL trains for so many seconds with the settings of its own files, evaluated every 10 000 steps in 50 episodes, and
ours with what we recommend for the task, evaluated as often. Actions are greedy on both sides: IPPO of EPyMARL draws
them in evaluations, too, which is changed while it runs. Its level is the mean of the last three evaluations, over the
seeds, of the best of its algorithms; a training has reached it once three evaluations in a row do so in the mean.
Seconds are wall-clock, from the start of playing, evaluations included; those of ours count kernels that are compiled.
Trainings of both sides run `--jobs` at a time, one thread each.

What is finished in the folder is kept. Prints one JSON line per training of EPyMARL and one per task.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder there

from benchmarks.peers_epymarl import TASKS
from qredit.cli.training import parse_seeds
from qredit.marl.adapters import compile_ahead
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender
from qredit.marl.curves import read_curve
from qredit.marl.engines import EngineSettings
from qredit.marl.finished import training_folder
from qredit.marl.settings import TrainSettings
from qredit.runs import Run
from qredit.task import load_task

INTERVAL, EPISODES, WINDOW = 10_000, 50, 3
EVALUATED = TrainSettings(evaluation_interval=INTERVAL, evaluation_episodes=EPISODES, checkpoint_interval=10**9)
RECOMMENDED = {
    "lbf-10x10-3p-3f-2s": asdict(EVALUATED)
    | {
        "algorithm": "ippo",
        "rewards": "individual",
        "recurrent": True,
        "n_environments": 64,
        "learning_rate": 1e-3,
        "total_steps": 1_000_000,
        "own": {"minibatches": 4},
    },
    "mpe-spread-3": asdict(EVALUATED) | {"algorithm": "vdn", "total_steps": 200_000},
}
"""Per task; recurrent, because a greedy team that remembers nothing repeats itself."""
GREEDY = """
import runpy, sys
sys.path.insert(0, ".")
from components.action_selectors import REGISTRY, SoftPoliciesSelector
drawn = SoftPoliciesSelector.select_action
def select_action(self, policies, available, t_env, test_mode=False):
    return policies.max(dim=2)[1] if test_mode else drawn(self, policies, available, t_env, test_mode)
SoftPoliciesSelector.select_action = select_action
sys.argv[0] = "main.py"
runpy.run_path("main.py", run_name="__main__")
"""
"""EPyMARL's command line with greedy evaluations of policies."""


@dataclass(frozen=True)
class Curve:
    """Evaluations of one training."""

    seconds: Sequence[float]
    returns: Sequence[float]

    @property
    def end(self) -> float:
        """Mean of the last evaluations."""
        return statistics.fmean(self.returns[-WINDOW:])

    def reached(self, level: float) -> float | None:
        """When, if at all."""
        for k in range(WINDOW, len(self.returns) + 1):
            if statistics.fmean(self.returns[k - WINDOW : k]) >= level:
                return self.seconds[k - 1]
        return None


def main() -> None:
    """Train what is missing, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epymarl", type=Path, required=True)
    parser.add_argument("--epymarl-python", default=sys.executable)
    parser.add_argument("--only", default="", help="tasks whose name contains this")
    parser.add_argument("--algorithms", default="qmix,vdn,ippo", help="of EPyMARL")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs") / "time-to-return")
    given = parser.parse_args()
    seeds = parse_seeds(given.seeds)
    for task in (name for name in RECOMMENDED if given.only in name):
        theirs: dict[str, list[Curve]] = {}
        with ThreadPoolExecutor(given.jobs) as together:
            for algorithm in given.algorithms.split(","):
                folders = [given.folder / task / f"epymarl-{algorithm}-{seed}" for seed in seeds]
                settings = [_options(task, seed) for seed in seeds]
                theirs[algorithm] = list(
                    together.map(lambda at, to, a=algorithm: train_theirs(given, a, at, to), folders, settings)
                )
        for algorithm, curves in theirs.items():
            for seed, curve in zip(seeds, curves, strict=True):
                print(json.dumps({"task": task, "epymarl": algorithm, "seed": seed, **asdict(curve)}), flush=True)
        best = max(theirs, key=lambda name: statistics.fmean(curve.end for curve in theirs[name]))
        level = statistics.fmean(curve.end for curve in theirs[best])
        ours = train_ours(task, seeds, given.folder / task / "ours", given.jobs)
        times = [curve.reached(level) for curve in ours]
        line = {
            "task": task,
            "epymarl_ends": {name: [round(curve.end, 3) for curve in curves] for name, curves in theirs.items()},
            "best": best,
            "level": round(level, 3),
            "ours": times,
            "theirs": [curve.reached(level) for curve in theirs[best]],
            "ratio": [None if time is None else round(given.seconds / time, 1) for time in times],
        }
        print(json.dumps(line), flush=True)


def _options(task: str, seed: int) -> dict[str, object]:
    """What is given on EPyMARL's command line after `with`."""
    environment = {f"env_args.{name}": value for name, value in TASKS[task].items()}
    logged = dict.fromkeys(("log_interval", "runner_log_interval", "learner_log_interval"), INTERVAL)
    tested = {"test_interval": INTERVAL, "test_nepisode": EPISODES, "use_cuda": False}
    return {**environment, **logged, **tested, "seed": seed, "t_max": 100_000_000}


def train_theirs(given: argparse.Namespace, algorithm: str, folder: Path, options: dict[str, object]) -> Curve:
    """EPyMARL's curve; it is stopped when its time is over."""
    kept = folder / "curve.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [given.epymarl_python, "-W", "ignore", "-c", GREEDY, f"--config={algorithm}", "--env-config=gymma"]
        command += ["-F", str(folder.resolve()), "with", *(f"{name}={value}" for name, value in options.items())]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (
            (folder / "log.txt").open("wb") as log,
            subprocess.Popen(
                command, cwd=given.epymarl / "src", stdout=log, stderr=log, env=environment, start_new_session=True
            ) as process,
        ):
            try:
                process.wait(given.seconds + 20)  # what it has done later is cut off below
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes of its environments
        metrics = max(folder.glob("[0-9]*/metrics.json"), key=lambda path: path.stat().st_mtime)
        test = json.loads(metrics.read_text())["test_return_mean"]
        started = datetime.fromisoformat(json.loads(metrics.with_name("run.json").read_text())["start_time"])
        seconds = [(datetime.fromisoformat(moment) - started).total_seconds() for moment in test["timestamps"]]
        points = [(round(s, 2), r) for s, r in zip(seconds, test["values"], strict=True) if s <= given.seconds]
        kept.write_text(json.dumps(asdict(Curve(*map(list, zip(*points, strict=True))))))
    return Curve(**json.loads(kept.read_text()))


def train_ours(task: str, seeds: Sequence[int], folder: Path, jobs: int) -> list[Curve]:
    """Our curves."""
    loaded = load_task(task)
    compile_ahead(loaded, lambda: None)
    contender = Contender("ours", TrainSettings(**RECOMMENDED[task]))
    compare(loaded, [contender], seeds, Run(folder), engine=EngineSettings(jobs=jobs))
    curves = [read_curve(training_folder(folder, "ours", seed)) for seed in seeds]
    return [Curve(curve.seconds.tolist(), curve.greedy_return.tolist()) for curve in curves]


if __name__ == "__main__":
    main()
