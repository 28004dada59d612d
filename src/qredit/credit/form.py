"""From the raw outputs of a credit graph to `Q_tot`: scale, IGM and bias, the same for verifier and trainer.

Q_tot(s, a) = sum_i f_w^i(s) Q_i(tau_i, a_i) + f_b(s)          (QLLM, equation 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit.schema import Header

ZERO_ROW = 1e-30
"""A row whose largest weight is below this counts as all zero: 1 / weight would leave the range of float32."""


@dataclass(frozen=True)
class Credit:
    """What a credit function says about a batch of states."""

    q_tot: Tensor
    """The team's value, `[B, 1]`."""
    weights: Tensor | None
    """Weight per agent after scale and IGM, `[B, N]`; None in the general form, whose credit is `dQ_tot/dQ_i`."""
    bias: Tensor | None
    """State-dependent bias `f_b(s)`, `[B, 1]`; None if there is none."""
    clamped: Tensor | None
    """Which raw weights were negative and clamped at 0, `[B, N]`, bool; None where nothing is ever clamped."""

    @property
    def clamped_share(self) -> float:
        """Share of raw weights that were clamped at 0."""
        return 0.0 if self.clamped is None else float(self.clamped.float().mean())


def apply_form(header: Header, raw: Sequence[Tensor], agents_q: Tensor) -> Credit:
    """The team's value out of the raw outputs of a graph.

    Args:
        header: the graph's header.
        raw: what `interpret` or `specialise(graph)` returned: weights `[B, N]` and, with a bias, `[B, 1]`; in the
            general form `Q_tot [B, 1]`.
        agents_q: each agent's value of its chosen action, `[B, N]`.

    Weights of one give the very bits of VDN, `agents_q.sum(dim=-1, keepdim=True)`, of contiguous values: both sums then
    take the numbers in the same order.
    """
    if header.form == "general":
        return Credit(q_tot=raw[0], weights=None, bias=None, clamped=None)
    if header.form in ("shares", "value"):
        what = "splits rewards" if header.form == "shares" else "is one number per state or transition"
        raise ValueError(f"the form `{header.form}` {what}; it has no Q_tot")
    weights = credit_weights(header, raw)
    q_tot = weighted_sum(agents_q, weights)  # [B, 1]
    bias = raw[1] if header.has_bias else None
    if bias is not None:
        q_tot = q_tot + bias
    clamped = raw[0].detach() < 0 if header.igm == "enforce" else None
    return Credit(q_tot=q_tot, weights=weights, bias=bias, clamped=clamped)


def weighted_sum(agents_q: Tensor, weights: Tensor) -> Tensor:
    """`sum_i w_i Q_i`, `[..., 1]`, of `[..., N]` and `[..., N]`."""
    return (agents_q.contiguous() * weights).sum(dim=-1, keepdim=True)


def credit_weights(header: Header, raw: Sequence[Tensor]) -> Tensor:
    """Weights `[B, N]` after IGM and scale, out of the raw weights `raw[0]` `[B, N]` of a weights form.

    Shares of the team reward go the same way: with `sum_to_n` they sum to `N`, and shares of one are the team reward.

    `enforce` clamps at 0. `sum_to_n` divides by the sum (with `relax` by the sum of magnitudes, because a sum near 0
    would explode) and multiplies by `N`; all-zero rows become ones. A row of equal positive weights becomes exactly 1.
    """
    if header.form == "general":
        raise ValueError("the general form has no weights; its credit is dQ_tot/dQ_i")
    if header.form == "value":
        raise ValueError("the form `value` is one number per state or transition; it has no weights")
    weights = raw[0].clamp(min=0) if header.igm == "enforce" else raw[0]  # [B, N]
    return weights if header.scale == "raw" else _sum_to_n(weights)


def _sum_to_n(weights: Tensor) -> Tensor:
    n_agents = weights.shape[-1]
    # Dividing by the largest magnitude first makes a uniform row exactly 1 and keeps the sum from overflowing. It is
    # detached because it cancels: the result does not change when a row is scaled.
    largest = weights.detach().abs().amax(dim=-1, keepdim=True)  # [B, 1]
    zero = largest < ZERO_ROW
    # Safe denominators come before the `where`: the unused branch of a `where` still sends its gradient (0 * inf) back.
    unit = weights / torch.where(zero, torch.ones_like(largest), largest)  # [B, N]
    total = unit.abs().sum(dim=-1, keepdim=True)  # [B, 1], in [1, N] unless the row is zero
    scaled = unit * (n_agents / torch.where(zero, torch.ones_like(total), total))
    return torch.where(zero, torch.ones_like(scaled), scaled)
