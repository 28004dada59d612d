"""The evaluations of a training: `metrics.csv` for tables and plots, the same for TensorBoard and, if wanted, W&B."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from qredit.files import storage_errors, write_atomic
from qredit.marl.wandb_sink import WandbRun, WandbSink

FILE = "metrics.csv"


@dataclass(frozen=True)
class Evaluation:
    """One row of `metrics.csv`."""

    environment_steps: int
    """Environment steps collected so far."""
    seconds: float
    """Wall-clock seconds spent training and evaluating so far."""
    episodes: int
    """Episodes collected so far."""
    updates: int
    """Updates so far."""
    epsilon: float
    """Exploration rate at this point."""
    loss: float
    """Loss of the latest update; not a number before the first."""
    greedy_return: float
    """Undiscounted team return per episode, mean over the greedy evaluation episodes."""
    greedy_return_std: float
    """Its standard deviation over these episodes."""
    sampled_return: float | None = None
    """The same with actions drawn from the policy; none for algorithms whose policy is no distribution."""
    greedy_completed: float = 0.0
    """Share of the greedy evaluation episodes in which the world ended before the time limit."""
    sampled_completed: float | None = None
    """The same with actions drawn from the policy."""


class Sink(Protocol):
    """A place that evaluations go to."""

    def add(self, rows: Sequence[Evaluation]) -> None:
        """Take on the table so far, whose last row is new."""

    def close(self, *, hurry: bool) -> None:
        """Write what is left; in a hurry when the training was stopped or has failed."""


class CsvSink:
    """`metrics.csv`: the whole table at once, so that it is never half a row."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def add(self, rows: Sequence[Evaluation]) -> None:
        """Write the table.

        Raises:
            StorageError: disk full; the table is as it was.
        """
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [field.name for field in fields(Evaluation)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(one) for one in rows)
        write_atomic(self._path, buffer.getvalue().encode())

    def close(self, *, hurry: bool) -> None:
        """Nothing is left."""


class TensorBoardSink:
    """One scalar per column.

    Args:
        folder: the run folder.
        rows: the evaluations of a training that is continued; what the folder holds beyond them is hidden.
    """

    def __init__(self, folder: Path, rows: Sequence[Evaluation]) -> None:
        # Late: TensorBoard takes a second to load.
        from torch.utils.tensorboard import SummaryWriter

        board = folder / "tensorboard"
        with storage_errors(board):
            self._board: Any = SummaryWriter(str(board), purge_step=rows[-1].environment_steps + 1 if rows else None)

    def add(self, rows: Sequence[Evaluation]) -> None:
        """Write the last row."""
        row = rows[-1]
        for name, value in asdict(row).items():
            if name != "environment_steps" and value is not None:
                self._board.add_scalar(name, value, row.environment_steps)

    def close(self, *, hurry: bool) -> None:
        """Write what is buffered."""
        self._board.close()


class MetricsLog:
    """Writes every evaluation to `metrics.csv`, to TensorBoard, and to where else it is wanted.

    Args:
        folder: the run folder.
        rows: the evaluations of a training that is continued; what the folder holds beyond them is dropped.
        wandb: mirror them to Weights & Biases under this name.

    Raises:
        ConfigurationError: W&B is not installed, or refuses.
    """

    def __init__(self, folder: Path, rows: Sequence[Evaluation], *, wandb: WandbRun | None = None) -> None:
        self.rows = list(rows)
        # First what may refuse.
        mirrors: list[Sink] = [] if wandb is None else [WandbSink(wandb, folder, rows)]
        self._sinks: list[Sink] = [CsvSink(folder), TensorBoardSink(folder, rows), *mirrors]

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sink in self._sinks:
            sink.close(hurry=kind is not None)

    def add(self, row: Evaluation) -> None:
        """Append an evaluation.

        Raises:
            StorageError: disk full; the table is as it was.
        """
        self.rows.append(row)
        for sink in self._sinks:
            sink.add(self.rows)
