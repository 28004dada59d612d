"""RIIT: an actor-critic whose actors climb a monotonically mixed critic `Q_tot(s, pi_1, ..., pi_N)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.mixed_critic import CreditCritic, MixedCritic
from qredit.marl.algorithms.off_policy import replay_for
from qredit.marl.losses import td_loss
from qredit.marl.mixers import Mixer
from qredit.marl.networks import AgentNetwork, move_towards, scattered
from qredit.marl.policies import drawn_actions, entropy
from qredit.marl.replay import taken
from qredit.marl.returns import lambda_returns
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes, ReplayBuffer


@dataclass(frozen=True)
class RIITOptions:
    """Options of RIIT."""

    td_lambda: float = 0.6
    """Decay of the TD(lambda) targets, on what the present policy has played."""
    off_policy: bool = True
    """Whether the critic learns from replayed episodes, too: `updates_per_collection` steps towards TD(0) targets."""
    entropy_coefficient: float = 0.03
    """Weight of the policy's entropy, which is divided by its own present value."""

    def __post_init__(self) -> None:
        if not 0 <= self.td_lambda <= 1:
            raise ConfigurationError(
                f"RIIT options {self}", cause="td_lambda must be in [0, 1]", remedy="Correct this option."
            )


class RIIT(MixedCritic):
    """`Q_tot(s, x) = mixer(Q_1(o_1, x_1), ..., Q_N(o_N, x_N), s)`, where `x_i` are actions, one-hot, or policies."""

    title = "RIIT"
    source = "Hu et al. 2021, RIIT: Rethinking the Importance of Implementation Tricks in Multi-Agent RL"
    on_policy = False
    Options = RIITOptions
    agent_critic: AgentNetwork

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.own: RIITOptions = self.options(problem.settings)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.replay: ReplayBuffer | None = None
        if self.own.off_policy:
            self.replay = replay_for(problem, credit_size=self.mixer.credit_size)

    def make_agent_critic(self, problem: Problem) -> AgentNetwork:
        """`Q_i(o_i, x_i)`, one number per agent; without memory, which would hold actions when policies come."""
        sizes = problem.sizes
        return AgentNetwork(
            observation_size=sizes.observation_size + sizes.n_actions,
            n_agents=sizes.n_agents,
            n_actions=1,
            hidden_size=problem.settings.hidden_size,
            recurrent=False,
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Actor, critic and target critic."""
        return {**super().networks, "target_critic": self.target_critic}

    def remember(self, episodes: Episodes) -> None:
        """Add the episodes to the replay buffer."""
        super().remember(episodes)
        if self.replay is not None:
            self.replay.add(episodes)

    def update(self, episodes: Episodes, rewards: Tensor, done: Counters) -> Learned:
        """Steps of the critic, which count as updates: off-policy ones, then one on-policy; then one of the actor."""
        self.prepare(self.mixer, done)
        self.prepare(mixer_of(self.target_critic), done)
        updates = done.updates
        for batch in self.batches(updates):
            team = batch.rewards.unsqueeze(-1)  # [B, T, 1]
            team = self.reward_scale.apply(team) if self.settings.standardise_rewards else team
            updates = self._critic_step(batch, self.targets(batch, team, updates, on_policy=False), updates)
        team = rewards[..., :1]  # the same for all agents
        updates = self._critic_step(episodes, self.targets(episodes, team, updates, on_policy=True), updates)
        loss = self.actor_loss(episodes)
        self.actor_optimiser.descend(loss)
        return Learned(loss.detach(), updates)

    def batches(self, updates: int) -> Iterator[Episodes]:
        """Random batches of replayed episodes, once there are enough, after so many updates."""
        settings = self.settings
        if self.replay is None or len(self.replay) < settings.batch_episodes:
            return
        for k in range(settings.updates_per_collection):
            rng = generator(Stream.REPLAY, settings.seed, updates + k)
            yield self.replay.sample(settings.batch_episodes, rng).to(self.problem.device)

    @torch.no_grad()
    def targets(self, episodes: Episodes, rewards: Tensor, update: int, *, on_policy: bool) -> Tensor:
        """What `Q_tot(s, u)` of the steps that took place should be, `[M, 1]`, by the target critic.

        On-policy TD(lambda) with the actions taken; off-policy TD(0), in which the present policies act next. They
        do so after the last step, too.

        Args:
            episodes: with `M` steps.
            rewards: the team's, in training units, `[E, T, 1]`.
            update: number of the update, on which the actions drawn depend.
            on_policy: whether the present policies have played these episodes.
        """
        rows, settings = episodes.rows, self.settings
        rng = generator(Stream.NEXT_ACTIONS, settings.seed, update)
        u = drawn_actions(self.log_pi(episodes, rows.reached), rng)  # [R, N]
        if on_policy:
            u[rows.starts] = taken(episodes.actions, rows.steps)
        q_tot = self.q_tot(self.target_critic, episodes, rows.reached, self._one_hot(u))
        values = scattered(q_tot, rows.reached, episodes.reached.shape)
        over = episodes.over(time_limit=settings.time_limit_is_terminal)
        lambda_ = self.own.td_lambda if on_policy else 0.0
        returns = lambda_returns(rewards, values, over, episodes.filled, gamma=settings.gamma, lambda_=lambda_)
        return taken(returns, rows.steps)

    def actor_loss(self, episodes: Episodes) -> Tensor:
        """`-Q_tot(s, pi_1, ..., pi_N)` less the entropy, divided by its own value: the mixer assigns the credit."""
        before = episodes.rows.before
        log_pi = self.log_pi(episodes, before)  # [M, N, A]
        q_tot = self.q_tot(self.critic, episodes, before, log_pi.exp())
        bonus = entropy(log_pi).mean()
        return -q_tot.mean() - self.own.entropy_coefficient * bonus / bonus.detach().clamp_min(1e-8)

    def q_tot(self, critic: nn.ModuleDict, episodes: Episodes, rows: Tensor, x: Tensor) -> Tensor:
        """`Q_tot(s, x)`, `[M, 1]`, at the time points of numbers `rows [M]`, of `x [M, N, A]`."""
        inputs = torch.cat([taken(episodes.observations, rows), x], dim=-1).unsqueeze(0)  # [1, M, N, O + A]
        values = critic["agents"](inputs)[0][0].squeeze(-1)  # [M, N]
        return mixer_of(critic).mix(values, taken(episodes.states, rows), taken(episodes.credit, rows))

    def more_tensors(self) -> dict[str, Tensor]:
        """The replay buffer, without padding."""
        held = {} if self.replay is None else self.replay.contents()
        return {**super().more_tensors(), **{f"replay.{name}": tensor for name, tensor in held.items()}}

    def restore_more(self, tensors: Mapping[str, Tensor], counters: Counters) -> None:
        """Take back what `more_tensors` gave; every episode collected was added to the replay buffer."""
        super().restore_more(tensors, counters)
        if self.replay is not None:
            prefix = "replay."
            held = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            self.replay.restore(held, counters.episodes)

    def _critic_step(self, episodes: Episodes, targets: Tensor, updates: int) -> int:
        u = self._one_hot(taken(episodes.actions, episodes.rows.steps))
        q_tot = self.q_tot(self.critic, episodes, episodes.rows.before, u)
        self.critic_optimiser.descend(td_loss(q_tot, targets))
        updates += 1
        if updates % self.settings.target_update_interval == 0:
            move_towards(self.target_critic.parameters(), self.critic.parameters(), self.settings.target_update_tau)
        return updates

    def _one_hot(self, actions: Tensor) -> Tensor:
        """`[M, N, A]` of `actions [M, N]`."""
        return nn.functional.one_hot(actions, self.problem.sizes.n_actions).float()


def mixer_of(critic: nn.ModuleDict) -> Mixer:
    """The mixer of a critic or of a target critic."""
    mixer = critic["mixer"]
    assert isinstance(mixer, Mixer)
    return mixer


class RIITQLLM(CreditCritic, RIIT):
    """RIIT with a fixed, verified credit function for its mixing network: its weights enter the actors' gradient."""

    title = "RIIT with QLLM"
    source = "RIIT (Hu et al. 2021), its mixing network replaced as QLLM replaces QMIX's (arXiv 2504.12961)"
