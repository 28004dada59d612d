"""Write the versioned probes of built-in tasks, true credit included: `python scripts/write_probe_states.py [TASK...]`.

Prompts hold figures measured on them, so a change of their content makes every recorded prompt differ: write a new
version (`qredit.prompts.probe_states_path`) rather than another content under the old one. A task takes minutes.
"""

from __future__ import annotations

import sys
import time

from qredit.marl.counterfactual import measure_probes
from qredit.marl.truth_settings import TruthSettings
from qredit.probes import save_probes
from qredit.prompts import probe_states_path
from qredit.task import builtin_task_names, load_task

SETTINGS = TruthSettings()
"""The defaults: `qredit fidelity` uses the shipped credit when asked for nothing else."""
SLOW = {"rware": TruthSettings(states=20)}
"""By adapter: a warehouse takes half a minute per state, and one state in five tells its agents apart."""


def show(measured: int, decisive: int) -> None:
    """A line every 16 states."""
    if measured % 16 == 0:
        print(f"  {decisive} decisive states in {measured} of {SETTINGS.visited}", file=sys.stderr)  # noqa: T201


for name in sys.argv[1:] or builtin_task_names():
    started = time.perf_counter()
    print(name, file=sys.stderr)  # noqa: T201
    task = load_task(name)
    settings = SLOW.get(task.environment.adapter, SETTINGS) if task.environment is not None else SETTINGS
    found = measure_probes(task, settings, show)
    path = probe_states_path(name)
    save_probes(path, found.probes)
    print(  # noqa: T201
        f"  {time.perf_counter() - started:.0f} s, {found.simulator_steps / found.measured:.0f} simulator steps per "
        f"state, {path.stat().st_size / 1000:.0f} kB",
        file=sys.stderr,
    )
