"""The Bradley-Terry model of preferences and its loss on answers that need not agree."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def probability_better(potentials_a: Tensor, potentials_b: Tensor) -> Tensor:
    """`P[s_a > s_b] = sigmoid(sigma(o_a) - sigma(o_b))` (LCA, equation 1), elementwise."""
    return torch.sigmoid(potentials_a - potentials_b)


def preference_loss(potentials_a: Tensor, potentials_b: Tensor, confidence: Tensor) -> Tensor:
    """Cross entropy of the Bradley-Terry model with soft labels (LCA, equation 3), the mean over pairs.

    Where answers disagree the confidence is near 1/2, and the loss pulls the potentials together: the reward goes to 0.

    Args:
        potentials_a: `sigma(o_a)` of the first state of each pair, `[M]`.
        potentials_b: `sigma(o_b)` of the second, `[M]`.
        confidence: share of the answers that prefer the first, `[M]`, in [0, 1]; "unsure" counts half.
    """
    difference = potentials_a - potentials_b
    return -(confidence * logsigmoid(difference) + (1 - confidence) * logsigmoid(-difference)).mean()
