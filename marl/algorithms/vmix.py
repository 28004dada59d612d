"""VMIX (VDAC-mix): an actor-critic whose agents' values are mixed monotonically into the team's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.mixed_critic import CreditCritic, MixedCritic
from qredit.marl.losses import policy_gradient_loss, td_loss
from qredit.marl.networks import AgentNetwork, scattered, values_at
from qredit.marl.policies import entropy
from qredit.marl.replay import taken
from qredit.marl.returns import lambda_returns

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes


@dataclass(frozen=True)
class VMIXOptions:
    """Options of VMIX."""

    td_lambda: float = 0.8
    """Decay of the TD(lambda) returns, the critic's targets."""
    critic_updates: int = 4
    """Critic's steps on each collection, before the actor's one."""
    entropy_coefficient: float = 0.01
    """Weight of the policy's entropy."""
    normalise_advantages: bool = False
    """Whether advantages are standardised over each collection."""

    def __post_init__(self) -> None:
        if not (0 <= self.td_lambda <= 1 and self.critic_updates > 0):
            raise ConfigurationError(
                f"VMIX options {self}",
                cause="critic_updates must be above 0, td_lambda in [0, 1]",
                remedy="Correct these options.",
            )


class VMIX(MixedCritic):
    """`V_tot(s) = mixer(V_1(tau_1), ..., V_N(tau_N), s)`; one advantage `A = G - V_tot(s)` for all agents."""

    title = "VMIX"
    source = "Su et al. 2021, Value-Decomposition Multi-Agent Actor-Critics (VDAC-mix)"
    Options = VMIXOptions
    agent_critic: AgentNetwork

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.own: VMIXOptions = self.options(problem.settings)

    def make_agent_critic(self, problem: Problem) -> AgentNetwork:
        """`V_i(tau_i)`, one number per agent, in a network apart from the actor's."""
        return problem.agent_network(outputs=1)

    def update(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Learned:
        """Estimate advantages once, then some steps of the critic, which count as updates, and one of the actor."""
        self.prepare(self.mixer, done)
        returns, advantages = self.estimates(episodes, rewards)  # [M, 1]
        updates = done.updates
        for _ in range(self.own.critic_updates):
            self.critic_optimiser.descend(td_loss(self.v_tot(episodes, episodes.rows.before), returns))
            updates += 1
        loss = self.actor_loss(episodes, advantages)
        self.actor_optimiser.descend(loss)
        return Learned(loss.detach(), updates)

    @torch.no_grad()
    def estimates(self, episodes: Episodes, rewards: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `G` and advantages `G - V_tot(s)` of the steps that took place, both `[M, 1]`."""
        settings, rows = self.settings, episodes.rows
        v_tot = self.v_tot(episodes, rows.reached)  # [R, 1]
        returns = lambda_returns(
            rewards[..., :1],  # the team's, the same for all agents
            scattered(v_tot, rows.reached, episodes.reached.shape),
            episodes.over(time_limit=settings.time_limit_is_terminal),
            episodes.filled,
            gamma=settings.gamma,
            lambda_=self.own.td_lambda,
        )
        returns = taken(returns, rows.steps)
        advantages = returns - v_tot[rows.starts]
        if self.own.normalise_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        return returns, advantages

    def actor_loss(self, episodes: Episodes, advantages: Tensor) -> Tensor:
        """The policy gradient's loss with the same advantage `[M, 1]` for all agents, less the entropy bonus."""
        log_pi = self.log_pi(episodes, episodes.rows.before)  # [M, N, A]
        loss = policy_gradient_loss(log_pi, taken(episodes.actions, episodes.rows.steps), advantages)
        return loss - self.own.entropy_coefficient * entropy(log_pi).mean()

    def v_tot(self, episodes: Episodes, rows: Tensor) -> Tensor:
        """`V_tot(s)`, `[M, 1]`, at the time points of numbers `rows [M]`."""
        values = values_at(self.agent_critic, episodes.observations, rows).squeeze(-1)  # [M, N]
        return self.mixer.mix(values, taken(episodes.states, rows), taken(episodes.credit, rows))


class VMIXQLLM(CreditCritic, VMIX):
    """VMIX with a fixed, verified credit function in place of its mixing network."""

    title = "VMIX with QLLM"
    source = "VMIX (Su et al. 2021), its mixing network replaced as QLLM replaces QMIX's (arXiv 2504.12961)"
