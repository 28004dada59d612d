"""Credit that knows nothing, or has forgotten what it knew: what every result of a credit function stands beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    Placebo = Literal["none", "uniform", "agents-permuted", "time-shuffled", "random"]


def placebo_weights(placebo: Placebo, weights: Tensor, reached: Tensor, rng: np.random.Generator) -> Tensor:
    """What stands in place of the weights of collected episodes, `[E, T + 1, N]`.

    Args:
        placebo: `none` leaves the weights as they are; `uniform` makes them ones, which is VDN; `agents-permuted` gives
            each weight to the next agent; `time-shuffled` takes the weights of another reached time point of the same
            episode; `random` deals the weights anew to the agents at every time point, so that they are exactly as
            concentrated as the function's.
        weights: the function's, `[E, T + 1, N]`.
        reached: time points that were reached, `[E, T + 1]`.
        rng: random numbers of the last two.
    """
    if placebo == "uniform":
        return torch.ones_like(weights)
    if placebo == "agents-permuted":
        return weights.roll(1, dims=-1)
    if placebo == "time-shuffled":
        shuffled = weights.clone()
        for episode, length in enumerate(reached.sum(dim=1).tolist()):
            shuffled[episode, :length] = weights[episode, torch.from_numpy(rng.permutation(length))]
        return shuffled
    if placebo == "random":
        dealt = torch.from_numpy(rng.random(weights.shape).argsort(axis=-1))
        return weights.gather(-1, dealt.to(weights.device))
    return weights
