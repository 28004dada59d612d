"""One training of JaxMARL on MPE's simple_spread, timed: `benchmarks/peers.py` runs it with an interpreter with JAX.

    PYTHON benchmarks/peers_jaxmarl.py JOB

JOB is JSON: `checkout`, `task`, `algorithm`, `steps`, and `changes` of the configuration of JaxMARL's script. Prints
one JSON line: environment steps per second, seconds of compiling, cores used while running. The compiled program is the
whole training of one seed, so all of it counts, even the collections before the first update; nothing is evaluated.

JaxMARL's own command line maps the training over seeds (`vmap`), even over a single one. Here it is not: under `vmap`
JAX does both sides of every condition, which costs.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPTS = {
    "qmix": ("baselines.QLearning.qmix_rnn", "baselines/QLearning/config/alg/ql_rnn_mpe.yaml"),
    "vdn": ("baselines.QLearning.vdn_rnn", "baselines/QLearning/config/alg/ql_rnn_mpe.yaml"),
    "ippo": ("baselines.IPPO.ippo_ff_mpe", "baselines/IPPO/config/ippo_ff_mpe.yaml"),
}
"""Algorithm -> module, configuration."""
SHARED = {"ENV_NAME": "MPE_simple_spread_v3", "WANDB_MODE": "disabled", "TEST_DURING_TRAINING": False}


def main() -> None:
    """Train as the job says."""
    print(json.dumps(train(**json.loads(sys.argv[1]))))


def train(checkout: str, task: str, algorithm: str, steps: int, changes: Mapping[str, Any]) -> dict[str, float]:
    """Compile, run and time."""
    if task != "mpe-spread-3":
        raise ValueError(f"JaxMARL has no {task}")
    sys.path.insert(0, checkout)
    sys.modules["wandb"] = silent_wandb()
    jax, script = importlib.import_module("jax"), importlib.import_module(SCRIPTS[algorithm][0])
    own = importlib.import_module("yaml").safe_load((Path(checkout) / SCRIPTS[algorithm][1]).read_text())
    config = {**own, **SHARED, "TOTAL_TIMESTEPS": steps, **changes}
    environment = () if algorithm == "ippo" else (script.env_from_config(config)[0],)
    key = jax.random.PRNGKey(0)
    started = time.perf_counter()
    program = jax.jit(script.make_train(config, *environment)).lower(key).compile()
    compiled, worked = time.perf_counter(), time.process_time()
    jax.block_until_ready(program(key))
    seconds, worked = time.perf_counter() - compiled, time.process_time() - worked
    done = config["NUM_UPDATES"] * config["NUM_STEPS"] * config["NUM_ENVS"]  # `make_train` adds the first
    return {
        "steps_per_second": done / seconds,
        "cores": worked / seconds,
        "compile_seconds": compiled - started,
    }


def silent_wandb() -> ModuleType:
    """The scripts import `wandb` even where it is switched off, and IPPO's calls `log` after every update."""
    module = ModuleType("wandb")
    vars(module)["log"] = lambda *args, **options: None
    return module


if __name__ == "__main__":
    main()
