"""Losses, as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def chosen_values(values: Tensor, actions: Tensor) -> Tensor:
    """Values of the actions taken: `[..., N]` of `values [..., N, A]` and `actions [..., N]`."""
    return values.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def greedy_actions(values: Tensor, available: Tensor) -> Tensor:
    """Best available actions `[..., N]` of `values [..., N, A]` and `available [..., N, A]`, bool."""
    return values.masked_fill(~available, -torch.inf).argmax(dim=-1)


def td_targets(rewards: Tensor, terminated: Tensor, next_q_tot: Tensor, gamma: float) -> Tensor:
    """`y = r + gamma Q_tot(s', a'; theta^-)`, and `y = r` where the world ended (QLLM, equation 10).

    A step at the time limit is not terminated, so its value is bootstrapped.

    Shapes: rewards `[M, 1]` or `[M, G]`, `terminated [M, 1]`, `next_q_tot [M, G]`.
    """
    return rewards + gamma * next_q_tot.masked_fill(terminated, 0.0)


def td_loss(q_tot: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over steps (QLLM, equation 9); both arguments have the same shape."""
    return (q_tot - targets.detach()).square().mean()


def ppo_loss(log_pi: Tensor, old_log_pi: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """The clipped surrogate with its sign turned: `-mean min(rho A, clip(rho, 1 - c, 1 + c) A)`, `rho = pi / pi_old`.

    (Schulman et al. 2017, equation 7.) All tensors `[M, N]`: `M` steps that took place, `N` agents.
    """
    ratio = (log_pi - old_log_pi).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def policy_gradient_loss(log_pi: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
    """`-mean log pi(a_i | tau_i) A_i`, whose gradient is the policy gradient with its sign turned; none enters `A`.

    Shapes: `log_pi [M, N, A]` of `M` steps that took place, actions `[M, N]`, advantages `[M, N]`, or `[M, 1]` where
    one counts for all agents.
    """
    return -(chosen_values(log_pi, actions) * advantages.detach()).mean()
