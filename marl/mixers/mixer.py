"""What mixes in a training: from the agents' values of `M` steps to the team's.

Shapes: `M` steps, `N` agents, `A` actions, `S` state, `C` numbers of credit per state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from qredit.marl.replay import taken

if TYPE_CHECKING:
    from qredit.marl.replay import Episodes


@dataclass(frozen=True)
class Steps:
    """The agents' values at `M` time points, and what their values may be mixed by."""

    values: Tensor
    """Value of each agent's action, `[M, N]`."""
    actions: Tensor
    """The actions, `[M, N]`."""
    all_values: Tensor
    """Values of all actions, `[M, N, A]`."""
    episodes: Episodes
    """Where they are from, `E` episodes."""
    rows: Tensor
    """At which of their time points, `[M]`, row numbers of `E * (T + 1)`."""

    @property
    def available(self) -> Tensor:
        """Which actions are available, `[M, N, A]`, bool."""
        return taken(self.episodes.available_actions, self.rows)

    @property
    def observations(self) -> Tensor:
        """`[M, N, O]`"""
        return taken(self.episodes.observations, self.rows)

    @property
    def states(self) -> Tensor:
        """`[M, S]`"""
        return taken(self.episodes.states, self.rows)

    @property
    def credit(self) -> Tensor:
        """What `keep` gave for these states, `[M, C]`."""
        return taken(self.episodes.credit, self.rows)


class Mixer(nn.Module):
    """A mixing module: `forward(agent_qs [B, T, N], states [B, T, S]) -> [B, T, 1]`, as EPyMARL's learners call it.

    A subclass overrides `forward`; the rest is for mixers that look at more.
    """

    credit_size = 0
    """`C`: numbers per state that `keep` gives."""

    def of_steps(self, steps: Steps) -> Tensor:
        """The value that is compared with the return: the team's `[M, 1]`, or each agent's `[M, N]`."""
        return self.mix(steps.values, steps.states, steps.credit)

    def mix(self, values: Tensor, states: Tensor, credit: Tensor) -> Tensor:
        """`[M, 1]` of `values [M, N]`, `states [M, S]` and `credit [M, C]`."""
        mixed: Tensor = self(values.unsqueeze(1), states.unsqueeze(1))
        return mixed.squeeze(1)

    def keep(self, episodes: Episodes, collection: int) -> Tensor:
        """What depends on states alone and is worth asking once, `[E, T + 1, C]`, when episodes have been collected.

        Args:
            episodes: newly collected.
            collection: which collection of the training this is: the counter of random numbers.
        """
        return episodes.rewards.new_zeros(*episodes.states.shape[:-1], 0)

    def prepare(self, *, environment_steps: int, reward_deviation: float) -> None:
        """Told before each update how far the training is, and what divides the rewards."""
