"""Episodes as arrays, and the ring that holds the latest of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qredit.marl.environment import Sized


class Rows(NamedTuple):
    """Where the `R` reached time points and the `M` steps of padded episodes stand: row numbers, in order.

    They pick the same as the masks of `Episodes` and cost less, because a mask has to be searched every time.
    """

    reached: Tensor
    """Time points that were reached, `[R]`, of `E * (T + 1)`."""
    starts: Tensor
    """Those at which a step starts, `[M]`, of the `R`."""
    ends: Tensor
    """Those to which a step has led, `[M]`, of the `R`."""
    steps: Tensor
    """Steps that took place, `[M]`, of `E * T`."""
    before: Tensor
    """Time points at which a step starts, `[M]`, of `E * (T + 1)`."""
    after: Tensor
    """Time points to which a step has led, `[M]`, of `E * (T + 1)`."""


def taken(tensor: Tensor, rows: Tensor) -> Tensor:
    """`[K, ...]`: the rows of these numbers `[K]` of a tensor `[E, T, ...]`."""
    return tensor.flatten(0, 1).index_select(0, rows)


@dataclass(frozen=True)
class Episodes:
    """`E` whole episodes, padded to `T` steps. Entry `t` of the first three comes before action `t`.

    What stands in the padding means nothing.
    """

    observations: Tensor
    """`[E, T + 1, N, O]`, float32."""
    states: Tensor
    """`[E, T + 1, S]`, float32."""
    available_actions: Tensor
    """`[E, T + 1, N, A]`, bool."""
    actions: Tensor
    """`[E, T, N]`, int64."""
    rewards: Tensor
    """Team reward, `[E, T]`, float32."""
    agent_rewards: Tensor
    """The environment's own reward per agent, `[E, T, N]`, float32."""
    terminated: Tensor
    """Whether the world ended with this step, `[E, T]`, bool; the time limit does not count."""
    filled: Tensor
    """Whether the step took place, `[E, T]`, bool; no gaps, the padding is at the end."""
    credit: Tensor
    """What a credit function gave for the states, `[E, T + 1, C]`, float32 (`CreditMixer.outputs`); `C = 0` without."""

    @staticmethod
    def zeros(n_episodes: int, environment: Sized, *, credit_size: int = 0) -> Episodes:
        """Room for `n_episodes` episodes of an environment, with `credit_size` numbers of credit per state."""
        e, t, n = n_episodes, environment.time_limit, environment.n_agents
        return Episodes(
            observations=torch.zeros(e, t + 1, n, environment.observation_size),
            states=torch.zeros(e, t + 1, environment.layout.size),
            available_actions=torch.ones(e, t + 1, n, environment.n_actions, dtype=torch.bool),
            actions=torch.zeros(e, t, n, dtype=torch.int64),
            rewards=torch.zeros(e, t),
            agent_rewards=torch.zeros(e, t, n),
            terminated=torch.zeros(e, t, dtype=torch.bool),
            filled=torch.zeros(e, t, dtype=torch.bool),
            credit=torch.zeros(e, t + 1, credit_size),
        )

    @property
    def reached(self) -> Tensor:
        """Which time points were reached, `[E, T + 1]`, bool: the first, and one after every step."""
        return torch.cat([torch.ones_like(self.filled[:, :1]), self.filled], dim=1)

    @cached_property
    def rows(self) -> Rows:
        """The same as row numbers."""
        steps = self.filled.flatten().nonzero().squeeze(1)
        earlier = steps // self.filled.shape[1]  # episodes before, each with one time point more than it has steps
        starts, before = torch.arange(len(steps), device=steps.device) + earlier, steps + earlier
        return Rows(
            reached=self.reached.flatten().nonzero().squeeze(1),
            starts=starts,
            ends=starts + 1,
            steps=steps,
            before=before,
            after=before + 1,
        )

    def over(self, *, time_limit: bool) -> Tensor:
        """After which steps no value follows, `[E, T]`, bool: the world's end; with `time_limit` every last step."""
        if not time_limit:
            return self.terminated
        last = self.filled.clone()
        last[:, :-1] &= ~self.filled[:, 1:]
        return last

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device) -> Episodes:
        """The same on another device."""
        return Episodes(**{name: tensor.to(device) for name, tensor in self.tensors().items()})

    def cut(self, steps: int) -> Episodes:
        """The first `steps` steps, as views."""
        return Episodes(**{name: t[:, : steps + (name in _AT_TIME_POINTS)] for name, t in self.tensors().items()})

    def chosen(self, index: Tensor) -> Episodes:
        """The episodes of these numbers, copied."""
        return Episodes(**{name: tensor.index_select(0, index) for name, tensor in self.tensors().items()})


