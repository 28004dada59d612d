"""Training speed of other code bases beside ours: equal settings, alternating, in one run on one machine.

    python benchmarks/peers.py [--epymarl CHECKOUT --epymarl-python PYTHON] [--jaxmarl CHECKOUT --jaxmarl-python PYTHON]
        [--benchmarl-python PYTHON] [--only WORD] [--repeats 3]

A peer is what the user has: nothing is fetched, and one without checkout or interpreter is skipped with a line that
says so. `--only` takes the settings whose `peer-name-task-algorithm` contains the word.

Each repeat trains ours, then the peer, every training in a process of its own and on the CPU, and gives environment
steps per second of playing and learning: without start, compiling, evaluations and the first fifth; of JaxMARL, which
is one compiled program, the first fifth counts. `peers_epymarl.py`, `peers_jaxmarl.py` and `peers_benchmarl.py` train
the peers and say how they are timed. Where `copies` is 2, two trainings of the same seed run side by side, and their
speeds are added, as are their cores. A process of torch has one thread; JAX has as many as there are cores. `cores` is
what the trainings used in the mean from start to end, JaxMARL while its program runs.

Equal are: width of the networks (64), environments, updates per step, epochs and minibatches; for Q-learning the batch
(32 episodes) and that targets are copied; for QMIX the mixing network (32, its hypernetworks 64, they read what the
agents see). What is not equal is named by `unequal`, except for these: JaxMARL's episode has a 26th step, for the last
observation, which counts; BenchMARL learns without sequences, so it draws as many steps as 32 episodes have, and its
hypernetworks are single layers.

Known to run: EPyMARL of 2024-09 (its wrapper of PettingZoo needs a line for `mpe2`, or PettingZoo 1.24); JaxMARL 0.2.0
with JAX 0.10; BenchMARL 1.5.2 with PettingZoo 1.24.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder there

from benchmarks.peers_installed import INSTALLED, Peer, versions_of
from benchmarks.peers_running import Training, train
from benchmarks.peers_settings import SETTINGS, Setting

OURS = Path(__file__).with_name("training.py")


@dataclass(frozen=True)
class Side:
    """How fast one of both was, in environment steps per second."""

    median: int
    minimum: int
    maximum: int
    copies: int
    """Trainings side by side, a process each."""
    workers: int
    """Processes besides, of each."""
    threads: int
    """Of a process, at most."""
    cores: float
    compile_seconds: float | None


@dataclass(frozen=True)
class Line:
    """One line of the result."""

    setting: str
    task: str
    algorithm: str
    peer: str
    ours: Side
    theirs: Side
    ratio: float
    """Ours over theirs, medians."""
    unequal: str | None
    repeats: int
    load: list[float]
    """Load average of the last minute before each repeat; the repeat before is in it."""
    versions: Mapping[str, Mapping[str, str]]


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epymarl", type=Path)
    parser.add_argument("--epymarl-python")
    parser.add_argument("--jaxmarl", type=Path)
    parser.add_argument("--jaxmarl-python")
    parser.add_argument("--benchmarl-python")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeats", type=at_least_one, default=3)
    given = vars(parser.parse_args())
    for name in dict.fromkeys(setting.peer for setting in SETTINGS):
        chosen = [setting for setting in SETTINGS if setting.peer == name and given["only"] in setting.title]
        needed = [*([] if name in INSTALLED else [name]), f"{name}_python"]
        missing = ", ".join("--" + option.replace("_", "-") for option in needed if given[option] is None)
        if chosen and missing:
            print(json.dumps({"peer": name, "skipped": f"{missing} not given"}), flush=True)
            continue
        for setting in chosen:
            try:
                compare(setting, Peer(name, given[f"{name}_python"], given.get(name)), given["repeats"])
            except (OSError, ChildProcessError, subprocess.TimeoutExpired) as error:
                print(json.dumps({"setting": setting.title, "failed": str(error)}), flush=True)


def at_least_one(text: str) -> int:
    """Read a number of repeats.

    Raises:
        argparse.ArgumentTypeError: it is none, or below 1.
    """
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number from 1 up; give one, such as 3")
    return int(text)


def compare(setting: Setting, peer: Peer, repeats: int) -> None:
    """Ours and theirs in turn, and a line for each way in which ours trains."""
    ours: list[list[Training]] = [[] for _ in setting.ours]
    theirs, load = [], []
    for _ in range(repeats):
        load.append(round(os.getloadavg()[0], 2))
        for found, way in zip(ours, setting.ours, strict=True):
            settings = {**way.changes, "algorithm": setting.algorithm, "total_steps": way.steps}
            job = {"task": setting.task, "base": way.base, "settings": settings}
            found.append(train([sys.executable, str(OURS), "--child", json.dumps(job)], way.copies))
        theirs.append(train(peer.command(setting), setting.copies))
    other = side(theirs, setting.copies, setting.workers, peer.threads)
    versions = {"ours": versions_of("ours", sys.executable), peer.name: peer.versions()}
    for found, way in zip(ours, setting.ours, strict=True):
        own = side(found, way.copies, 0, 1)
        ratio = round(own.median / other.median, 2)
        about = (setting.name, setting.task, setting.algorithm, peer.name)
        print(json.dumps(asdict(Line(*about, own, other, ratio, way.unequal, repeats, load, versions))), flush=True)


def side(found: Sequence[Training], copies: int, workers: int, threads: int) -> Side:
    """Sum up the repeats."""
    speeds = sorted(training.steps_per_second for training in found)
    cores = statistics.median(training.cores for training in found)
    compiling = [training.compile_seconds for training in found if training.compile_seconds is not None]
    return Side(
        median=round(statistics.median(speeds)),
        minimum=round(speeds[0]),
        maximum=round(speeds[-1]),
        copies=copies,
        workers=workers,
        threads=threads,
        cores=round(cores, 2),
        compile_seconds=round(statistics.median(compiling), 1) if compiling else None,
    )


if __name__ == "__main__":
    main()
