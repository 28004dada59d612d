"""The child's side of `qredit.marl.wandb_sink`, started with `python -m`: the only place that loads `wandb`.

A process of its own, because whatever happens to an upload must not happen to a training. Standard input carries JSON
lines, first what to start, then one per evaluation; when it ends, the run is finished.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any


def main() -> int:
    """Mirror what standard input brings; the exit code is 0 when all of it was taken on."""
    channel = os.dup(1)
    os.dup2(2, 1)
    import wandb

    start = json.loads(sys.stdin.readline())
    try:
        run = wandb.init(**start["run"])
    except wandb.Error as error:  # no key, no such project, nobody answers
        _send(channel, {"refused": f"{type(error).__name__}: {error}"})
        return 1
    _send(channel, {"ready": True})
    taken = run.step  # of a run that is continued: what it has already
    for row in start["rows"]:
        _log(run, row, taken)
    for line in sys.stdin:
        _log(run, json.loads(line), taken)
    run.finish()
    return 0


def _log(run: Any, row: Mapping[str, Any], taken: int) -> None:
    step = row["environment_steps"]
    if step >= taken:
        run.log({name: value for name, value in row.items() if value is not None}, step=step)


def _send(channel: int, message: Mapping[str, Any]) -> None:
    os.write(channel, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
