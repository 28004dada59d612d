"""QMIX: a monotonic mixing network whose weights come from the state (Rashid et al. 2018, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qredit.layout import StateLayout


class QMixer(nn.Module):
    """Two layers with non-negative weights; hypernetworks with one hidden layer produce them from the state.

    Args:
        layout: layout of the state; its value ranges scale the hypernetworks' input to [0, 1].
        n_agents: `N`.
        mixing_size: width `E` of the mixing network.
        hypernet_size: width of the hypernetworks' hidden layer.
    """

    low: Tensor
    span: Tensor

    def __init__(self, *, layout: StateLayout, n_agents: int, mixing_size: int, hypernet_size: int) -> None:
        super().__init__()
        self.n_agents, self.mixing_size = n_agents, mixing_size
        ranges = [(f.low, max(f.high - f.low, 1e-6)) for f in layout.fields for _ in range(f.size)]
        self.register_buffer("low", torch.tensor([low for low, _ in ranges]), persistent=False)
        self.register_buffer("span", torch.tensor([span for _, span in ranges]), persistent=False)
        self.weights_1 = _hypernet(layout.size, hypernet_size, n_agents * mixing_size)
        self.bias_1 = nn.Linear(layout.size, mixing_size)
        self.weights_2 = _hypernet(layout.size, hypernet_size, mixing_size)
        self.value = _hypernet(layout.size, mixing_size, 1)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`; no `dQ_tot/dQ_i` is negative."""
        lead = agent_qs.shape[:-1]
        s = ((states - self.low) / self.span).reshape(-1, self.low.numel())  # [B*T, S]
        q = agent_qs.reshape(-1, 1, self.n_agents)  # [B*T, 1, N]
        w1 = self.weights_1(s).abs().reshape(-1, self.n_agents, self.mixing_size)  # [B*T, N, E]
        hidden = nn.functional.elu(torch.baddbmm(self.bias_1(s).unsqueeze(1), q, w1))  # [B*T, 1, E]
        w2 = self.weights_2(s).abs().unsqueeze(-1)  # [B*T, E, 1]
        q_tot: Tensor = torch.bmm(hidden, w2).squeeze(-1) + self.value(s)  # [B*T, 1]
        return q_tot.reshape(*lead, 1)


def _hypernet(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
