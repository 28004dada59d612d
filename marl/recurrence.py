"""A GRU over sequences that learns faster on the CPU than torch's own (`docs/results/performance.md`).

Shapes: `T` steps, `R` rows, `H` hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from qredit.marl.kernels.recurrence import remember, remember_backward


class GRU(nn.GRU):
    """torch's GRU of one layer, same parameters and same values.

    In single precision on the CPU its matrix products are torch's and the rest of each step is one kernel; otherwise
    everything is torch's.
    """

    def forward(  # type: ignore[override]  # no packed sequences
        self, inputs: Tensor, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """States after each step `[T, R, H]` and after the last `[1, R, H]`.

        Args:
            inputs: `[T, R, X]`
            hidden: the state before the sequence, `[1, R, H]`; zeros if it is left out.
        """
        if inputs.device.type != "cpu" or inputs.dtype != torch.float32:
            states, last = super().forward(inputs, hidden)
            return states, last
        first = inputs.new_zeros(inputs.shape[1], self.hidden_size) if hidden is None else hidden[0]
        weight, recurrent_weight, bias, recurrent_bias = self.parameters()
        states = _apply(linear(inputs, weight, bias), first, recurrent_weight, recurrent_bias)
        return states, states[-1:]


class _States(torch.autograd.Function):
    """From what the inputs give `[T, R, 3H]` and the first state `[R, H]`: the states after each step, `[T, R, H]`."""

    @staticmethod
    def forward(ctx: Any, from_inputs: Tensor, first: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        steps, rows, size = *from_inputs.shape[:2], first.shape[-1]
        learning = any(ctx.needs_input_grad)
        states = first.new_empty(steps + 1, rows, size)
        states[0] = first
        gates = first.new_empty(steps if learning else 1, 4, rows, size)
        recurrent = first.new_empty(rows, 3 * size)
        x, h, g, p = (part.detach().contiguous().numpy() for part in (from_inputs, states, gates, recurrent))
        before, transposed = states.unbind(0), weight.t()
        for t in range(steps):
            torch.addmm(bias, before[t], transposed, out=recurrent)
            remember(x[t], p, h[t], h[t + 1], g[t if learning else 0])
        ctx.save_for_backward(states, gates, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Backpropagation through time; the weight's gradient is one product over all steps."""
        states, gates, weight = ctx.saved_tensors
        steps, rows, size = by_states.shape
        by_inputs, by_recurrent = (by_states.new_empty(steps, rows, 3 * size) for _ in range(2))
        by_after, kept = by_states.new_zeros(rows, size), by_states.new_empty(rows, size)
        o, a, h, g, x, p, k = (
            part.contiguous().numpy() for part in (by_states, by_after, states, gates, by_inputs, by_recurrent, kept)
        )
        by_step = by_recurrent.unbind(0)
        for t in reversed(range(steps)):
            remember_backward(o[t], a, h[t], g[t], x[t], p[t], k)
            torch.addmm(kept, by_step[t], weight, out=by_after)
        flat = by_recurrent.reshape(steps * rows, 3 * size)
        return by_inputs, by_after, flat.t() @ states[:-1].reshape(steps * rows, size), flat.sum(dim=0)


def compile_recurrence() -> None:
    """Compile the kernels, by using them once."""
    GRU(1, 1)(torch.zeros(1, 1, 1))[0].sum().backward()


_apply = cast(Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], _States.apply)
