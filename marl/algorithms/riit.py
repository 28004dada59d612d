"""RIIT: an actor-critic whose actors climb a monotonically mixed critic `Q_tot(s, pi_1, ..., pi_N)`."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.mixed_critic import MixedCritic
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import ReplayBuffer

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class RIITOptions:
    """Options of RIIT."""

    td_lambda: float = 0.6
    """Decay of the TD(lambda) targets, on what the present policy has played."""
    off_policy_updates: int = 1
    """Critic's steps after each collection on `batch_episodes` episodes out of the replay buffer, towards TD(0)
    targets; 0 for none."""
    entropy_coefficient: float = 0.03
    """Weight of the policy's entropy, which is divided by its own present value."""

    def __post_init__(self) -> None:
        if not (0 <= self.td_lambda <= 1 and self.off_policy_updates >= 0):
            raise ConfigurationError(
                f"RIIT options {self}",
                cause="off_policy_updates must not be negative, td_lambda in [0, 1]",
                remedy="Correct these options.",
            )


class RIIT(MixedCritic):
    """`Q_tot(s, x) = mixer(Q_1(o_1, x_1), ..., Q_N(o_N, x_N), s)`, where `x_i` are actions, one-hot, or policies."""

    title = "RIIT"
    source = "Hu et al. 2021, RIIT: Rethinking the Importance of Implementation Tricks in Multi-Agent RL"
    Options = RIITOptions
    agent_critic: AgentNetwork

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.own: RIITOptions = self.options(problem.settings)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.replay: ReplayBuffer | None = None
        if self.own.off_policy_updates:
            self.replay = ReplayBuffer.of(problem, credit_size=self.mixer.credit_size)