_AT_TIME_POINTS = frozenset({"observations", "states", "available_actions", "credit"})
"""What is known at the `T + 1` time points; the rest belongs to the `T` steps between them."""


class ReplayBuffer:
    """A ring of the latest `capacity` episodes in storage that is allocated once.

    Args:
        capacity: episodes it holds.
        environment: gives the shapes.
        credit_size: numbers of credit per state, as the episodes to come have them.
    """

    def __init__(self, capacity: int, environment: Sized, *, credit_size: int = 0) -> None:
        self.capacity = capacity
        self.added = 0
        """Episodes added so far."""
        self._ring = Episodes.zeros(capacity, environment, credit_size=credit_size)

    def __len__(self) -> int:
        """Episodes that it holds now."""
        return min(self.added, self.capacity)

    def add(self, episodes: Episodes) -> None:
        """Copy episodes in; the oldest leave."""
        count = len(episodes.rewards)
        if count > self.capacity:
            raise ValueError(f"{count} episodes do not fit into a ring of {self.capacity}")
        where = (torch.arange(count) + self.added) % self.capacity
        for name, tensor in self._ring.tensors().items():
            tensor[where] = episodes.tensors()[name]
        self.added += count

    def sample(self, count: int, rng: np.random.Generator) -> Episodes:
        """`count` different episodes, cut to the longest of them.

        Raises:
            ValueError: it holds fewer.
        """
        if count > len(self):
            raise ValueError(f"{count} episodes wanted, {len(self)} are there")
        chosen: NDArray[np.int64] = rng.choice(len(self), count, replace=False)
        index = torch.from_numpy(chosen)
        steps = int(self._ring.filled[index].sum(dim=1).max())
        return self._ring.cut(steps).chosen(index)

    def visited_states(self, limit: int) -> Tensor:
        """At most `limit` of the states in which an action was taken, evenly from all that is held, `[M, S]`."""
        states = self._ring.states[: len(self), :-1][self._ring.filled[: len(self)]]
        stride = max(1, -(-len(states) // limit))
        return states[::stride]

    def contents(self) -> dict[str, Tensor]:
        """What it holds, for a checkpoint: `lengths [E]`, and the rest without padding, `[sum of lengths, ...]`."""
        lengths = self._ring.filled[: len(self)].sum(dim=1)
        masks = self._masks(lengths)
        held = self._ring.tensors().items()
        return {"lengths": lengths, **{name: t[: len(self)][masks[name]] for name, t in held if name != "filled"}}

    def restore(self, contents: dict[str, Tensor], added: int) -> None:
        """Take back what `contents` gave when `added` episodes had been added."""
        self.added = added
        masks = self._masks(contents["lengths"])
        self._ring.filled[: len(self)] = masks["filled"]
        for name, tensor in self._ring.tensors().items():
            if name != "filled":
                tensor[: len(self)][masks[name]] = contents[name]

    def _masks(self, lengths: Tensor) -> dict[str, Tensor]:
        """For each tensor which entries of episodes of `lengths [E]` mean anything, `[E, T]` or `[E, T + 1]`."""
        before = torch.arange(self._ring.rewards.shape[1]) < lengths[:, None]  # time points at which a step starts
        reached = torch.cat([torch.ones_like(before[:, :1]), before], dim=1)
        return {name: reached if name in _AT_TIME_POINTS else before for name in self._ring.tensors()}
