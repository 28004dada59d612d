"""What the tests of actor-critics share: networks that are tables, tiny episodes, and random ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import Problem
from qredit.marl.checkpoint import Counters
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings

if TYPE_CHECKING:
    from qredit.credit import CreditGraph

N, A, S = 2, 3, 4
NOTHING_DONE = Counters()
LAYOUT = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
QUARTERS = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]]
"""Probabilities of the actions in three rows."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Two agents that observe the number of a row."""

    layout: StateLayout = LAYOUT
    n_agents: int = N
    n_actions: int = A
    observation_size: int = 1
    time_limit: int = 4


def problem(*, credit: CreditGraph | None = None, own: Mapping[str, Any] | None = None, **settings: Any) -> Problem:
    """Rewards as they are, a discount of 0.9, and whatever else is said."""
    plain: dict[str, Any] = {"standardise_rewards": False, "gamma": 0.9, "learning_rate": 0.01, "hidden_size": 8}
    plain |= {"mixing_size": 4, "hypernet_size": 4, "n_environments": 5, "batch_episodes": 5}
    plain |= {"buffer_episodes": 20}
    return Problem(Sizes(), TrainSettings(**{**plain, **settings}, own=own or {}), torch.device("cpu"), credit)


class Table(AgentNetwork):
    """Numbers looked up by the observation, which is a row's number."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__(observation_size=1, n_agents=N, n_actions=len(rows[0]), hidden_size=1, recurrent=False)
        self.table = nn.Parameter(torch.tensor(rows))

    def forward(self, observations: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.table[observations[..., 0].long()], None


def table_of(network: nn.Module) -> Tensor:
    """The table of a network that is one."""
    table = network.table
    assert isinstance(table, Tensor)
    return table


def policy_table() -> Table:
    """An actor with the policies `QUARTERS`."""
    return Table(torch.tensor(QUARTERS).log().tolist())


def episode(
    rows: list[list[int]],
    actions: list[list[int]],
    rewards: list[float],
    *,
    terminated: bool,
    states: list[list[float]] | None = None,
    padding: int = 0,
    nonsense: float = 77.0,
) -> Episodes:
    """One episode: `rows [T + 1, N]` are what the agents observe; the padding is full of nonsense."""
    t = len(rewards)
    made = Episodes(
        observations=torch.full((1, t + 1 + padding, N, 1), 2.0),
        states=torch.full((1, t + 1 + padding, S), nonsense),
        available_actions=torch.ones(1, t + 1 + padding, N, A, dtype=torch.bool),
        actions=torch.full((1, t + padding, N), 1),
        rewards=torch.full((1, t + padding), nonsense),
        agent_rewards=torch.full((1, t + padding, N), nonsense),
        terminated=torch.zeros(1, t + padding, dtype=torch.bool),
        filled=torch.zeros(1, t + padding, dtype=torch.bool),
        credit=torch.zeros(1, t + 1 + padding, 0),
    )
    made.observations[0, : t + 1, :, 0] = torch.tensor(rows).float()
    made.states[0, : t + 1] = torch.zeros(t + 1, S) if states is None else torch.tensor(states)
    made.actions[0, :t] = torch.tensor(actions)
    made.rewards[0, :t] = torch.tensor(rewards)
    made.terminated[0, t - 1] = terminated
    made.filled[0, :t] = True
    return made


def only(episodes: Episodes, time: int, actions: list[int]) -> Episodes:
    """At one time point each agent has one action."""
    episodes.available_actions[0, time] = torch.nn.functional.one_hot(torch.tensor(actions), A).bool()
    return episodes


def team(episodes: Episodes) -> Tensor:
    """The team's reward for every agent, `[E, T, N]`."""
    return episodes.rewards.unsqueeze(-1).expand(-1, -1, N).contiguous()


def random_episodes(seed: int, *, padding: int = 0, nonsense: float = 0.0) -> Episodes:
    """Five episodes of different lengths, with some actions that are not available.

    What happens does not depend on how much padding there is, nor on what stands in it.
    """
    rng = np.random.default_rng(seed)
    e, t = 5, Sizes().time_limit
    filled = np.arange(t) < np.array([4, 2, 1, 3, 4])[:, None]
    available = rng.random((e, t + 1, N, A)) < 0.7
    available[..., 0] |= ~available.any(axis=-1)
    actions = (rng.random(available.shape) * available).argmax(axis=-1)[:, :-1]
    ends = rng.random((e, t)) < 0.5
    made = Episodes(
        observations=torch.from_numpy(rng.integers(0, 3, (e, t + 1, N, 1)).astype(np.float32)),
        states=torch.from_numpy(rng.random((e, t + 1, S), dtype=np.float32)),
        available_actions=torch.from_numpy(available),
        actions=torch.from_numpy(actions),
        rewards=torch.from_numpy(rng.standard_normal((e, t), dtype=np.float32)),
        agent_rewards=torch.from_numpy(rng.standard_normal((e, t, N), dtype=np.float32)),
        terminated=torch.from_numpy(ends & filled & ~np.roll(filled, -1, axis=1)),
        filled=torch.from_numpy(filled),
        credit=torch.zeros(e, t + 1, 0),
    )
    for tensor in (made.states, made.observations):
        tensor[~made.reached] = nonsense
    for tensor in (made.rewards, made.agent_rewards):
        tensor[~made.filled] = nonsense
    made.actions[~made.filled] = 2
    return padded(made, padding) if padding else made


def padded(episodes: Episodes, steps: int) -> Episodes:
    """The same with more padding: copies of what stands at the end."""
    longer = {}
    for name, tensor in episodes.tensors().items():
        end = tensor[:, -1:].expand(-1, steps, *tensor.shape[2:]).clone()
        longer[name] = torch.cat([tensor, torch.zeros_like(end) if name == "filled" else end], dim=1)
    return Episodes(**longer)


def is_taught(network: nn.Module) -> bool:
    """Whether a gradient stands at one of its parameters."""
    return any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())


def all_parameters(networks: Mapping[str, nn.Module]) -> Iterator[Tensor]:
    """Of all networks in turn."""
    for network in networks.values():
        yield from network.parameters()
