"""What a credit function costs as a mixer, beside QMIX's mixing network: forward and backward at one batch size.

    python benchmarks/mixers.py [--batch 1632] [--repeats 9]

One thread, states of scripted and random play, one JSON line per bundled artifact. Trainings of qredit ask a function
once per collected state and keep the answer; this is what it costs in code that asks it for every batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from qredit.artifact import bundled_artifacts
from qredit.credit import specialise
from qredit.marl import load_mixer, sample_probes
from qredit.marl.adapters import layout_of
from qredit.marl.mixers import QMixer
from qredit.marl.mixers.credit import load_graph
from qredit.task import load_task


def main() -> None:
    """Measure every bundled artifact."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=1632)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, path in bundled_artifacts().items():
        task, mixer = load_task(name), load_mixer(path)
        layout = layout_of(task)
        probes = torch.from_numpy(sample_probes(task, 64, 0).states).float()
        states = probes[torch.randint(len(probes), (given.batch,))].unsqueeze(0)  # [1, B, S]
        qmix = QMixer(layout=layout, n_agents=task.n_agents, mixing_size=32, hypernet_size=64)
        ours, theirs = (timed(m, states, task.n_agents, given.repeats) for m in (mixer, qmix))
        nodes = len(specialise(load_graph(path, forms=("weights", "general"))).graph.nodes)
        print(
            json.dumps(
                {
                    "task": name,
                    "milliseconds": round(1e3 * ours, 2),
                    "qmix_milliseconds": round(1e3 * theirs, 2),
                    "ratio": round(ours / theirs, 2),
                    "graph_nodes": nodes,
                    "batch": given.batch,
                }
            ),
            flush=True,
        )


def timed(mixer: nn.Module, states: Tensor, n_agents: int, repeats: int) -> float:
    """Median seconds of a forward and a backward pass."""
    agent_qs = torch.randn(*states.shape[:2], n_agents, requires_grad=True)

    def once() -> None:
        mixer(agent_qs, states).square().mean().backward()

    return statistics.median(seconds(once) for _ in range(repeats + 2))


def seconds(work: Callable[[], None]) -> float:
    """How long it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
