"""Gradient descent on a whole network as one vector: a few operations per step, however many layers there are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClippedAdam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015) on gradients that are clipped to a norm.

    The network's parameters become views of one vector, their gradients views of another: clearing, clipping and moving
    them are single operations, which layer by layer take 0.7 of 9.7 ms in an update of QMIX. Move the network to its
    device before.

    Args:
        network: whose parameters move, all of one type and on one device.
        learning_rate: of all of them.
        clip: largest norm of the gradient as a whole.
    """

    def __init__(self, network: nn.Module, *, learning_rate: float, clip: float) -> None:
        self._parameters = list(network.parameters())
        self._clip = clip
        vector = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in self._parameters]))
        vector.grad = self._gradient = torch.zeros_like(vector)
        start = 0
        for parameter in self._parameters:
            piece = slice(start, start := start + parameter.numel())
            parameter.data = vector.data[piece].view_as(parameter)
            parameter.grad = self._gradient[piece].view_as(parameter)
        super().__init__([vector], lr=learning_rate, fused=True)

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Clear the gradients; they stay where they are."""
        self._gradient.zero_()

    def descend(self, loss: Tensor) -> None:
        """One step; the loss may pass through other networks, whose gradients stay as they are."""
        self.zero_grad()
        loss.backward(inputs=self._parameters)  # type: ignore[no-untyped-call]
        norm = torch.linalg.vector_norm(self._gradient)
        self._gradient.mul_((self._clip / (norm + 1e-6)).clamp(max=1.0))
        self._move()

    @torch.no_grad()
    def _move(self) -> None:
        """What `step` does, without the hundred microseconds of hooks, groups and checks around it."""
        (group,) = self.param_groups
        (vector,) = group["params"]
        state = self.state[vector]
        if not state:
            self.step()  # makes the state
            return
        state["step"].add_(1)
        beta1, beta2 = group["betas"]
        torch._fused_adam_(
            [vector],
            [self._gradient],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
