"""Figures about the weights of a credit function, for people and for the evaluator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit.schema import Scale

TOLERANCE = 1e-6
"""A weight within this of VDN's counts as equal to it."""


@dataclass(frozen=True)
class WeightStatistics:
    """Figures over a batch of states."""

    mean: tuple[float, ...]
    """Mean weight per agent."""
    minimum: tuple[float, ...]
    """Smallest weight per agent."""
    maximum: tuple[float, ...]
    """Largest weight per agent."""
    std: tuple[float, ...]
    """Standard deviation over the states per agent (population)."""
    vdn_difference: float
    """Share of states in which some weight differs from VDN's: from 1, or for `raw` from the mean weight."""
    entropy: float
    """Mean over the states of the entropy of `|w| / sum |w|`, divided by `log N`: 1 is uniform, 0 one agent only."""
    concentration: float
    """Mean over the states of the largest share `max |w| / sum |w|`; `1/N` is uniform."""


def weight_statistics(weights: Tensor, scale: Scale) -> WeightStatistics:
    """Figures about weights `[B, N]` after scale and IGM (`Credit.weights`), `B >= 1`."""
    w = weights.detach().double()
    n_agents = w.shape[-1]
    shares = w.abs() / w.abs().sum(dim=-1, keepdim=True).clamp_min(1e-300)  # [B, N]; an all-zero row stays zero
    entropy = torch.special.entr(shares).sum(dim=-1)
    return WeightStatistics(
        mean=_row(w.mean(dim=0)),
        minimum=_row(w.amin(dim=0)),
        maximum=_row(w.amax(dim=0)),
        std=_row(w.std(dim=0, correction=0)),
        vdn_difference=float(differs_from_vdn(weights, scale).double().mean()),
        entropy=float(entropy.mean()) / (float(torch.tensor(n_agents).log()) if n_agents > 1 else 1.0),
        concentration=float(shares.amax(dim=-1).mean()),
    )


def differs_from_vdn(weights: Tensor, scale: Scale) -> Tensor:
    """For each state whether the credit differs from VDN's, `[B]` bool, of weights `[B, N]` after scale and IGM.

    `raw` weights are compared with their mean over the agents: a common factor only rescales `Q_tot`.
    """
    vdn = 1.0 if scale == "sum_to_n" else weights.mean(dim=-1, keepdim=True)
    return ((weights - vdn).abs() > TOLERANCE).any(dim=-1)


def _row(values: Tensor) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
