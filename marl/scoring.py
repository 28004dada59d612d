"""The scores of all agents' actions in all environments, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from qredit.marl.kernels.acting import Layers, scores_of
from qredit.marl.networks import AgentNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from qredit.marl.environment import TimeStep

FEW_ROWS = 64
"""Up to so many rows, one per environment and agent, a kernel is faster than calls of torch."""


class Scorer:
    """Scores by a network whose weights stay as they are from one `reset` to the next.

    Args:
        network: values or logits of the agents' actions.
        device: where it is.
    """

    def __init__(self, network: AgentNetwork, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._hidden: Tensor | None = None
        plain = type(network) is AgentNetwork and not network.recurrent and device.type == "cpu"
        self._may_use_kernel = plain
        self._kernel: _Kernel | None = None

    def reset(self) -> None:
        """Forget what was seen before, and take the network's weights as they are now."""
        self._hidden = None
        self._kernel = None

    def scores(self, now: TimeStep) -> NDArray[np.float32]:
        """Values or logits `[B, N, A]`; the array may be overwritten by the next call."""
        environments, agents, _ = now.observations.shape
        if self._may_use_kernel and environments * agents <= FEW_ROWS:
            if self._kernel is None:
                self._kernel = _Kernel.of(self._network, environments)
            return self._kernel.scores_of(now.observations)
        with torch.inference_mode():
            observations = torch.from_numpy(now.observations).to(self._device).unsqueeze(0)  # [1, B, N, O]
            values, self._hidden = self._network(observations, self._hidden)
            scores: NDArray[np.float32] = values[0].cpu().numpy()
        return scores


class _Kernel(NamedTuple):
    """A network's weights and room for what it computes."""

    layers: Layers
    hidden: NDArray[np.float32]
    hidden_2: NDArray[np.float32]
    scores: NDArray[np.float32]

    @staticmethod
    def of(network: AgentNetwork, environments: int) -> _Kernel:
        n, h, a = network.n_agents, network.hidden_size, network.head.out_features
        assert isinstance(network.memory, torch.nn.Linear)
        layers = Layers(
            encoder=_array(network.encoder.weight.T),
            encoder_bias=_array(network.encoder.bias + network.identity),
            middle=_array(network.memory.weight.T),
            middle_bias=_array(network.memory.bias.expand(n, h)),
            head=_array(network.head.weight.T),
            head_bias=_array(network.head.bias.expand(n, a)),
        )
        rows = environments * n
        room = (np.zeros((rows, size), dtype=np.float32) for size in (h, h, a))
        return _Kernel(layers, *room)

    def scores_of(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        environments, agents, size = observations.shape
        rows = observations.reshape(environments * agents, size)
        scores_of(self.layers, rows, self.hidden, self.hidden_2, self.scores)
        return self.scores.reshape(environments, agents, -1)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    copied: NDArray[np.float32] = tensor.detach().contiguous().numpy().copy()
    return copied
