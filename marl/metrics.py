"""The greedy evaluations of a training: `metrics.csv` for tables and plots, and the same for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from qredit.files import storage_errors, write_atomic

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


class MetricsLog:
    """Writes every evaluation to both places; the whole table at once, so that it is never half a row.

    Args:
        folder: the run folder.
        rows: the evaluations of a training that is continued; what the folder holds beyond them is dropped.
    """

    def __init__(self, folder: Path, rows: Sequence[Evaluation]) -> None:
        # Late: TensorBoard takes a second to load.
        from torch.utils.tensorboard import SummaryWriter

        self.rows = list(rows)
        self._path = folder / FILE
        board = folder / "tensorboard"
        with storage_errors(board):
            self._board: Any = SummaryWriter(str(board), purge_step=rows[-1].environment_steps + 1 if rows else None)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def add(self, row: Evaluation) -> None:
        """Append an evaluation.

        Raises:
            StorageError: disk full; the table is as it was.
        """
        self.rows.append(row)
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [field.name for field in fields(Evaluation)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(one) for one in self.rows)
        write_atomic(self._path, buffer.getvalue().encode())
        for name, value in asdict(row).items():
            if name != "environment_steps" and value is not None:
                self._board.add_scalar(name, value, row.environment_steps)
