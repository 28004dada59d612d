"""Learning from what the present policy has just played: what all on-policy actor-critic algorithms share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.credit import credit_weights, specialise
from qredit.marl.algorithms.algorithm import Algorithm, Learned, Problem
from qredit.marl.choosing import Choose, sampled
from qredit.marl.descent import ClippedAdam
from qredit.marl.potentials import PotentialReward
from qredit.marl.reward_scale import RewardScale
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes


class OnPolicy(Algorithm):
    """Samples from its policy, and learns from each collection once it is complete."""

    on_policy = True
    stochastic = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._reward_scale = RewardScale()
        shares = problem.settings.rewards == "shares"
        self._shares = specialise(problem.credit) if shares and problem.credit is not None else None
        self._potential_rewards: PotentialReward | None = None
        if problem.settings.rewards == "potentials":
            assert problem.potentials is not None  # `takes_potentials` asks for them
            self._potential_rewards = PotentialReward(problem.potentials, gamma=problem.settings.potential_gamma)

    @abstractmethod
    def update(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Learned:
        """Learn from episodes `[E, T, ...]` on the networks' device, cut to the longest of them.

        Args:
            episodes: what was played.
            rewards: what teaches each agent, `[E, T, N]`, in training units.
            done: how far the training was before these episodes.
        """

    @property
    def reward_scale(self) -> RewardScale:
        """Over all agents' rewards."""
        return self._reward_scale

    def explore(self, environment_steps: int) -> Choose:
        """Actions are drawn from the policy."""
        return sampled

    def learn(self, episodes: Episodes, done: Counters) -> Learned:
        """Count the rewards, then update."""
        episodes = episodes.cut(int(episodes.filled.sum(dim=1).max()))
        rewards = self._agent_rewards(episodes)
        self._reward_scale.see(rewards, episodes.filled)
        if self.settings.standardise_rewards:
            rewards = self._reward_scale.apply(rewards)
        return self.update(episodes.to(self.problem.device), rewards.to(self.problem.device), done)

    def _agent_rewards(self, episodes: Episodes) -> Tensor:
        """What teaches each agent, `[E, T, N]`, in the environment's units; the padding is 0.

        Shares are `r_i = share_i(s, a, s') r`; those of ones are the team's reward. An agent's own reward is taken `N`
        times, so that the agents' mean is the team's reward in all three cases. Potentials have a scale of their own.
        """
        settings, filled, n = self.settings, episodes.filled, episodes.actions.shape[-1]
        team = episodes.rewards.unsqueeze(-1).expand(-1, -1, n)
        if settings.rewards == "team":
            return team.contiguous()
        if settings.rewards == "individual":
            own = n * episodes.agent_rewards
        else:
            own = torch.zeros_like(team)
            step = (episodes.states[:, :-1][filled], episodes.actions[filled], episodes.states[:, 1:][filled])
            own[filled] = self._gains(*step) if settings.rewards == "potentials" else self._share(*step) * team[filled]
        return torch.lerp(own, team, settings.team_share) if settings.team_share else own

    @torch.no_grad()
    def _share(self, states: Tensor, actions: Tensor, next_states: Tensor) -> Tensor:
        """Each agent's share of the reward of transitions, `[M, N]`."""
        assert self._shares is not None
        transitions = torch.cat([states, actions.float(), next_states], dim=-1)
        return credit_weights(self._shares.graph.header, self._shares(state=transitions))

    def _gains(self, states: Tensor, actions: Tensor, next_states: Tensor) -> Tensor:
        """How much each agent's step raised its potential, 0 for who stayed still, `[M, N]` (LCA, equation 4)."""
        assert self._potential_rewards is not None
        rule, noop = self.settings.still, self.problem.noop
        return self._potential_rewards.earned(states, actions, next_states, still=rule, noop=noop)

    def make_optimisers(self, critic: nn.Module) -> None:
        """Give the actor and a critic an optimiser each, once both are made."""
        rate, clip = self.settings.step_size(on_policy=True), self.settings.gradient_clip
        self.actor_optimiser = ClippedAdam(self.actor, learning_rate=rate, clip=clip)
        self.critic_optimiser = ClippedAdam(critic, learning_rate=rate, clip=clip)

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One for the actor, one for the critic."""
        return {"actor_adam": self.actor_optimiser, "critic_adam": self.critic_optimiser}

    def minibatches(self, episodes: Episodes, done: Counters, *, epoch: int, count: int) -> Iterator[Tensor]:
        """Numbers of the episodes of each minibatch, in a random order that depends on seed and epoch alone."""
        e = len(episodes.rewards)
        rng = generator(Stream.MINIBATCHES, self.settings.seed, done.collections * 1000 + epoch)
        order = torch.from_numpy(rng.permutation(e)).to(episodes.rewards.device)
        yield from order.tensor_split(min(count, e))
