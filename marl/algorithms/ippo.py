"""IPPO: every agent runs proximal policy optimisation on its own observations, with shared parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.on_policy import OnPolicy
from qredit.marl.losses import chosen_values, ppo_loss
from qredit.marl.networks import AgentNetwork, move_towards, scattered, values_at
from qredit.marl.policies import entropy, log_policy
from qredit.marl.replay import taken
from qredit.marl.returns import lambda_returns, n_step_returns, padded_n_step_returns

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes


@dataclass(frozen=True)
class PPOOptions:
    """Options of IPPO and MAPPO."""

    clip: float = 0.2
    """How far the probability ratio may leave 1."""
    epochs: int = 4
    """Passes over each collection."""
    minibatches: int = 1
    """Parts into which the episodes of a collection are split in each pass."""
    entropy_coefficient: float = 0.01
    """Weight of the policy's entropy."""
    gae_lambda: float = 0.95
    """Decay of the generalised advantage estimate."""
    n_step: int = 0
    """Above 0: returns over so many steps in place of the generalised estimate."""
    padded_returns: bool = False
    """With `n_step`: whether every episode counts as long as the longest of its collection, and the value of an empty
    observation follows its end, as in other code bases; it costs return."""
    normalise_advantages: bool = True
    """Whether advantages are standardised over each collection."""
    refresh_advantages: bool = False
    """Whether each pass takes the critic as it is by then as the baseline, and not as it was before the first."""

    def __post_init__(self) -> None:
        if not (self.clip > 0 and self.epochs > 0 and self.minibatches > 0 and 0 <= self.gae_lambda <= 1):
            raise ConfigurationError(
                f"PPO options {self}",
                cause="clip, epochs and minibatches must be above 0, gae_lambda in [0, 1]",
                remedy="Correct these options.",
            )


