"""Policies over available actions, as pure functions of logits `[..., A]` and available actions `[..., A]`, bool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np


def log_policy(logits: Tensor, available: Tensor) -> Tensor:
    """`log pi(. | tau)`, `[..., A]`; minus infinity where an action is not available."""
    return logits.masked_fill(~available, -torch.inf).log_softmax(dim=-1)


def entropy(log_pi: Tensor) -> Tensor:
    """`-sum_a pi(a) log pi(a)`, `[...]`, in nats; actions without probability count as 0."""
    return -(log_pi.exp() * log_pi.masked_fill(log_pi == -torch.inf, 0.0)).sum(dim=-1)


def drawn_actions(log_pi: Tensor, rng: np.random.Generator) -> Tensor:
    """Actions `[...]` drawn from the policies `log_pi [..., A]`, by the Gumbel-max trick."""
    noise = torch.from_numpy(rng.gumbel(size=tuple(log_pi.shape))).to(log_pi)
    return (log_pi + noise).argmax(dim=-1)
