"""The agents' network: one set of parameters for all agents, told apart by their number."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from qredit.marl.recurrence import GRU
from qredit.marl.replay import taken


class AgentNetwork(nn.Module):
    """`Q_i(tau_i, .)` for all agents at once, with or without a GRU over time.

    Args:
        observation_size: `O`.
        n_agents: `N`; each agent's number enters as a one-hot vector.
        n_actions: `A`.
        hidden_size: width of the hidden layers.
        recurrent: whether a GRU replaces the second hidden layer.
    """

    def __init__(
        self, *, observation_size: int, n_agents: int, n_actions: int, hidden_size: int, recurrent: bool
    ) -> None:
        super().__init__()
        self.n_agents = n_agents
        self.hidden_size = hidden_size
        self.recurrent = recurrent
        self.encoder = nn.Linear(observation_size, hidden_size)
        # The one-hot agent number times a weight matrix is a row of it: an embedding, added to the first layer.
        self.identity = nn.Parameter(torch.empty(n_agents, hidden_size))
        nn.init.uniform_(self.identity, -(observation_size**-0.5), observation_size**-0.5)
        self.memory: GRU | nn.Linear
        self.memory = GRU(hidden_size, hidden_size) if recurrent else nn.Linear(hidden_size, hidden_size)
        self.head = nn.Linear(hidden_size, n_actions)

    def forward(self, observations: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Action values `[T, B, N, A]` of observations `[T, B, N, O]`.

        Args:
            observations: a sequence; `T = 1` when acting.
            hidden: the GRU's state `[1, B * N, H]` before the sequence, or `None` at its start.

        Returns:
            The values, and the GRU's state after the sequence (`None` without one).
        """
        steps, batch, n_agents, _ = observations.shape
        x = torch.relu(self.encoder(observations) + self.identity)  # [T, B, N, H]
        if isinstance(self.memory, GRU):
            sequence, hidden = self.memory(x.reshape(steps, batch * n_agents, -1), hidden)
            x = sequence.reshape(steps, batch, n_agents, -1)
        else:
            x = torch.relu(self.memory(x))
        return self.head(x), hidden


@torch.no_grad()
def move_towards(target: Iterable[Tensor], online: Iterable[Tensor], tau: float) -> None:
    """`theta^- <- (1 - tau) theta^- + tau theta`, for the parameters of target networks and of those they follow."""
    torch._foreach_lerp_(list(target), list(online), tau)


def values_at(network: AgentNetwork, inputs: Tensor, rows: Tensor) -> Tensor:
    """What a network gives at some time points of episodes, `[M, N, A]`; no work is spent on the others if it can be.

    Args:
        network: feed-forward or recurrent.
        inputs: `[E, T + 1, N, O]`
        rows: numbers of the time points, `[M]`, of `E * (T + 1)`; see `Episodes.rows`.
    """
    if network.recurrent:  # a sequence cannot be cut up
        sequences: Tensor = network(inputs.transpose(0, 1))[0]
        return taken(sequences.transpose(0, 1), rows)
    values: Tensor = network(taken(inputs, rows).unsqueeze(0))[0]
    return values.squeeze(0)


def scattered(values: Tensor, rows: Tensor, shape: torch.Size) -> Tensor:
    """The reverse of `taken`: `values [M, ...]` at these numbers of `shape = (E, T)`, 0 elsewhere: `[E, T, ...]`."""
    whole = values.new_zeros(shape.numel(), *values.shape[1:])
    whole[rows] = values
    return whole.reshape(*shape, *values.shape[1:])
