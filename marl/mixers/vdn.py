"""VDN: the team's value is the sum of the agents' values (Sunehag et al. 2018, equation 1)."""

from __future__ import annotations

from torch import Tensor

from qredit.marl.mixers.mixer import Mixer, Steps


class VDNMixer(Mixer):
    """`Q_tot = sum_i Q_i`."""

    def of_steps(self, steps: Steps) -> Tensor:
        """`Q_tot [M, 1]`, without a look at anything but the values."""
        return steps.values.sum(dim=-1, keepdim=True)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]`; the states `[B, T, S]` are not looked at."""
        return agent_qs.sum(dim=-1, keepdim=True)
