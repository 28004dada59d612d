"""Training speed of other code bases beside ours: equal settings, alternating, in one run on one machine.

    python benchmarks/peers.py [--epymarl CHECKOUT --epymarl-python PYTHON] [--jaxmarl CHECKOUT --jaxmarl-python PYTHON]
        [--benchmarl-python PYTHON] [--only WORD] [--repeats 3]

A peer is what the user has: nothing is fetched, and one without checkout or interpreter is skipped with a line that
says so. `--only` takes the settings whose `peer-name-task-algorithm` contains the word.

Each repeat trains ours, then the peer, every training in a process of its own and on the CPU, and gives environment
steps per second of playing and learning: without start, compiling, evaluations and the first fifth. The scripts
`benchmarks/peers_*.py` train the peers and say how they are timed. Where `copies` is 2, two trainings run side by side,
one seed each, and their speeds are added. A process of torch has one thread; JAX has as many as there are cores.
`cores` is what a training used in the mean from start to end, JaxMARL while its program runs.

Equal are: width of the networks (64), batch (32 episodes), environments, updates per step, epochs and minibatches; for
QMIX the mixing network (32, its hypernetworks 64, they read what the agents see), and that targets are copied. What is
not equal is named by `unequal`. JaxMARL's episode has a 26th step, for the last observation, which counts; BenchMARL
learns without sequences, so it draws as many steps as 32 episodes have.

Known to run: EPyMARL of 2024-09 (its wrapper of PettingZoo needs a line for `mpe2`, or PettingZoo 1.24); JaxMARL 2.0
with JAX 0.10; BenchMARL 1.5.2 with PettingZoo 1.24.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 600
PACKAGES = {
    "ours": ("torch", "numba", "numpy"),
    "epymarl": ("torch", "numpy", "lbforaging", "pettingzoo", "mpe2"),
    "jaxmarl": ("jax", "flax", "numpy"),
    "benchmarl": ("benchmarl", "torchrl", "pettingzoo", "torch", "numpy"),
}
INSTALLED = ("benchmarl",)
"""Peers that need no checkout."""
LBF, SPREAD = "lbf-10x10-3p-3f-2s", "mpe-spread-3"


@dataclass(frozen=True)
class Ours:
    """One way in which ours trains beside the peer."""

    base: str
    """A name of `SETTINGS` in `benchmarks/training.py`."""
    steps: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Laid over it."""
    copies: int = 1
    unequal: str | None = None


@dataclass(frozen=True)
class Setting:
    """What the peer trains, and ours beside it."""

    peer: str
    name: str
    task: str
    algorithm: str
    steps: int
    changes: Mapping[str, Any]
    """Laid over the peer's own configuration."""
    ours: tuple[Ours, ...]
    copies: int = 1
    workers: int = 0
    """Processes of the peer that only play."""

    @property
    def title(self) -> str:
        """What `--only` looks into."""
        return f"{self.peer}-{self.name}-{self.task}-{self.algorithm}"


def hard_targets(algorithm: str, **others: Any) -> dict[str, Any]:
    """Our Q-learning with targets as everybody else moves them, and QMIX's hypernetworks on what the agents see."""
    own = {"own": {"hypernet_input": "observations"}} if algorithm == "qmix" else {}
    return {"target_update_tau": 1.0, "target_update_interval": 200, **own, **others}


def like_epymarl(algorithm: str) -> dict[str, Any]:
    """Our Q-learning with EPyMARL's conventions, as far as they change the work; see `beside_epymarl.py`."""
    return hard_targets(algorithm, reward_statistics="batches", mask_actions=False)


PPO_LIKE_EPYMARL = {
    "mask_actions": False,
    "target_update_tau": 0.01,
    "target_update_interval": 4,
    "own": {
        "n_step": 5,
        "padded_returns": True,
        "entropy_coefficient": 0.001,
        "normalise_advantages": False,
        "refresh_advantages": True,
    },
}
JAXMARL_QMIX = {"NUM_ENVS": 8, "BUFFER_BATCH_SIZE": 32, "HIDDEN_SIZE": 64, "LEARNING_STARTS": 0} | {
    "MIXER_EMBEDDING_DIM": 32,
    "MIXER_HYPERNET_HIDDEN_DIM": 64,
}
JAXMARL_IPPO = {"NUM_ENVS": 16, "NUM_STEPS": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "ACTIVATION": "relu"}
BENCHMARL_QMIX = {
    "off_policy_n_envs_per_worker": 8,
    "off_policy_collected_frames_per_batch": 200,
    "off_policy_n_optimizer_steps": 1,
    "off_policy_train_batch_size": 800,
    "off_policy_memory_size": 125_000,
    "soft_target_update": False,
    "hard_target_update_frequency": 200,
}
BENCHMARL_IPPO = {
    "on_policy_n_envs_per_worker": 10,
    "on_policy_collected_frames_per_batch": 250,
    "on_policy_n_minibatch_iters": 4,
    "on_policy_minibatch_size": 250,
}
MORE = "ours: GAE, 64 environments, 4 minibatches"
COLLECTION = "collections: ours 64 x 25 steps, theirs 16 x 128"
GRU = Ours("one-per-8-episodes-gru", 200_000, hard_targets("qmix"))
FASTEST = Ours("ppo-64-environments", 500_000, unequal=MORE)


def two(ours: Ours, unequal: str | None = None) -> Ours:
    """The same in two processes."""
    return Ours(ours.base, ours.steps, ours.changes, copies=2, unequal=unequal)


