"""Rankings: of two states of a transition, which is better from one agent's point of view, by how many answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.errors import ConfigurationError


@dataclass(frozen=True)
class Rankings:
    """`M` ranked pairs; `Q` answers per pair have become one share."""

    states: Tensor
    """Before the ego's action, `[M, S]`."""
    next_states: Tensor
    """After it, `[M, S]`."""
    egos: Tensor
    """Number of the agent that was asked about, `[M]`."""
    confidence: Tensor
    """Share of the answers that call the state after better, `[M]`; "unsure" counts half."""

    def __post_init__(self) -> None:
        m = len(self.states)
        shapes = {"next_states": self.states.shape, "egos": (m,), "confidence": (m,)}
        wrong = [
            f"`{name}` is {list(getattr(self, name).shape)}"
            for name, shape in shapes.items()
            if tuple(getattr(self, name).shape) != tuple(shape)
        ]
        if self.states.ndim != 2 or wrong:
            raise ConfigurationError(
                f"rankings with states {list(self.states.shape)}",
                cause="; ".join(wrong) or "states must be [M, S]",
                remedy="Give one row per pair to each of them.",
            )
        outside = ~((self.confidence >= 0) & (self.confidence <= 1))
        if outside.any():
            first = int(outside.nonzero()[0])
            raise ConfigurationError(
                f"confidence {self.confidence[first].item()} of pair {first}",
                cause="it is no share of answers in [0, 1]",
                remedy="Divide the number of answers `after` by all answers, with half a point for `unsure`.",
            )

    def __len__(self) -> int:
        return len(self.states)

    def at(self, rows: Tensor) -> Rankings:
        """Some of the pairs, by their numbers."""
        return Rankings(self.states[rows], self.next_states[rows], self.egos[rows], self.confidence[rows])

    @staticmethod
    def of_answers(states: Tensor, next_states: Tensor, egos: Tensor, answers: Tensor) -> Rankings:
        """From answers `[M, Q]`: 1 for after, 0 for before, 1/2 for unsure, not a number for none.

        Pairs without any answer are left out.
        """
        answered = ~answers.isnan()
        counts = answered.sum(dim=1)
        some = counts > 0
        share = answers.nan_to_num(0.0).sum(dim=1)[some] / counts[some]
        return Rankings(states[some], next_states[some], egos[some], share.to(torch.float32))
