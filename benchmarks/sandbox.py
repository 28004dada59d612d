"""How fast the jails are: start, rejection, acceptance, throughput; and the credit graph against eager Python.

    python benchmarks/sandbox.py [--jails lockdown,bubblewrap,docker] [--repeats 5]

Prints one JSON line per measurement (median, minimum and maximum over the repeats). Targets: server start <= 6 s, warm
rejection <= 20 ms, acceptance <= 250 ms for vector code, 20 candidates/s on two cores for mixed input, credit graph
against eager <= 1.1 at batch 1632.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from qredit.api import load_subject
from qredit.credit import parse_graph, specialise
from qredit.credit.specialiser import SpecialisedGraph
from qredit.errors import JailUnavailableError
from qredit.sandbox import Accepted, Jail, Rejected, Verdict, open_jail, verify

TASK = "lbf-8x8-2p-2f-coop-2s"
BATCH = 1632
HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
GOOD = (
    HEAD
    + '''def credit(state):
    """Who is near food that it can load gets more."""
    agents, foods = state["agent_position"], state["food_position"]
    there = (state["food_level"] > 0).to(agents.dtype)
    distance = (agents.unsqueeze(2) - foods.unsqueeze(1)).abs().sum(dim=-1)
    near = there.unsqueeze(1) * torch.exp(-0.5 * distance)
    level = state["agent_level"] / state["agent_level"].sum(dim=1, keepdim=True).clamp(min=1e-6)
    return SCALE * (0.2 + near.sum(dim=2) + level)
'''
)
LOOP = (
    HEAD
    + """def credit(state):
    agents, foods = state["agent_position"], state["food_position"]
    weights = []
    for i in range(agents.shape[1]):
        total = torch.zeros_like(state["agent_level"][:, 0])
        for j in range(foods.shape[1]):
            d = (agents[:, i] - foods[:, j]).abs().sum(dim=-1)
            total = total + torch.where(state["food_level"][:, j] > 0, 1.0 / (1.0 + d), torch.zeros_like(d))
        weights.append(0.2 + SCALE * total)
    return torch.stack(weights, dim=1)
"""
)
BY_GATE = HEAD + "def credit(state):\n    return open('/etc/passwd')\n"
BY_TRACE = (
    HEAD
    + "def credit(state):\n    x = state['agent_level']\n    if x.sum() > SCALE:\n        x = x * 2\n    return x\n"
)
BY_CONTRACT = HEAD + "def credit(state):\n    x = state['agent_level']\n    return SCALE / (x - x)\n"
MIXED = (GOOD, BY_GATE, BY_TRACE, BY_CONTRACT, LOOP, BY_TRACE, GOOD, BY_TRACE, BY_GATE, BY_TRACE)
"""What a run meets: three of ten are accepted."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jails", default="lockdown,bubblewrap,docker")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    about: dict[str, Any] = {
        "torch": metadata.version("torch"),
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "threads": 1,
    }
    for name in options.jails.split(","):
        starts = []
        try:
            for _ in range(options.repeats):
                started = time.perf_counter()
                with open_jail(name):
                    starts.append(time.perf_counter() - started)
        except JailUnavailableError as error:
            show(f"{name}: not measured", [], "", {"reason": str(error)})
            continue
        show(f"{name}: start with probe", starts, "s", about)
        with open_jail(name) as jail:
            measure(name, jail, options.repeats, about)
    graph_against_eager(options.repeats, about)


def measure(name: str, jail: Jail, repeats: int, about: dict[str, Any]) -> None:
    """Single verdicts, then many at once."""
    subject = load_subject(TASK)

    def verdict(source: str, number: int) -> Verdict:
        text = source.replace("SCALE", f"{1 + number / 1000}")
        return verify(text, layout=subject.layout, n_agents=subject.n_agents, states=subject.states, jail=jail)

    verdict(GOOD, 0)  # the first job of a server pays for pages that later ones share
    kinds: dict[str, tuple[str, type]] = {
        "rejection by the gate": (BY_GATE, Rejected),
        "rejection by tracing": (BY_TRACE, Rejected),
        "rejection by the contract": (BY_CONTRACT, Rejected),
        "acceptance, vector code": (GOOD, Accepted),
        "acceptance, unrolled loops": (LOOP, Accepted),
    }
    for what, (source, kind) in kinds.items():
        seconds = []
        for number in range(4 * repeats):
            started = time.perf_counter()
            found = verdict(source, number)
            seconds.append(time.perf_counter() - started)
            if not isinstance(found, kind):
                raise SystemExit(f"{what}: {found}")
        show(f"{name}: {what}", [1000 * value for value in seconds], "ms", about)
    rates = []
    for _ in range(repeats):
        sources = [MIXED[i % len(MIXED)] for i in range(60)]
        started = time.perf_counter()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(verdict, sources, range(60)))
        rates.append(60 / (time.perf_counter() - started))
    show(f"{name}: mixed candidates, 8 at once", rates, "1/s", about)


def graph_against_eager(repeats: int, about: dict[str, Any]) -> None:
    """Forward and backward of the specialised graph, and of the Python function that it was traced from."""
    subject = load_subject(TASK)
    rows = torch.from_numpy(subject.states)
    states = rows[torch.arange(BATCH) % len(rows)].clone()
    with open_jail() as jail:
        for what, source in {"vector code": GOOD, "unrolled loops": LOOP}.items():
            text = source.replace("SCALE", "1.0")
            found = verify(text, layout=subject.layout, n_agents=subject.n_agents, states=subject.states, jail=jail)
            if not isinstance(found, Accepted):
                raise SystemExit(f"{what}: {found}")
            space: dict[str, Any] = {}
            exec(compile(text, what, "exec"), space)  # our own text, as the yardstick
            function = specialise(parse_graph(found.payload))

            def eager(state: Tensor, space: dict[str, Any] = space) -> Tensor:
                result: Tensor = space["credit"](subject.layout.named(state))
                return result

            def graph(state: Tensor, function: SpecialisedGraph = function) -> Tensor:
                (result,) = function(state=state)
                return result

            if not torch.equal(eager(states), graph(states)):
                raise SystemExit(f"{what}: the graph computes something else")
            ratios = [seconds(graph, states) / seconds(eager, states) for _ in range(4 * repeats)]
            show(f"credit graph / eager, forward, batch {BATCH}, {what}", ratios, "ratio", about)


def seconds(function: Callable[[Tensor], Tensor], states: Tensor, calls: int = 50) -> float:
    """Of one call, without gradients of the state: a mixer's credit has none."""
    with torch.no_grad():
        function(states)
        started = time.perf_counter()
        for _ in range(calls):
            function(states)
        return (time.perf_counter() - started) / calls


def show(what: str, values: list[float], unit: str, about: dict[str, Any]) -> None:
    """Print one measurement."""
    figures = {}
    if values:
        figures = {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}
    rounded = {key: round(value, 4) for key, value in figures.items()}
    print(json.dumps({"what": what, "unit": unit, **rounded, **about}), flush=True)


if __name__ == "__main__":
    main()
