"""What a step was worth, out of rewards and estimated values: pure functions.

Shapes: `E` episodes padded to `T` steps, `G` values per time point (one per agent, or the team's alone).

    rewards [E, T, G]
    values [E, T + 1, G]       at the time points; that after the last step is the bootstrap at a time limit
    over [E, T], bool          after this step no value follows
    filled [E, T], bool        the step took place; no gaps

What the results hold where nothing took place means nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(
    rewards: Tensor, values: Tensor, over: Tensor, filled: Tensor, *, gamma: float, lambda_: float
) -> Tensor:
    """TD(lambda) returns `G_t = r_t + gamma [(1 - lambda) V_{t+1} + lambda G_{t+1}]`, `[E, T, G]`.

    (Sutton and Barto 2018, equation 12.18.) Minus `V_t` they are the generalised advantage estimate (Schulman et al.
    2016, equation 16). After an episode's last step `V_{t+1}` stands in place of `G_{t+1}`, and 0 where it is over.
    """
    carried = torch.cat([filled[:, 1:], torch.zeros_like(filled[:, :1])], dim=1)  # a step follows
    weight = (lambda_ * carried.to(values.dtype)).unsqueeze(-1)  # [E, T, 1]
    discount = gamma * (~over).to(values.dtype).unsqueeze(-1)
    returns = torch.empty_like(rewards)
    following = values[:, -1]
    for t in range(rewards.shape[1] - 1, -1, -1):
        following = rewards[:, t] + discount[:, t] * torch.lerp(values[:, t + 1], following, weight[:, t])
        returns[:, t] = following
    return returns


def n_step_returns(rewards: Tensor, values: Tensor, over: Tensor, filled: Tensor, *, gamma: float, n: int) -> Tensor:
    """`G_t = sum_{k < n} gamma^k r_{t+k} + gamma^n V_{t+n}`, cut off at the episode's end, `[E, T, G]`.

    (Sutton and Barto 2018, equation 7.1.)
    """
    carried = filled[:, 1:].unsqueeze(-1)
    discount = gamma * (~over).to(values.dtype).unsqueeze(-1)
    returns = rewards + discount * values[:, 1:]
    for _ in range(n - 1):
        following = values[:, 1:].clone()
        following[:, :-1] = torch.where(carried, returns[:, 1:], following[:, :-1])
        returns = rewards + discount * following
    return returns


def padded_n_step_returns(rewards: Tensor, values: Tensor, filled: Tensor, *, gamma: float, n: int) -> Tensor:
    """n-step returns `[E, T, G]` that take every episode for as long as the longest, as EPyMARL's `ppo_learner.py`.

    `G_t = sum_{k < n} gamma^k r_{t+k} + gamma^n V_{t+n}` with rewards and values of 0 in the padding, but from `n`
    steps before the end `T` of the longest episode on all are bootstrapped by `V_T`: those whose world has ended too,
    and shorter ones by the value of what stands in the padding.
    """
    steps = rewards.shape[1]
    took = filled.unsqueeze(-1).to(values.dtype)
    returns = torch.zeros_like(rewards)
    for t in range(steps):
        end = min(t + n, steps)
        for k in range(t, end):
            returns[:, t] += gamma ** (k - t) * took[:, k] * rewards[:, k]
        following = values[:, steps] if end == steps else took[:, end] * values[:, end]
        returns[:, t] += gamma ** (end - t) * following
    return returns
