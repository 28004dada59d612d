"""`qredit quickstart`: the whole path on a small task, from recorded replies to learning curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.api.artifacts import BUILTIN
from qredit.api.generation import Generated, generate
from qredit.api.settings import Request
from qredit.api.training import compare
from qredit.errors import JailUnavailableError
from qredit.marl.engines import EngineSettings
from qredit.marl.settings import TrainSettings
from qredit.prompts import recording_path

if TYPE_CHECKING:
    from qredit.graphs import Event
    from qredit.marl.comparison import Comparison
    from qredit.marl.jobs import JobProgress
    from qredit.runs import Run

TASK = "lbf-5x5-2p-1f"
ALGORITHMS = ("vdn", "qmix", "qllm")
SEEDS = (0, 1)
SETTINGS = TrainSettings(total_steps=150_000)
"""The same for all three algorithms."""


@dataclass(frozen=True)
class Watcher:
    """Whom to tell what happens."""

    on_generation: Callable[[Run, str], None]
    """The generation starts: its run folder and the jail."""
    on_event: Callable[[Event], None]
    """Something happened in the generation."""
    on_no_jail: Callable[[JailUnavailableError], None]
    """No jail works on this machine: no candidate is executed."""
    on_generated: Callable[[Generated], None]
    """The generation is done."""
    on_comparison: Callable[[Run], None]
    """The trainings start: the comparison's run folder."""
    on_compile: Callable[[], None]
    """The environment has to be compiled first."""
    on_training: Callable[[JobProgress], None]
    """A training went on."""


@dataclass(frozen=True)
class Quickstart:
    """What a quickstart leaves."""

    generated: Generated | None
    """The generation; `None` where no jail works and the bundled function was trained instead."""
    no_jail: JailUnavailableError | None
    """Why no jail works."""
    comparison: Comparison
    """The trainings."""


def quickstart(watcher: Watcher, *, settings: TrainSettings = SETTINGS, jobs: int | None = None) -> Quickstart:
    """Generate with recorded replies, then train VDN, QMIX and QLLM with identical settings.

    Where no jail works nothing of the recorded candidates is executed: training uses the verified graph that ships
    with qredit.

    Raises:
        QreditError: see `generate` and `compare`.
    """
    generated, no_jail = None, None
    try:
        generated = generate(Request(TASK, model="replay"), on_event=watcher.on_event, on_start=watcher.on_generation)
        watcher.on_generated(generated)
    except JailUnavailableError as error:
        no_jail = error
        watcher.on_no_jail(error)
    comparison = compare(
        TASK,
        ALGORITHMS,
        SEEDS,
        settings,
        mixer=BUILTIN if generated is None else str(generated.artifact.path),
        engine=EngineSettings(jobs=jobs),
        on_start=watcher.on_comparison,
        on_compile=watcher.on_compile,
        on_progress=watcher.on_training,
    )
    return Quickstart(generated, no_jail, comparison)


def recorded_run() -> Path:
    """The folder of the run that the bundled recording comes from; `inspect_run` reads it."""
    return recording_path(TASK).parent
