"""One training of BenchMARL, timed: run by `benchmarks/peers.py` with the interpreter that has BenchMARL.

    PYTHON benchmarks/peers_benchmarl.py JOB

JOB is JSON: `task`, `algorithm`, `steps`, and `changes` of BenchMARL's default experiment. The task is PettingZoo's
simple_spread: 3 agents, 25 steps, discrete actions. Prints one JSON line: environment steps per second after the first
fifth.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

SHARED = {
    "loggers": [],
    "create_json": False,
    "evaluation": False,
    "render": False,
    "prefer_continuous_actions": False,
}


def main() -> None:
    """Train as the job says."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"steps_per_second": train(folder=folder, **json.loads(sys.argv[1]))}))


def train(task: str, algorithm: str, steps: int, changes: Mapping[str, Any], folder: str) -> float:
    """Set the experiment up, run it and time its iterations; steps per second."""
    if task != "mpe-spread-3":
        raise ValueError(f"BenchMARL is not measured on {task}")
    names = ("algorithms", "environments", "experiment", "models.mlp")
    algorithms, environments, experiments, models = (importlib.import_module(f"benchmarl.{name}") for name in names)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    config = experiments.ExperimentConfig.get_from_yaml()
    for name, value in {**SHARED, "max_n_frames": steps, "save_folder": folder, **changes}.items():
        if not hasattr(config, name):
            raise ValueError(f"BenchMARL's experiment has no option {name}")
        setattr(config, name, value)
    played = environments.PettingZooTask.SIMPLE_SPREAD.get_from_yaml()
    played.config["max_cycles"] = 25
    model = models.MlpConfig(num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.ReLU)
    experiment = experiments.Experiment(
        task=played,
        algorithm_config=algorithms.algorithm_config_registry[algorithm].get_from_yaml(),
        model_config=model,
        critic_model_config=model,
        seed=0,
        config=config,
    )
    seen: list[tuple[float, int]] = []
    experiment._on_train_end = lambda *_: seen.append((time.perf_counter(), experiment.total_frames))
    experiment.run()
    begun, first = next((moment, done) for moment, done in seen if done >= steps / 5)
    ended, last = seen[-1]
    return (last - first) / (ended - begun)


if __name__ == "__main__":
    main()
