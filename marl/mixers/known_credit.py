"""The credit of states that came before: a function of a thousand operations is not asked twice about one state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qredit.credit.columns import columns_read
from qredit.marl.mixers.credit import CreditMixer

LARGEST = 200_000
"""States that are remembered at most."""
TRIAL = 20_000
"""States after which remembering must have proved useful."""
USEFUL = 0.1
"""Share of the states that must have come before by then; in worlds of real numbers hardly any state comes twice."""


class KnownCredit:
    """What a credit function gave, by the numbers of the state that it reads.

    It belongs into checkpoints: in another batch a function may round otherwise, so that a training which asked again
    would go on with other last bits than one that was never interrupted.

    Args:
        function: the credit function, of a form whose outputs depend on the state alone.
    """

    def __init__(self, function: CreditMixer) -> None:
        self._function = function
        self._columns = torch.tensor(columns_read(function.graph), dtype=torch.int64)
        self._known: dict[bytes, bytes] = {}
        self._asked = self._found = 0

    def outputs(self, states: Tensor) -> Tensor:
        """`CreditMixer.outputs` of `states [M, S]`, float32 on the CPU: `[M, C]`."""
        if self._asked >= TRIAL and self._found < USEFUL * self._asked:
            return self._function.outputs(states)
        keys = _rows(states[:, self._columns])
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        self._asked += len(keys)
        self._found += len(keys) - len(new)
        fresh = dict(zip(new, self._ask(states[list(new.values())]), strict=True))
        found = [fresh[key] if key in fresh else self._known[key] for key in keys]
        if len(self._known) + len(fresh) <= LARGEST:
            self._known |= fresh
        return _tensor(found, self._function.output_size)

    def _ask(self, states: Tensor) -> list[bytes]:
        return _rows(self._function.outputs(states)) if len(states) else []

    def contents(self) -> dict[str, Tensor]:
        """For a checkpoint: `states [K, c]`, `outputs [K, C]`, and how many were asked about and found, `[2]`."""
        return {
            "states": _tensor(list(self._known), len(self._columns)),
            "outputs": _tensor(list(self._known.values()), self._function.output_size),
            "counts": torch.tensor([self._asked, self._found]),
        }

    def restore(self, contents: Mapping[str, Tensor]) -> None:
        """Take back what `contents` gave."""
        self._known = dict(zip(_rows(contents["states"]), _rows(contents["outputs"]), strict=True))
        self._asked, self._found = (int(count) for count in contents["counts"])


def _rows(numbers: Tensor) -> list[bytes]:
    """The bytes of each row of `[K, c]`."""
    data, size = numbers.contiguous().numpy().tobytes(), numbers.shape[1] * numbers.element_size()
    return [data[row * size : (row + 1) * size] for row in range(len(numbers))]


def _tensor(rows: list[bytes], size: int) -> Tensor:
    """The reverse, `[K, size]`, float32."""
    data = bytearray(b"".join(rows))
    return torch.frombuffer(data, dtype=torch.float32).reshape(-1, size) if data else torch.zeros(len(rows), size)
