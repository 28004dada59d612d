"""Trace the functions that ship for some tasks again for the others: `python scripts/write_transferred.py [TASK...]`.

For a task without a recording, the best of its relatives' functions ships if it passes the checks there and is worth
something: its credit agrees with the measured truth beyond chance (lower end of the 95 % interval above 0), or it can
represent a matrix game (R squared above 0.9). The rest is told; `qredit tasks` says that those have no recording yet.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from qredit.api.subjects import load_subject
from qredit.api.transfer import transfer
from qredit.artifact import BUNDLED, CREDIT_GRAPH, Artifact
from qredit.credit import parse_graph
from qredit.credit.fidelity import fidelity_of
from qredit.marl.payoff_fit import payoff_fit
from qredit.prompts import recording_path
from qredit.task import builtin_task_names, load_task

RELATIVES = {
    "lbf-": ("lbf-5x5-2p-1f", "lbf-8x8-2p-2f-coop-2s", "lbf-10x10-3p-3f-2s"),
    "matrix-": ("matrix-climbing",),
    "mpe-spread-": ("mpe-spread-3", "mpe-spread-6"),
    "rware-": ("rware-tiny-4ag",),
    "spread-inert-": ("mpe-spread-3", "mpe-spread-6"),
}
"""Start of a task's name -> the recorded tasks whose functions are tried."""


def worth(artifact: Artifact, task: str) -> tuple[float, float]:
    """What its credit is worth on a task, and how much more than nothing: it ships if that is above 0."""
    graph = parse_graph(artifact.files[CREDIT_GRAPH])
    environment = load_task(task).environment
    if environment is not None and environment.adapter == "matrix":
        fit = payoff_fit(graph, environment.id, seed=0)
        return fit, fit - 0.9
    found = fidelity_of(graph, load_subject(task).probes)
    return (found.tau, found.tau_low) if found is not None else (0.0, 0.0)


def tell(text: str) -> None:
    """A line for whoever runs this."""
    print(text, file=sys.stderr)  # noqa: T201


for name in sys.argv[1:] or builtin_task_names():
    if recording_path(name).is_file():
        continue
    best, best_value = None, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for source in next((sources for start, sources in RELATIVES.items() if name.startswith(start)), ()):
            done = transfer(source, name, folder=Path(scratch) / source, jail="lockdown")
            if done.artifact is None:
                tell(f"{name} from {source}: rejected: {done.rejected.message if done.rejected else ''}")
                continue
            value, margin = worth(done.artifact, name)
            tell(f"{name} from {source}: {value:.2f}, {margin:+.2f} above what it must have")
            if margin > 0 and value > best_value:
                best, best_value = done.artifact, value
        place = BUNDLED / "transferred" / name
        shutil.rmtree(place, ignore_errors=True)
        if best is not None:
            shutil.copytree(best.path, place)
    tell(f"{name}: {'ships what was taken from ' + best.manifest['taken_from'] if best else 'no recording yet'}")
