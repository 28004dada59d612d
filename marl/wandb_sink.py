"""Evaluations mirrored to Weights & Biases (https://docs.wandb.ai), through a process of its own.

Before the training starts, a missing package or a refusal (no key, no such project) is an error. From then on nothing
of W&B's stops the training: a fault is told once, as a warning, which stands in the job's log; `wandb.log` in the run
folder has the details, and `metrics.csv` has the numbers.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.errors import ConfigurationError, InfrastructureError
from qredit.files import sha256, storage_errors
from qredit.marl.children import child_environment, module_command
from qredit.marl.engines.options import require_package

if TYPE_CHECKING:
    from qredit.marl.metrics import Evaluation
    from qredit.runs import Run

START_SECONDS = 120.0
"""How long W&B may take to start; a training then goes on, and what it evaluates waits in the pipe."""
FINISH_SECONDS = 300.0
"""How long the last uploads may take."""
_HURRY_SECONDS = 2.0
_ID_LENGTH = 32


@dataclass(frozen=True)
class WandbRun:
    """What a training is called at Weights & Biases."""

    project: str
    """The project; whose, says `$WANDB_ENTITY`."""
    name: str
    """Name in lists and legends."""
    id: str
    """Identity, a hash of what decides the outcome: the same training continues the same run."""
    group: str
    """What it belongs to, such as the comparison's folder."""
    config: Mapping[str, Any]
    """The settings, as JSON allows them."""

    @classmethod
    def of(cls, run: Run, project: str) -> WandbRun:
        """What the training in a run folder is called; the project comes from the user, never from a folder."""
        record = run.record
        settings = record.get("settings") or {}
        content = sha256(json.dumps(settings, sort_keys=True).encode())
        identity = str(record.get("job_sha256") or content)[:_ID_LENGTH]
        return cls(project, run.path.name, identity, run.path.absolute().parent.name, settings)


def require_wandb() -> None:
    """Make sure that the package is there, without loading it.

    Raises:
        ConfigurationError: it is not.
    """
    require_package("wandb", extra="wandb", needed_by="mirroring to Weights & Biases (--wandb)")


class WandbSink:
    """See `Sink`.

    Args:
        run: what to call it.
        folder: the run folder; W&B's own files go to its folder `wandb`.
        rows: the evaluations so far; W&B gets those that it lacks.

    Raises:
        ConfigurationError: W&B is not installed, or refuses the run.
    """

    def __init__(self, run: WandbRun, folder: Path, rows: Sequence[Evaluation]) -> None:
        require_wandb()
        self._log = folder / "wandb.log"
        self._gone = False
        with storage_errors(self._log):
            log = self._log.open("ab")
        with log:
            self._process = subprocess.Popen(
                module_command("qredit.marl.wandb_mirror"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=child_environment(),
                process_group=0,  # Ctrl-C reaches the training alone
            )
        start = {**asdict(run), "dir": str(folder), "resume": "allow"}
        self._send({"run": start, "rows": [asdict(row) for row in rows]})
        self._await_start()
        assert self._process.stdin is not None
        # A row is written whole or not at all, and never waits for W&B.
        os.set_blocking(self._process.stdin.fileno(), False)

    def add(self, rows: Sequence[Evaluation]) -> None:
        """Hand the latest row over."""
        if not self._gone:
            self._send(asdict(rows[-1]))

    def close(self, *, hurry: bool) -> None:
        """Let the last uploads end; in a hurry they stay for the next time, or for `wandb sync`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            code = self._process.wait(_HURRY_SECONDS if hurry else FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = 0 if hurry else self._process.wait()
        self._process.wait()
        self._process.stdout.close()
        if code:
            self._tell(f"its process ended with exit code {code}")

    def _await_start(self) -> None:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        if not readable:
            return
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {}
        if "refused" in answer:
            self._gone = True
            self.close(hurry=True)
            raise ConfigurationError(
                "mirroring to Weights & Biases (--wandb)",
                cause=answer["refused"],
                remedy="Run `wandb login`, or set WANDB_MODE=offline and upload later with `wandb sync`.",
            )

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            sent = self._process.stdin.write(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            self._tell("its process has ended")
            return
        if sent is None:
            self._tell("it takes nothing any more")

    def _tell(self, cause: str) -> None:
        if not self._gone:
            self._gone = True
            words = InfrastructureError(
                "W&B misses evaluations", cause=cause, remedy=f"The training goes on without it; see `{self._log}`."
            )
            warnings.warn(str(words), RuntimeWarning, stacklevel=2)