class IPPO(OnPolicy):
    """Independent PPO: each agent's critic sees what the agent sees."""

    title = "IPPO"
    family = "PPO"
    source = "de Witt et al. 2020, Is Independent Learning All You Need in the StarCraft Multi-Agent Challenge?"
    rewards = ("team", "individual", "shares", "potentials")
    Options = PPOOptions

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.own: PPOOptions = self.options(problem.settings)
        self.actor = problem.agent_network()
        self.critic = self.make_critic(problem)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.make_optimisers(self.critic)

    def make_critic(self, problem: Problem) -> AgentNetwork:
        """`V_i(tau_i)`, one number per agent."""
        return problem.agent_network(outputs=1)

    def critic_inputs(self, episodes: Episodes) -> Tensor:
        """What the critic sees, `[E, T + 1, N, ...]`."""
        return episodes.observations

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Actor, critic and target critic."""
        return {"actor": self.actor, "critic": self.critic, "target_critic": self.target_critic}

    def update(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Learned:
        """Estimate advantages once, then take clipped steps on actor and critic for some epochs."""
        with torch.no_grad():
            returns, advantages = self._estimates(episodes, rewards)  # [E, T, N]
            old = self._log_probabilities(episodes)[0]  # log pi_old(a_i | tau_i), [M, N]
            old = scattered(old, episodes.rows.steps, episodes.filled.shape)  # [E, T, N]
        updates, loss = done.updates, torch.tensor(done.loss)
        for epoch in range(self.own.epochs):
            if epoch and self.own.refresh_advantages:
                with torch.no_grad():
                    advantages = self._advantages(episodes, returns)
            for part, steps in self._parts(episodes, done, epoch):
                log_pi, bonus = self._log_probabilities(part)  # [M, N]
                gain = ppo_loss(log_pi, taken(old, steps), taken(advantages, steps), self.own.clip)
                loss = gain - self.own.entropy_coefficient * bonus.mean()
                self.actor_optimiser.descend(loss)
                values = values_at(self.critic, self.critic_inputs(part), part.rows.before).squeeze(-1)  # [M, N]
                self.critic_optimiser.descend((values - taken(returns, steps)).square().mean())
                updates += 1
                if updates % self.settings.target_update_interval == 0:
                    move_towards(
                        self.target_critic.parameters(), self.critic.parameters(), self.settings.target_update_tau
                    )
        return Learned(loss.detach(), updates)

    def _parts(self, episodes: Episodes, done: Counters, epoch: int) -> Iterator[tuple[Episodes, Tensor]]:
        """The episodes of each minibatch, and the numbers of their steps among all `E * T`, `[M]`."""
        if self.own.minibatches == 1:  # nothing to copy, and the order of a sum is all the same
            yield episodes, episodes.rows.steps
            return
        length = episodes.filled.shape[1]
        for chosen in self.minibatches(episodes, done, epoch=epoch, count=self.own.minibatches):
            part = episodes.chosen(chosen)
            steps = part.rows.steps
            yield part, chosen[steps // length] * length + steps % length

    def _log_probabilities(self, episodes: Episodes) -> tuple[Tensor, Tensor]:
        """`log pi(a_i | tau_i)` of the actions taken and the policies' entropies, both `[M, N]`."""
        rows = episodes.rows
        logits = values_at(self.actor, episodes.observations, rows.before)  # [M, N, A]
        log_pi = log_policy(logits, taken(episodes.available_actions, rows.before))
        return chosen_values(log_pi, taken(episodes.actions, rows.steps)), entropy(log_pi)

    def _estimates(self, episodes: Episodes, rewards: Tensor) -> tuple[Tensor, Tensor]:
        """Returns and advantages, both `[E, T, N]`.

        What follows the time limit is worth what the target critic says. The critic itself has never learned the value
        of such a state, and an error there would feed itself through the returns (`docs/log.md`).
        """
        own, gamma, filled = self.own, self.settings.gamma, episodes.filled
        if own.n_step and own.padded_returns:
            values = self._padded_values(self.target_critic, episodes)
            returns = padded_n_step_returns(rewards, values, filled, gamma=gamma, n=own.n_step)
        else:
            values = self._values(self.target_critic, episodes, episodes.rows.reached)
            over = episodes.over(time_limit=self.settings.time_limit_is_terminal)
            if own.n_step:
                returns = n_step_returns(rewards, values, over, filled, gamma=gamma, n=own.n_step)
            else:
                returns = lambda_returns(rewards, values, over, filled, gamma=gamma, lambda_=own.gae_lambda)
        return returns, self._advantages(episodes, returns)

    def _values(self, critic: AgentNetwork, episodes: Episodes, rows: Tensor) -> Tensor:
        """A critic's values at the time points of numbers `rows`, 0 elsewhere, `[E, T + 1, N]`."""
        values = values_at(critic, self.critic_inputs(episodes), rows).squeeze(-1)
        return scattered(values, rows, episodes.reached.shape)

    def _padded_values(self, critic: AgentNetwork, episodes: Episodes) -> Tensor:
        """A critic's values at all time points, `[E, T + 1, N]`; in the padding it sees zeros."""
        reached, seen = episodes.reached, self.critic_inputs(episodes)
        seen = seen * reached.reshape(*reached.shape, *[1] * (seen.dim() - 2))
        everywhere = torch.arange(reached.numel(), device=reached.device)
        return values_at(critic, seen, everywhere).reshape(*reached.shape, -1)

    def _advantages(self, episodes: Episodes, returns: Tensor) -> Tensor:
        """Returns minus the critic's present values, `[E, T, N]`."""
        values = self._values(self.critic, episodes, episodes.rows.before)
        return self._normalised(returns - values[:, :-1], episodes.filled)

    def _normalised(self, advantages: Tensor, filled: Tensor) -> Tensor:
        if not self.own.normalise_advantages:
            return advantages
        seen = advantages[filled]
        return (advantages - seen.mean()) / (seen.std(correction=0) + 1e-8)
