"""COMA: a centralised critic, and advantages over what an agent's other actions would have brought."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.on_policy import OnPolicy
from qredit.marl.losses import chosen_values, policy_gradient_loss, td_loss
from qredit.marl.mixers import StateScale
from qredit.marl.networks import move_towards, scattered, values_at
from qredit.marl.policies import drawn_actions, entropy, log_policy
from qredit.marl.replay import taken
from qredit.marl.returns import lambda_returns, n_step_returns
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes


@dataclass(frozen=True)
class COMAOptions:
    """Options of COMA."""

    td_lambda: float = 0.8
    """Decay of the TD(lambda) returns, the critic's targets."""
    n_step: int = 0
    """Above 0: targets are returns over so many steps, in place of TD(lambda); EPyMARL takes 10."""
    critic_updates: int = 8
    """Critic's steps on each collection, before the actor's one."""
    entropy_coefficient: float = 0.01
    """Weight of the policy's entropy."""

    def __post_init__(self) -> None:
        if not (self.n_step >= 0 and 0 <= self.td_lambda <= 1 and self.critic_updates > 0):
            raise ConfigurationError(
                f"COMA options {self}",
                cause="n_step must not be negative, critic_updates must be above 0, td_lambda in [0, 1]",
                remedy="Correct these options.",
            )


class COMA(OnPolicy):
    """Actors of their own observations, and a critic `Q_i(s, o_i, u_{-i}, .)` that training alone needs."""

    title = "COMA"
    source = "Foerster et al. 2018, Counterfactual Multi-Agent Policy Gradients"
    rewards = ("team", "individual", "shares", "potentials")
    Options = COMAOptions

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.own: COMAOptions = self.options(problem.settings)
        self.actor = problem.agent_network()
        self.critic = CounterfactualCritic(problem).to(problem.device)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.make_optimisers(self.critic)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Actor, critic and target critic."""
        return {"actor": self.actor, "critic": self.critic, "target_critic": self.target_critic}

    def update(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Learned:
        """Some steps of the critic towards the same targets, then one of the actor; the critic's count as updates."""
        rows = episodes.rows
        targets = taken(self.targets(episodes, rewards, done), rows.steps)  # [M, N]
        s, o = taken(episodes.states, rows.before), taken(episodes.observations, rows.before)
        u = taken(episodes.actions, rows.steps)
        updates = done.updates
        for _ in range(self.own.critic_updates):
            q = chosen_values(self.critic(s, o, u), u)  # [M, N]
            self.critic_optimiser.descend(td_loss(q, targets))
            updates += 1
            if updates % self.settings.target_update_interval == 0:
                move_towards(self.target_critic.parameters(), self.critic.parameters(), self.settings.target_update_tau)
        loss = self.actor_loss(episodes)
        self.actor_optimiser.descend(loss)
        return Learned(loss.detach(), updates)

    @torch.no_grad()
    def targets(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Tensor:
        """`y_i`, `[E, T, N]`: returns bootstrapped by the target critic's values of the actions taken (section 4).

        No action was taken after the last step of an episode: where the time limit cut it off, one is drawn.
        """
        rows, settings = episodes.rows, self.settings
        reached = rows.reached
        logits = values_at(self.actor, episodes.observations, reached)  # [R, N, A]
        rng = generator(Stream.NEXT_ACTIONS, settings.seed, done.updates)
        u = drawn_actions(log_policy(logits, taken(episodes.available_actions, reached)), rng)  # [R, N]
        u[rows.starts] = taken(episodes.actions, rows.steps)
        q = self.target_critic(taken(episodes.states, reached), taken(episodes.observations, reached), u)  # [R, N, A]
        values = scattered(chosen_values(q, u), reached, episodes.reached.shape)  # [E, T + 1, N]
        over, gamma = episodes.over(time_limit=settings.time_limit_is_terminal), settings.gamma
        if self.own.n_step:
            return n_step_returns(rewards, values, over, episodes.filled, gamma=gamma, n=self.own.n_step)
        return lambda_returns(rewards, values, over, episodes.filled, gamma=gamma, lambda_=self.own.td_lambda)

    def actor_loss(self, episodes: Episodes) -> Tensor:
        """The policy gradient's loss with counterfactual advantages, less the entropy bonus."""
        before = episodes.rows.before
        u = taken(episodes.actions, episodes.rows.steps)  # [M, N]
        logits = values_at(self.actor, episodes.observations, before)  # [M, N, A]
        log_pi = log_policy(logits, taken(episodes.available_actions, before))
        with torch.no_grad():
            q = self.critic(taken(episodes.states, before), taken(episodes.observations, before), u)  # [M, N, A]
            advantages = counterfactual_advantages(q, log_pi.exp(), u)
        return policy_gradient_loss(log_pi, u, advantages) - self.own.entropy_coefficient * entropy(log_pi).mean()


def counterfactual_advantages(q: Tensor, pi: Tensor, actions: Tensor) -> Tensor:
    """`A_i(s, u) = Q_i(s, u) - sum_a pi_i(a | tau_i) Q_i(s, (u_{-i}, a))`, `[M, N]` (equation 4).

    Args:
        q: values of each agent's actions while the others keep to theirs, `[M, N, A]`.
        pi: the policies, `[M, N, A]`.
        actions: the joint action `u`, `[M, N]`.
    """
    return chosen_values(q, actions) - (pi * q).sum(dim=-1)


class CounterfactualCritic(nn.Module):
    """`Q_i(s, o_i, u_{-i}, .)` of all agents and all their actions at once; parameters are shared (figure 1c).

    It sees one time point: the state takes the place of memory.

    Args:
        problem: gives sizes and width.
    """

    others: Tensor

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        sizes, width = problem.sizes, problem.settings.hidden_size
        n, a = sizes.n_agents, sizes.n_actions
        self.scale = StateScale(sizes.layout, typical=True)
        self.state = nn.Linear(sizes.layout.size, width)
        self.observation = nn.Linear(sizes.observation_size, width, bias=False)
        # One-hot numbers times a matrix are rows of it: those of agents, and those of (agent, action).
        bound = (sizes.layout.size + sizes.observation_size + n) ** -0.5
        self.identity = nn.Parameter(torch.empty(n, width).uniform_(-bound, bound))
        self.action = nn.Parameter(torch.empty(n, a, width).uniform_(-bound, bound))
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, a)
        self.register_buffer("others", 1 - torch.eye(n), persistent=False)

    def forward(self, states: Tensor, observations: Tensor, actions: Tensor) -> Tensor:
        """`[M, N, A]` of `states [M, S]`, `observations [M, N, O]` and `actions [M, N]`; the own action is not seen."""
        agents = torch.arange(actions.shape[-1], device=actions.device)
        others = self.others @ self.action[agents, actions]  # [M, N, H], sums over the other agents
        state = self.state(self.scale(states)).unsqueeze(-2)  # [M, 1, H]
        x = torch.relu(state + self.observation(observations) + others + self.identity)
        q: Tensor = self.head(torch.relu(self.hidden(x)))
        return q
