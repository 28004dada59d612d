"""One measurement of `benchmarks/peers.py`: trainings in processes of their own, and their time."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Training:
    """One measurement."""

    steps_per_second: float
    cores: float
    compile_seconds: float | None = None


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
    """What the commands print; those still running after a failure or interrupt are killed with what they started."""
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
