"""Individual rewards: how much an agent's own step raised its potential."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.potentials.model import Potentials


class PotentialReward(nn.Module):
    """`r_i = sigma^i(o'_i) - sigma^i(o_i)`, and 0 when agent `i` stays still (LCA, equation 4).

    Because of that exception the rewards of a cycle need not sum to 0: an agent that is still while its potential falls
    earns when it rises again. So optimal policies may change, unlike with Ng et al. 1999.

    Args:
        potentials: `sigma`.
        gamma: discount of the next potential; 1 as in the paper, the learner's discount for Ng et al.'s form.

    Raises:
        ConfigurationError: `gamma` is not in [0, 1].
    """

    def __init__(self, potentials: Potentials, *, gamma: float = 1.0) -> None:
        super().__init__()
        if not 0 <= gamma <= 1:
            raise ConfigurationError(f"`gamma` of {gamma}", cause="it is not in [0, 1]", remedy="The paper has 1.")
        self.potentials = potentials
        self.gamma = gamma

    @torch.no_grad()
    def forward(self, states: Tensor, next_states: Tensor, still: Tensor | None = None) -> Tensor:
        """Rewards `[..., N]`.

        Args:
            states: `[..., S]`.
            next_states: `[..., S]`; where an episode has ended, its last state.
            still: who did nothing, `[..., N]`, true or false; nobody if it is left out.
        """
        gain: Tensor = self.gamma * self.potentials(next_states) - self.potentials(states)
        return gain if still is None else gain.masked_fill(still, 0.0)

    def earned(self, states: Tensor, actions: Tensor, next_states: Tensor, *, still: str, noop: int | None) -> Tensor:
        """Rewards `[M, N]` of transitions, with who stays still told by a rule.

        Args:
            states: `[M, S]`.
            actions: `[M, N]`.
            next_states: `[M, S]`.
            still: `noop`: who chooses the action that does nothing; `unchanged`: whose own part of the state stays as
                it is; `never`: nobody.
            noop: number of the action that does nothing, if there is one.
        """
        who: Tensor | None = None
        if still == "unchanged":
            who = self.potentials.layout.unchanged(states, next_states)
        elif still == "noop" and noop is not None:
            who = actions == noop
        rewards: Tensor = self(states, next_states, who)
        return rewards