PPO_BESIDE_JAX = Ours("ppo-64-environments", 500_000, unequal=COLLECTION)
SETTINGS = (
    *(
        Setting(
            "epymarl", "one-per-episode", task, name, 25_000, {}, (Ours("one-per-episode", 60_000, like_epymarl(name)),)
        )
        for task in (LBF, SPREAD)
        for name in ("qmix", "vdn")
    ),
    *(
        Setting(
            *("epymarl", "one-per-8-episodes", task, "qmix", 60_000),
            {"runner": "parallel", "batch_size_run": 8},
            (Ours("one-per-8-episodes", 300_000, like_epymarl("qmix")),),
            workers=8,
        )
        for task in (LBF, SPREAD)
    ),
    *(
        Setting(
            *("epymarl", "ppo-10-environments", task, name, 40_000),
            {"lr": 0.0005, "epochs": 4, "batch_size_run": 10, "batch_size": 10, "buffer_size": 10},
            (Ours("ppo-10-environments", 200_000, PPO_LIKE_EPYMARL), FASTEST),
            workers=10,
        )
        for task in (LBF, SPREAD)
        for name in ("ippo", "mappo")
    ),
    Setting("jaxmarl", "one-per-8-episodes-gru", SPREAD, "qmix", 500_000, JAXMARL_QMIX, (GRU, two(GRU, "two of ours"))),
    Setting("jaxmarl", "two-of-each", SPREAD, "qmix", 400_000, JAXMARL_QMIX, (two(GRU),), copies=2),
    Setting(
        *("jaxmarl", "ppo-4-minibatches", SPREAD, "ippo", 1_500_000, JAXMARL_IPPO),
        (PPO_BESIDE_JAX, two(PPO_BESIDE_JAX, f"{COLLECTION}; two of ours")),
    ),
    Setting(
        *("benchmarl", "one-per-8-episodes", SPREAD, "qmix", 15_000, BENCHMARL_QMIX),
        (Ours("one-per-8-episodes", 300_000, hard_targets("qmix")),),
    ),
    Setting(
        *("benchmarl", "ppo-10-environments", SPREAD, "ippo", 15_000, BENCHMARL_IPPO),
        (Ours("ppo-10-environments", 200_000), FASTEST),
    ),
)


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


@dataclass(frozen=True)
class Peer:
    """What the user has of a peer."""

    name: str
    python: str
    checkout: Path | None

    def command(self, setting: Setting) -> list[str]:
        """One training of the setting."""
        where = {} if self.checkout is None else {"checkout": str(self.checkout.resolve())}
        job = {"task": setting.task, "algorithm": setting.algorithm, "steps": setting.steps, "changes": setting.changes}
        return [self.python, "-W", "ignore", str(HERE / f"peers_{self.name}.py"), json.dumps({**where, **job})]

    @property
    def threads(self) -> int:
        """Of a process, at most."""
        return os.cpu_count() or 1 if self.name == "jaxmarl" else 1

    def versions(self) -> dict[str, str]:
        """Of its packages, and its commit."""
        found = versions_of(self.name, self.python)
        if self.checkout is not None:
            command = ["git", "-C", str(self.checkout), "log", "-1", "--format=%h %cs"]
            found["commit"] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return found


@dataclass(frozen=True)
class Training:
    """One measurement."""

    steps_per_second: float
    cores: float
    compile_seconds: float | None = None


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epymarl", type=Path)
    parser.add_argument("--epymarl-python")
    parser.add_argument("--jaxmarl", type=Path)
    parser.add_argument("--jaxmarl-python")
    parser.add_argument("--benchmarl-python")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeats", type=int, default=3)
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


def compare(setting: Setting, peer: Peer, repeats: int) -> None:
    """Ours and theirs in turn, and a line for each way in which ours trains."""
    ours: list[list[Training]] = [[] for _ in setting.ours]
    theirs, load = [], []
    for _ in range(repeats):
        load.append(round(os.getloadavg()[0], 2))
        for found, way in zip(ours, setting.ours, strict=True):
            settings = {**way.changes, "algorithm": setting.algorithm, "total_steps": way.steps}
            job = {"task": setting.task, "base": way.base, "settings": settings}
            found.append(train([sys.executable, str(HERE / "training.py"), "--child", json.dumps(job)], way.copies))
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


def train(command: Sequence[str], copies: int) -> Training:
    """Run so many copies side by side; the sum of the speeds that they print last.

    Raises:
        ChildProcessError: one failed.
        subprocess.TimeoutExpired: one did not end.
    """
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        outputs = run([command] * copies, Path(name))
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    results = [json.loads(output.splitlines()[-1]) for output in outputs]
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    compiling = [result["compile_seconds"] for result in results if "compile_seconds" in result]
    return Training(
        steps_per_second=sum(result["steps_per_second"] for result in results),
        cores=sum(result.get("cores", worked / seconds / copies) for result in results),
        compile_seconds=max(compiling) if compiling else None,
    )


def run(commands: Sequence[Sequence[str]], folder: Path) -> list[str]:
    """What the commands print; none of them, nor a process that they started, is left."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"out-{number}").open("w") as out, (folder / f"err-{number}").open("w") as err:
                started.append(
                    subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)
                )
        for number, process in enumerate(started):
            if process.wait(TIMEOUT_SECONDS) != 0:
                said = (folder / f"err-{number}").read_text(errors="replace")[-500:]
                raise ChildProcessError(f"exit code {process.returncode}: {said}")
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return [(folder / f"out-{number}").read_text() for number in range(len(commands))]


def versions_of(name: str, python: str) -> dict[str, str]:
    """Versions of the packages that an interpreter has."""
    code = (
        "import importlib.metadata as m, json, sys; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    lower = {package.lower(): value for package, value in found.items()}
    return {package: lower[package] for package in PACKAGES[name] if package in lower}


if __name__ == "__main__":
    main()
