"""State-scoring models `sigma`: one per group of agents that have the same task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.layout import StateLayout
from qredit.marl.potentials.encoding import EgoEncoding

MOST_HIDDEN = 4096
"""A stranger's file must not ask for all memory."""


class Potentials(nn.Module):
    """`sigma^i(o^i)` for all agents. `level` and `deviation` are those of the agents' mean over all ranked states.

    The paper gives no sizes: three hidden layers of tanh are our choice, by the loss on held-out pairs
    (`docs/log.md`), and smooth, so that small steps get small rewards.

    Args:
        layout: layout of the state.
        groups: agents that share a model, each agent in exactly one group: `[[0, 1]]` for two homogeneous agents,
            `[[0], [1]]` for two heterogeneous ones.
        hidden_size: width of the hidden layers.
        whole: names of the fields that hold whole numbers, which are shown one-hot, too; see `whole_fields`.

    Raises:
        ConfigurationError: an agent is missing or stands twice, a width out of range, or a field that is not there.
    """

    level: Tensor
    deviation: Tensor

    def __init__(
        self,
        layout: StateLayout,
        groups: Sequence[Sequence[int]],
        *,
        hidden_size: int = 128,
        whole: Sequence[str] = (),
    ) -> None:
        super().__init__()
        agents = sorted(agent for group in groups for agent in group)
        if not agents or agents != list(range(len(agents))):
            raise ConfigurationError(
                f"groups of agents {[list(group) for group in groups]}",
                cause="each agent from 0 on must stand in exactly one of them",
                remedy="Put agents with the same task into one group: [[0, 1]], or [[0], [1]].",
            )
        if not 0 < hidden_size <= MOST_HIDDEN:
            raise ConfigurationError(
                f"`hidden_size` of {hidden_size}", cause=f"it is not in 1..{MOST_HIDDEN}", remedy="64 is the default."
            )
        unknown = set(whole) - {field.name for field in layout.fields}
        if unknown:
            raise ConfigurationError(
                f"fields {sorted(unknown)} of potentials", cause="the layout has no such fields", remedy="Correct them."
            )
        self.layout = layout
        self.whole = tuple(whole)
        self.groups = tuple(tuple(sorted(group)) for group in groups)
        self.hidden_size = hidden_size
        self.encoding = EgoEncoding(layout, len(agents), whole=self.whole)
        self.register_buffer("level", torch.tensor(0.0))
        self.register_buffer("deviation", torch.tensor(1.0))
        self.scores = nn.ModuleList(_score(self.encoding.size, hidden_size) for _ in self.groups)

    def multiply(self, factor: float) -> None:
        """Make all potentials `factor` times as large, in place."""
        for score in self.scores:
            last = score[-1]  # type: ignore[index]
            last.weight.mul_(factor)
            last.bias.mul_(factor)

    def measure(self, states: Tensor) -> None:
        """Note level and deviation in `states [M, S]`."""
        deviation, level = torch.std_mean(self(states).mean(dim=-1), correction=0)
        self.level.copy_(level)
        self.deviation.copy_(deviation)

    @property
    def n_agents(self) -> int:
        """`N`."""
        return self.encoding.n_agents

    def forward(self, states: Tensor) -> Tensor:
        """Potentials `[..., N]` of `states [..., S]`.

        Raises:
            ValueError: the states have another size.
        """
        if states.shape[-1] != self.layout.size:
            raise ValueError(
                f"the states have {states.shape[-1]} numbers, the potentials were made for {self.layout.size}"
            )
        encoded = self.encoding(states)  # [..., N, E]
        columns: list[Tensor] = [encoded.new_empty(0)] * self.n_agents
        for group, score in zip(self.groups, self.scores, strict=True):
            values = score(encoded[..., list(group), :]).squeeze(-1)  # [..., agents of the group]
            for column, agent in enumerate(group):
                columns[agent] = values[..., column]
        return torch.stack(columns, dim=-1)

    def score(self, encoded: Tensor, egos: Tensor) -> Tensor:
        """Potentials `[M]` of agents `egos [M]`, of what each sees, `[M, E]` (`self.encoding.of`)."""
        if len(self.groups) == 1:
            return _column(self.scores[0], encoded)
        found = encoded.new_empty(len(encoded))
        for group, score in zip(self.groups, self.scores, strict=True):
            rows = torch.isin(egos, torch.tensor(group, device=egos.device))
            found[rows] = _column(score, encoded[rows])
        return found


def _column(score: nn.Module, encoded: Tensor) -> Tensor:
    values: Tensor = score(encoded)
    return values.squeeze(-1)


def _score(inputs: int, hidden: int) -> nn.Module:
    layers: list[nn.Module] = []
    for size in (inputs, hidden, hidden):
        layers += [nn.Linear(size, hidden), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(hidden, 1))
